"""Compute cells in processes of this machine, which talk to this one through pipes: nothing listens on a port."""

import collections
import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait

from promptfolio.error_text import reason_of
from promptfolio.processes.machine import machine_cores
from promptfolio.processes.pool import WorkerDied, WorkerPool, worker_pool
from promptfolio.processes.scratch import scratch_folder
from promptfolio.sweep.cell import Cell
from promptfolio.sweep.pending import PendingCells
from promptfolio.sweep.store import settings_json
from promptfolio.sweep.worker import run_cell
from simulate.running.compilation import JAX_VARIABLE, VARIABLE
from simulate.running.memory import container_memory

LIVES = 4
"""A cell whose workers died so many times is given up."""
_WORKER_MEMORY = 2 * 2**30  # JAX and its compiler take half of it before any array


def workers_for(cells: int, workers: int | None, threads: int | None) -> int:
    """Number of processes to use.

    Args:
        cells: number of cells to compute, which is the largest useful number of processes.
        workers: the number asked for; None takes one per core, and at most one per 2 GiB of memory.
        threads: cores for each process; None for one.
    """
    if workers is None:
        # Not one process with all cores: a run uses several cores only in part, and compiling and writing
        # are serial.
        memory = container_memory()
        room = memory // _WORKER_MEMORY if memory else machine_cores()
        workers = max(1, min(machine_cores() // (threads or 1), room))
    return min(workers, cells)


@contextlib.contextmanager
def local_pool(workers: int, threads: int | None) -> Iterator[WorkerPool]:
    """Context with worker processes that share the machine and what they compile.

    Args:
        workers: number of processes.
        threads: cores for each; None divides the machine's cores.
    """
    cores = threads or max(1, machine_cores() // workers)
    share = container_memory() // workers or None
    with (
        scratch_folder("sweep-") as scratch,
        worker_pool(workers, _environment(cores, scratch), share) as pool,
    ):
        yield pool


def compute_locally(
    cells: list[Cell],
    folder: pathlib.Path,
    memory: float | None,
    settings: Mapping[str, str] | None = None,
    *,
    workers: int | None,
    threads: int | None,
    notice: Callable[[str], None],
) -> Iterator[tuple[Cell, str]]:
    """Compute cells in processes, and yield (cell, reason) as each is finished; the reason is empty on success.

    When a process dies, only the cell that it had is computed again, and the death counts against that cell only.

    Args:
        cells: what to compute, without repeats.
        folder: for the results.
        memory: GiB for the arrays of each cell; None as in `simulate.run`.
        settings: under which the results in the folder were computed, which the workers' own must agree with.
        workers, threads: as of `run_sweep`.
        notice: told of a process that died whose cell is tried again.
    """
    number = workers_for(len(cells), workers, threads)
    pending, running = PendingCells(cells), dict[Future[str], Cell]()
    deaths = collections.Counter[str]()
    with local_pool(number, threads) as pool:
        while pending or running:
            while pending and len(running) < number:
                cell = pending.take()
                task = (settings_json(cell), cell.name, str(folder), memory, settings)
                running[pool.submit(run_cell, *task)] = cell
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell = running.pop(future)
                error = future.exception()
                if isinstance(error, WorkerDied):
                    deaths[cell.name] += 1
                    if deaths[cell.name] < LIVES:
                        notice(f"{error}; its cell ({cell}) is computed again")
                        pending.put_back(cell)
                        continue
                pending.finished(cell)
                yield cell, _reason(error, deaths[cell.name]) if error else future.result()


def _reason(error: BaseException, deaths: int) -> str:
    if isinstance(error, WorkerDied):
        return f"{error}, the last of {deaths} that died"
    return reason_of(error)


def _environment(cores: int, scratch: pathlib.Path) -> dict[str, str]:
    """Environment variables of worker processes; those that are set already have precedence, except numbers of
    cores."""
    shared = {}
    if not os.environ.get(VARIABLE) and not os.environ.get(JAX_VARIABLE):
        # Where nothing is kept for longer, workers share compiled programs for as long as they run.
        shared = {VARIABLE: str(scratch / "compiled")}
    return {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # workers on one accelerator share its memory as they need it
        **os.environ,
        **shared,
        # NPROC is the number of cores for XLA, OMP_NUM_THREADS that for `simulate.running.parallel`.
        "NPROC": str(cores),
        "OMP_NUM_THREADS": str(cores),
    }
