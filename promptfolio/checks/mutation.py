"""Plant one fault at a time, each in a process of its own, and see which claims notice.

Nothing compiled outlives the fault. A mutant is killed when every claim that should notice it fails.
"""

import concurrent.futures
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from promptfolio.checks.mutant import Mutant
from promptfolio.checks.workers import ENVIRONMENT
from simulate.running.compilation import cache_environment


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a mutant: the verdict of each claim that should notice it."""

    mutant: Mutant
    verdicts: dict[str, str]
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether every claim that should notice failed; a crash or "not applicable" is no verdict of failure."""
        return bool(self.verdicts) and all(verdict == "fails" for verdict in self.verdicts.values())


def run_mutants(mutants: Sequence[Mutant], workers: int) -> Iterator[Outcome]:
    """Try mutants in processes of their own, and yield each outcome as it is there."""
    with (
        tempfile.TemporaryDirectory(prefix="compiled-") as compiled,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        # Most of what one mutant compiles the next needs too. The cache knows programs by their content, so a
        # fault can neither hide in it nor leave anything behind.
        environment = {
            **ENVIRONMENT,
            **cache_environment(compiled),
            **os.environ,
        }
        pending = [pool.submit(_try_in_a_process, mutant, environment) for mutant in mutants]
        try:
            for done in concurrent.futures.as_completed(pending):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _try_in_a_process(mutant: Mutant, environment: dict[str, str]) -> Outcome:
    started = time.perf_counter()
    command = [sys.executable, "-m", "promptfolio.checks.planting"]
    done = subprocess.run(
        command, input=pickle.dumps(mutant), capture_output=True, env=environment, check=False
    )
    try:
        verdicts = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        verdicts = {"process": (lines or ["no output"])[-1]}
    return Outcome(mutant, verdicts, time.perf_counter() - started)
