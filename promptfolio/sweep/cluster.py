"""Compute cells on Dask workers: the only module here that needs `distributed`, from the optional extra
`cluster`."""

import asyncio
import concurrent.futures
import contextlib
import importlib.util
import logging
import os
import pathlib
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from promptfolio.sweep.cell import Cell, by_compiled_shape, compiled_shape
from promptfolio.sweep.store import settings_json
from promptfolio.sweep.worker import one_line, run_cell
from simulate.running.compilation import cache_environment
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_SECONDS = 5
_POLL_SECONDS = 2.0  # longest time until workers that have joined are noticed
_WORKER_MEMORY = 2 * 2**30  # JAX and its compiler take half of it before any array
# Exceptions that are raised when the connection to the scheduler is lost.
_LOST = (OSError, asyncio.CancelledError, concurrent.futures.CancelledError)
_LOCAL_CONFIGURATION = {
    # Results are files, so that Dask holds no data that it could move to disk, and a paused worker would stay
    # paused, since a process does not return memory. A worker that exceeds its share of memory is restarted.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
}


def require_dask(workers: int | None, scheduler: str | None) -> None:
    """Check that `distributed` is installed.

    Args:
        workers, scheduler: the arguments of `run_sweep` that need it, for the message.

    Raises:
        ConfigurationError: when it is not installed; the message says how to install it, or to run without it.
    """
    if importlib.util.find_spec("distributed") is not None:
        return
    remedy = "without Dask: pip install 'promptfolio[cluster]'"
    if scheduler is not None:
        raise ConfigurationError("scheduler", scheduler, f"left out {remedy}")
    raise ConfigurationError("workers", workers, f"0 (one cell after the other) {remedy}")


@contextlib.contextmanager
def connected(address: str) -> "Iterator[Client]":
    """Context with a client that is connected to a running scheduler.

    Args:
        address: of the scheduler, such as ``tcp://node:8786``.

    Raises:
        ConfigurationError: when no Dask scheduler answers at the address.
    """
    from distributed import Client

    with _quiet():
        try:
            asyncio.run(_try_connection(address))
            client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except Exception as error:  # another program may listen there, with another protocol
            raise ConfigurationError(
                "scheduler", address, f"the address of a Dask scheduler that answers ({one_line(error)})"
            ) from None
        with client:
            yield client


async def _try_connection(address: str) -> None:
    """Open a connection and close it; a `Client` that fails to connect takes long, and logs errors afterwards."""
    from distributed.comm import connect
    from distributed.security import Security

    comm = await connect(address, _CONNECT_SECONDS, **Security().get_connection_args("client"))
    await comm.close()


@contextlib.contextmanager
def local_cluster(workers: int | None, threads: int | None, cells: int) -> "Iterator[Client]":
    """Context with a client of a Dask cluster of worker processes on this machine.

    Args:
        workers: number of processes; None takes one per core, and at most one per 2 GiB of memory.
        threads: cores for each process; None divides the machine's cores.
        cells: number of cells to compute, which is the largest useful number of workers.
    """
    import dask
    from dask.system import CPU_COUNT  # both respect the limits of a container
    from distributed import Client, LocalCluster
    from distributed.system import MEMORY_LIMIT

    if workers is None:
        # Not one process with all cores: a run uses several cores only in part, and compiling and writing
        # are serial.
        workers = max(1, min(CPU_COUNT // (threads or 1), MEMORY_LIMIT // _WORKER_MEMORY))
    workers = min(workers, cells)
    cores = threads or max(1, CPU_COUNT // workers)
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True)
        )
        stack.enter_context(dask.config.set(_LOCAL_CONFIGURATION))
        stack.enter_context(_quiet())
        with _interrupts_only_here():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # one cell at a time
                processes=True,
                host="127.0.0.1",
                # No dashboard; the server that remains takes any free port.
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                memory_limit=MEMORY_LIMIT // workers,
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
                env=_environment(cores, scratch),
            )
            stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster, set_as_default=False))


def _environment(cores: int, scratch: str) -> dict[str, str]:
    """Environment variables of worker processes; those that are set already have precedence, except numbers of
    cores."""
    defaults = {
        # Workers share compiled programs; on one machine they can be loaded as they are.
        **cache_environment(f"{scratch}/compiled"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # workers on one accelerator share its memory as they need it
    }
    chosen = {name: os.environ.get(name, value) for name, value in defaults.items()}
    # NPROC is the number of cores for XLA, OMP_NUM_THREADS that for `simulate.running.parallel`.
    return {**chosen, "NPROC": str(cores), "OMP_NUM_THREADS": str(cores)}


@contextlib.contextmanager
def _interrupts_only_here() -> Iterator[None]:
    """Context in which new threads and processes block SIGINT, which a terminal sends to the whole process group.

    So on Ctrl-C only this process is interrupted, and shuts its workers down. A SIGINT that arrives within the
    context is delivered at its end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Otherwise Python starts this with the first process, and unblocks SIGINT there.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def compute_on(
    client: "Client",
    cells: list[Cell],
    folder: pathlib.Path,
    memory: float | None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[Cell, str]]:
    """Compute cells on workers, and yield (cell, reason) as each is finished; the reason is empty on success.

    A worker process has one cell at a time, and no queue: when it dies, only that cell is run again, and the death
    counts against that cell only. Workers may join and leave. If the connection to the scheduler is lost, all
    remaining cells fail.

    Args:
        client: connected to the scheduler.
        cells: what to compute, without repeats.
        folder: for the results, shared by all workers.
        memory: GiB for the arrays of each cell; None as in `simulate.run`.
        settings: under which the results in the folder were computed, which the workers' own must agree with.
    """
    pending, running = PendingCells(cells), dict["Future", Cell]()
    sweep = f"promptfolio-sweep-{uuid4().hex}"
    try:
        while pending or running:
            for _ in range(min(len(client.nthreads()) - len(running), len(pending))):
                cell = pending.take()
                key = (sweep, cell.name)
                task = (settings_json(cell), cell.name, str(folder), memory, dict(settings or {}))
                running[client.submit(run_cell, *task, key=key, pure=False)] = cell
            for future in _finished(client, running):
                cell = running.pop(future)
                reason = _reason(future)
                future.release()  # otherwise the scheduler runs the cell again if its worker dies later
                pending.finished(cell)
                yield cell, reason
    except _LOST:
        for cell in [*running.values(), *pending]:
            yield cell, "the connection to the scheduler was lost"


class PendingCells:
    """Cells that no worker has been given yet, grouped by compiled shape so that workers can reuse compiled
    programs.

    Example:
        >>> from promptfolio.sweep.specification import parse_specification
        >>> cells = parse_specification({"grid": {"seed": [0, 1], "clients": [2, 3]}}).cells
        >>> pending = PendingCells(cells)
        >>> one, other = pending.take(), pending.take()
        >>> str(one), str(other)
        ('seed = 0, clients = 2', 'seed = 0, clients = 3')
        >>> pending.finished(other)
        >>> str(pending.take()), len(pending)
        ('seed = 1, clients = 3', 1)
    """

    def __init__(self, cells: Iterable[Cell]):
        self._groups = by_compiled_shape(cells)
        for group in self._groups.values():
            group.reverse()
        self._at_work = dict.fromkeys(self._groups, 0)
        self._freed: list[Any] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __iter__(self) -> Iterator[Cell]:
        return (cell for group in self._groups.values() for cell in reversed(group))

    def take(self) -> Cell:
        """Take out the next cell: of a shape that a worker has just finished, else of the shape with the fewest
        workers."""
        left = [shape for shape, group in self._groups.items() if group]
        freed = [shape for shape in self._freed if shape in left]
        shape = freed[0] if freed else min(left, key=self._at_work.__getitem__)
        if freed:
            self._freed.remove(shape)
        self._at_work[shape] += 1
        return self._groups[shape].pop()

    def finished(self, cell: Cell) -> None:
        """Note that a worker has finished this cell."""
        shape = compiled_shape(cell.experiment)
        self._at_work[shape] -= 1
        self._freed.append(shape)


def _finished(client: "Client", running: "dict[Future, Cell]") -> "list[Future]":
    """Futures of cells that are finished, after a wait of at most `_POLL_SECONDS`; perhaps none."""
    from distributed import wait

    with contextlib.suppress(TimeoutError), client.as_current():
        if not running:
            client.wait_for_workers(1, timeout=_POLL_SECONDS)
            return []
        return list(wait(list(running), timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED").done)
    return []


def _reason(future: "Future") -> str:
    from distributed import KilledWorker

    if future.status != "error":
        return str(future.result())
    error = future.exception()
    if isinstance(error, KilledWorker):
        return f"its worker died {error.allowed_failures + 1} times (out of memory?)"
    while error.__cause__ is not None:  # such as a module that is missing on the worker's machine
        error = error.__cause__
    return one_line(error)


def _quiet() -> contextlib.AbstractContextManager[None]:
    """Context without log messages, which would break the progress bar; results and errors report what matters."""
    from distributed.utils import silence_logging_cmgr

    return silence_logging_cmgr(logging.CRITICAL)
