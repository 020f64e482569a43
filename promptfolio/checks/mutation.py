"""Plant one fault in the source at a time, and see which claims notice.

A mutant is an edit of one place in one module. It is applied on import, in a process of its own, so that no file
changes and nothing compiled outlives the fault. A mutant is killed when a claim that should notice it fails.
"""

import concurrent.futures
import dataclasses
import importlib.abc
import importlib.machinery
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from promptfolio.checks.unjudged import Unjudged
from promptfolio.checks.workers import ENVIRONMENT
from simulate.running.compilation import cache_environment


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One small fault.

    Attributes:
        name: slug.
        module: dotted name of the module it is planted in.
        before, after: source text that occurs there exactly once, and what replaces it.
        fault: what is wrong then, in a few words.
        caught_by: claims that must fail.
    """

    name: str
    module: str
    before: str
    after: str
    fault: str
    caught_by: tuple[str, ...]


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
    command = [sys.executable, "-m", "promptfolio.checks.mutation", json.dumps(dataclasses.asdict(mutant))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    try:
        verdicts = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        verdicts = {"process": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return Outcome(mutant, verdicts, time.perf_counter() - started)


def plant(mutant: Mutant) -> None:
    """Have this process import the mutant's module with its fault.

    Raises:
        ValueError: the module is imported already, or the text does not occur in it exactly once.
    """
    if mutant.module in sys.modules:
        raise ValueError(f"{mutant.module} is imported already")
    sys.meta_path.insert(0, _Finder(mutant))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant):
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._mutant)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutant: Mutant):
        super().__init__(fullname, path)
        self._mutant = mutant

    def path_stats(self, path: str | os.PathLike[str]) -> Any:
        # Without statistics the import system neither reads nor writes compiled files.
        raise OSError

    def get_data(self, path: str) -> bytes:
        return edited(super().get_data(path).decode(), self._mutant).encode()


def edited(source: str, mutant: Mutant) -> str:
    """The source with the fault in it.

    Raises:
        ValueError: the text does not occur exactly once.
    """
    if source.count(mutant.before) != 1:
        raise ValueError(
            f"{mutant.name}: {mutant.before!r} occurs {source.count(mutant.before)} times in {mutant.module}"
        )
    return source.replace(mutant.before, mutant.after)


def verdicts_under(mutant: Mutant) -> dict[str, str]:
    """Plant a fault here and check, at quick scale, the claims that should notice it."""
    plant(mutant)
    # Imported after the fault is planted, since they import what it is planted in.
    from promptfolio.checks.registry import check_claims, load_claim

    load_claim(mutant.caught_by[0])
    if mutant.module not in sys.modules:
        importlib.import_module(mutant.module)
    found = check_claims(mutant.caught_by, "quick")
    return {
        each.name: f"error: {each.error}" if isinstance(each, Unjudged) else each.finding.verdict
        for each in found
    }


if __name__ == "__main__":
    # `promptfolio.checks.mutation` itself runs as __main__ here, so its classes are read from JSON, not pickled.
    described = json.loads(sys.argv[1])
    print(json.dumps(verdicts_under(Mutant(**{**described, "caught_by": tuple(described["caught_by"])}))))
