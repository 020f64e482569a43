"""Plant one fault at a time, each in a process of its own, and see which claims and tests notice.

Nothing compiled outlives the fault. A mutant is killed when each of its detectors fails, and passes without it.
"""

import concurrent.futures
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence

from promptfolio.checks.detectors import FAILS, PASSES, in_batches, is_test
from promptfolio.checks.fault_processes import Detect, detecting_processes
from promptfolio.checks.mutant import Mutant


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a mutant: the verdict of each claim and test that should notice it."""

    mutant: Mutant
    verdicts: dict[str, str]
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether every detector failed; a crash or "not applicable" is no verdict of failure."""
        return bool(self.verdicts) and all(verdict == FAILS for verdict in self.verdicts.values())


def run_mutants(mutants: Sequence[Mutant], workers: int) -> Iterator[Outcome]:
    """Try mutants in processes of their own, and yield each outcome as it is there.

    Every detector is asked without a fault first: one that does not pass then detects nothing, and its verdict
    under any fault is that one, with "without a fault" behind it.

    Args:
        mutants: to plant; tests among their detectors need a checkout.
        workers: processes at a time.
    """
    with detecting_processes() as detect, concurrent.futures.ThreadPoolExecutor(workers) as pool:
        batches = in_batches(detector for mutant in mutants for detector in mutant.caught_by)
        useless: dict[str, str] = {}
        for verdicts in pool.map(lambda batch: _without_a_fault(detect, batch), batches):
            useless |= verdicts
        pending = [pool.submit(_try, detect, mutant, useless) for mutant in mutants]
        try:
            for done in concurrent.futures.as_completed(pending):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _without_a_fault(detect: Detect, detectors: Sequence[str]) -> dict[str, str]:
    """Verdicts of those detectors that do not pass."""
    verdicts = detect(None, detectors)
    said = {detector: verdicts.get(detector, verdicts.get("process", "")) for detector in detectors}
    return {detector: f"{verdict} without a fault" for detector, verdict in said.items() if verdict != PASSES}


def _try(detect: Detect, mutant: Mutant, useless: Mapping[str, str]) -> Outcome:
    started = time.perf_counter()
    verdicts = {detector: useless[detector] for detector in mutant.caught_by if detector in useless}
    for kind in (False, True):
        detectors = [each for each in mutant.caught_by if is_test(each) == kind and each not in useless]
        if detectors:
            verdicts |= detect(mutant, detectors)
    return Outcome(mutant, verdicts, time.perf_counter() - started)
