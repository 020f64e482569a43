"""Processes to check claims in: SymPy, and all that Python does before a program runs, use one core at a time."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

ENVIRONMENT = {
    # One thread each: with as many processes as cores, more would mostly wait for each other.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Several processes share an accelerator only if none takes all of its memory at once.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
"""Environment variables of processes that work beside others, unless they are set already."""


@contextlib.contextmanager
def worker_processes(number: int) -> Iterator[Executor]:
    """Processes to work in; when the context ends all of them do, whatever they work on.

    Args:
        number: of processes.

    Example:
        >>> with worker_processes(1) as workers:
        ...     workers.submit(divmod, 17, 5).result()
        (3, 2)
    """
    others = multiprocessing.active_children()
    # Libraries read the environment when they load, before a job could set it; processes start when there are jobs.
    added = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    # A forked process could not use JAX.
    pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), _ignore_interrupts)
    try:
        yield pool
    finally:
        for name in added:
            del os.environ[name]
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """An interrupt, which a terminal sends to all, is for the process that will end this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
