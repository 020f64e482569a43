"""Batches side by side on the cores of a processor, one thread each.

What a run computes at once is small enough for a core's own cache (`simulate.running.batching`), hence too small to
be divided among cores: each core takes a batch of its own. JAX releases Python's global lock while it computes, so
threads of one process suffice.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def processor_cores() -> int:
    """Number of cores to use: those that this process may run on, or ``OMP_NUM_THREADS`` if that is less.

    The variable is the usual way to divide a machine among processes; Dask sets it for its workers.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        cores = os.cpu_count() or 1
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, max(1, int(allowed))) if allowed.isdecimal() else cores


def parallel_map(function: Callable[[Job], Result], jobs: Iterable[Job], threads: int) -> list[Result]:
    """Apply a function to jobs, so many at a time.

    Args:
        function: what to apply.
        jobs: its arguments, in the order in which they are begun.
        threads: number of threads; with one, the calling thread does everything.

    Returns:
        The results, in the order of the jobs. When a job fails, its exception is raised once those that are under
        way have ended; no further one is begun.

    Example:
        >>> parallel_map(abs, [-1, 2, -3], threads=2)
        [1, 2, 3]
    """
    if threads == 1:
        return [function(job) for job in jobs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, jobs))
