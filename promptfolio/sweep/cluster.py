"""Cells on Dask workers: the only module here that needs `distributed`, from the optional extra `cluster`."""

import asyncio
import concurrent.futures
import contextlib
import importlib.util
import logging
import os
import pathlib
import signal
import tempfile
from collections.abc import Iterable, Iterator
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from promptfolio.sweep.cell import Cell, compiled_shape
from promptfolio.sweep.store import settings_json
from promptfolio.sweep.worker import one_line, run_cell
from simulate.running.compilation import cache_environment
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_SECONDS = 5
_LOOK_SECONDS = 2.0  # how long a worker that has joined waits for its first cell
_WORKER_MEMORY = 2 * 2**30  # JAX and its compiler take half of it before any array
# How the absence of a scheduler shows.
_LOST = (OSError, asyncio.CancelledError, concurrent.futures.CancelledError)
_LOCAL_CONFIGURATION = {
    # Results are files: Dask holds nothing that it could move to disk to make room, and a worker that it paused
    # would stay so, since a process does not give memory back. One that outgrows its share is started anew.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
}


def require_dask(workers: int | None, scheduler: str | None) -> None:
    """Refuse to go on without `distributed`.

    Args:
        workers, scheduler: what asks for it, for the message.

    Raises:
        ConfigurationError: when it is not installed; it says how to install it, and how to do without.
    """
    if importlib.util.find_spec("distributed") is not None:
        return
    remedy = "without Dask: pip install 'promptfolio[cluster]'"
    if scheduler is not None:
        raise ConfigurationError("scheduler", scheduler, f"left out {remedy}")
    raise ConfigurationError("workers", workers, f"0 (one cell after the other) {remedy}")


@contextlib.contextmanager
def connected(address: str) -> "Iterator[Client]":
    """A connection to a scheduler that somebody else has started.

    Raises:
        ConfigurationError: when nobody answers there.
    """
    from distributed import Client

    with _quiet():
        try:
            asyncio.run(_greet(address))
            client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except Exception as error:  # what listens there may not even speak Dask's language
            raise ConfigurationError(
                "scheduler", address, f"the address of a Dask scheduler that answers ({one_line(error)})"
            ) from None
        with client:
            yield client


async def _greet(address: str) -> None:
    """Shake hands and hang up; a `Client` that fails to connect takes long to give up, and complains later."""
    from distributed.comm import connect
    from distributed.security import Security

    comm = await connect(address, _CONNECT_SECONDS, **Security().get_connection_args("client"))
    await comm.close()


@contextlib.contextmanager
def local_cluster(workers: int | None, threads: int | None, cells: int) -> "Iterator[Client]":
    """Worker processes on this machine; see `promptfolio.sweep.execution.run_sweep` for the first two arguments.

    Args:
        workers, threads: how many, and cores for each.
        cells: how many there are to compute, as more workers have nothing to do.
    """
    import dask
    from dask.system import CPU_COUNT  # both know of a container's limits
    from distributed import Client, LocalCluster
    from distributed.system import MEMORY_LIMIT

    if workers is None:
        # Not one with all cores: a run keeps several only partly busy, and compiling and writing are serial.
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
                # No dashboard; what is left of its server takes any free port, and not one others may want.
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                memory_limit=MEMORY_LIMIT // workers,
                local_directory=scratch,
                silence_logs=logging.CRITICAL,
                env=_environment(cores, scratch),
            )
            stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster, set_as_default=False))


def _environment(cores: int, scratch: str) -> dict[str, str]:
    """What worker processes find in their environment; what is there already goes first, but for the cores."""
    defaults = {
        # What one worker has compiled the others need too; it is the same machine, so it may be loaded as it is.
        **cache_environment(f"{scratch}/compiled"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # workers on one accelerator share its memory as they need it
    }
    chosen = {name: os.environ.get(name, value) for name, value in defaults.items()}
    # XLA takes NPROC for the number of the machine's cores; the other is what `simulate.running.parallel` goes by.
    return {**chosen, "NPROC": str(cores), "OMP_NUM_THREADS": str(cores)}


@contextlib.contextmanager
def _interrupts_only_here() -> Iterator[None]:
    """Have threads that are started meanwhile, and their processes, ignore Ctrl-C, which a terminal sends to all.

    This process then ends its workers in good order. It hears of a Ctrl-C in the meantime afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Python starts this with the first process otherwise, and lets interrupts through again there.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def compute_on(
    client: "Client", cells: list[Cell], folder: pathlib.Path, memory: float | None
) -> Iterator[tuple[Cell, str]]:
    """Have workers compute cells, and yield each as it is finished, with the reason if it failed.

    A worker process has one cell at a time, and no queue: when it dies, only that cell is run again, and only that
    cell is blamed. Workers may come and go. If the scheduler itself is lost, the rest of the cells fail.
    """
    deck, flying = Deck(cells), dict["Future", Cell]()
    sweep = f"promptfolio-sweep-{uuid4().hex}"
    try:
        while deck or flying:
            for _ in range(min(len(client.nthreads()) - len(flying), len(deck))):
                cell = deck.draw()
                key = (sweep, cell.name)
                task = (settings_json(cell), cell.name, str(folder), memory)
                flying[client.submit(run_cell, *task, key=key, pure=False)] = cell
            for future in _arrived(client, flying):
                cell = flying.pop(future)
                reason = _reason(future)
                future.release()  # or the scheduler has the cell run again if its worker dies later
                deck.returned(cell)
                yield cell, reason
    except _LOST:
        for cell in [*flying.values(), *deck]:
            yield cell, "the connection to the scheduler was lost"


class Deck:
    """Cells still to be dealt out, kept by compiled shape so that a worker goes on with what it has compiled.

    Example:
        >>> from promptfolio.sweep.specification import parse_specification
        >>> cells = parse_specification({"grid": {"seed": [0, 1], "clients": [2, 3]}}).cells
        >>> deck = Deck(cells)
        >>> one, other = deck.draw(), deck.draw()
        >>> str(one), str(other)
        ('seed = 0, clients = 2', 'seed = 0, clients = 3')
        >>> deck.returned(other)
        >>> str(deck.draw()), len(deck)
        ('seed = 1, clients = 3', 1)
    """

    def __init__(self, cells: Iterable[Cell]):
        self._groups: dict[Any, list[Cell]] = {}
        for cell in cells:
            self._groups.setdefault(compiled_shape(cell.experiment), []).append(cell)
        for group in self._groups.values():
            group.reverse()
        self._at_work = dict.fromkeys(self._groups, 0)
        self._freed: list[Any] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __iter__(self) -> Iterator[Cell]:
        return (cell for group in self._groups.values() for cell in reversed(group))

    def draw(self) -> Cell:
        """The next cell: of a shape that a worker has just finished with, else of the one fewest work on."""
        left = [shape for shape, group in self._groups.items() if group]
        freed = [shape for shape in self._freed if shape in left]
        shape = freed[0] if freed else min(left, key=self._at_work.__getitem__)
        if freed:
            self._freed.remove(shape)
        self._at_work[shape] += 1
        return self._groups[shape].pop()

    def returned(self, cell: Cell) -> None:
        """A worker has finished with this cell."""
        shape = compiled_shape(cell.experiment)
        self._at_work[shape] -= 1
        self._freed.append(shape)


def _arrived(client: "Client", flying: "dict[Future, Cell]") -> "list[Future]":
    """Cells that are finished, after a moment at the latest; none if none is by then."""
    from distributed import wait

    with contextlib.suppress(TimeoutError), client.as_current():
        if not flying:
            client.wait_for_workers(1, timeout=_LOOK_SECONDS)
            return []
        return list(wait(list(flying), timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED").done)
    return []


def _reason(future: "Future") -> str:
    from distributed import KilledWorker

    if future.status != "error":
        return str(future.result())
    error = future.exception()
    if isinstance(error, KilledWorker):
        return f"its worker died {error.allowed_failures + 1} times (out of memory?)"
    while error.__cause__ is not None:  # such as the module that a worker's machine lacks
        error = error.__cause__
    return one_line(error)


def _quiet() -> contextlib.AbstractContextManager[None]:
    """No log lines between the progress bar's: what matters of them is said in answers and errors."""
    from distributed.utils import silence_logging_cmgr

    return silence_logging_cmgr(logging.CRITICAL)
