"""Jobs side by side on threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simulate.running.parallel import parallel_map, processor_cores


def test_jobs_run_side_by_side_and_results_keep_their_order() -> None:
    together = threading.Barrier(3)

    def job(number: int) -> int:
        together.wait()
        return number**2

    assert parallel_map(job, range(6), threads=3) == [0, 1, 4, 9, 16, 25]


def test_one_thread_is_this_thread() -> None:
    assert parallel_map(lambda _: threading.current_thread(), [0], threads=1) == [threading.current_thread()]


def test_no_job_is_begun_after_one_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def job(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError("the first")
        closing.wait()

    class Pool(ThreadPoolExecutor):
        """Other jobs end once the pool is closing, which is after the failure has been noticed."""

        def shutdown(self, *arguments: Any, **named: Any) -> None:
            closing.set()
            super().shutdown(*arguments, **named)

    closing = threading.Event()
    monkeypatch.setattr("simulate.running.parallel.ThreadPoolExecutor", Pool)
    with pytest.raises(ValueError, match="the first"):
        parallel_map(job, range(50), threads=2)
    # The second thread's job, and the one that the first thread may have begun before the failure was noticed.
    assert set(begun) <= {0, 1, 2}


@pytest.mark.parametrize(
    ("allowed", "cores"), [("1", 1), ("2", 2), ("0", 1), ("64", 4), ("", 4), ("many", 4)]
)
def test_other_processes_may_limit_the_cores(
    allowed: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    assert processor_cores() == cores
