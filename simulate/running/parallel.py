"""Work side by side on the cores of a processor.

What a run computes at once is small enough for a core's own cache (`simulate.running.batching`), hence too
small to be worth dividing among cores: they do better with a batch each. JAX lets go of Python's lock while it
computes, so that threads will do.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def processor_cores() -> int:
    """Cores to work on: those that this process may use, or fewer if ``OMP_NUM_THREADS`` says so.

    That variable is what others set where several processes share a machine; Dask does for its workers.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        cores = os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, max(1, int(allowed))) if allowed.isdecimal() else cores


def in_lanes(function: Callable[[Job], Result], jobs: Iterable[Job], lanes: int) -> list[Result]:
    """Apply a function to jobs, so many at a time.

    Args:
        function: called on a thread of its own, unless there is one lane only.
        jobs: in the order in which they are begun.
        lanes: how many there are.

    Returns:
        The results, in the order of the jobs. When a job fails, its exception is raised once those that are under
        way have ended; no further one is begun.

    Example:
        >>> in_lanes(abs, [-1, 2, -3], lanes=2)
        [1, 2, 3]
    """
    if lanes == 1:
        return [function(job) for job in jobs]
    with ThreadPoolExecutor(lanes) as pool:
        return list(pool.map(function, jobs))
