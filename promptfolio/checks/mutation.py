"""Plant one fault at a time, each in a process of its own, and see which claims notice.

Nothing compiled outlives the fault. A mutant is killed when every claim that should notice it fails.
"""

import concurrent.futures
import dataclasses
import json
import os
import pickle
import time
from collections.abc import Iterator, Sequence

from promptfolio.checks.mutant import Mutant
from promptfolio.checks.workers import ENVIRONMENT
from promptfolio.processes.children import answer_of, how_it_ended, kill_children
from promptfolio.processes.ending import cleaned_up
from promptfolio.processes.scratch import scratch_folder
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
        scratch_folder("compiled-") as compiled,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
        cleaned_up(kill_children),
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
            pool.shutdown(wait=False, cancel_futures=True)
            kill_children()


def _try_in_a_process(mutant: Mutant, environment: dict[str, str]) -> Outcome:
    started = time.perf_counter()
    done = answer_of("promptfolio.checks.planting", pickle.dumps(mutant), environment=environment)
    try:
        verdicts = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        verdicts = {"process": lines[-1] if done.returncode >= 0 else how_it_ended(done.returncode)}
    return Outcome(mutant, verdicts, time.perf_counter() - started)
