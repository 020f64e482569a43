"""Processes to check claims in: SymPy, and all that Python does before a program runs, use one core at a time."""

import contextlib
import os

from promptfolio.processes.pool import WorkerPool, worker_pool

ENVIRONMENT = {
    # One thread each: with as many processes as cores, more would mostly wait for each other.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Several processes share an accelerator only if none takes all of its memory at once.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
"""Environment variables of processes that work beside others, unless they are set already."""


def worker_processes(number: int) -> contextlib.AbstractContextManager[WorkerPool]:
    """Context with processes to work in; when it ends all of them do, whatever they work on.

    One that dies costs the job it had: its future raises `promptfolio.processes.pool.WorkerDied`.

    Args:
        number: of processes.

    Example:
        >>> with worker_processes(1) as workers:
        ...     workers.submit(divmod, 17, 5).result()
        (3, 2)
    """
    return worker_pool(number, {**ENVIRONMENT, **os.environ})
