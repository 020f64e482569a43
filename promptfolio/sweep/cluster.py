"""Compute cells on Dask workers: the only module here that needs `distributed`, from the optional extra
`cluster`."""

import asyncio
import concurrent.futures
import contextlib
import importlib.util
import logging
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

from promptfolio.error_text import reason_of
from promptfolio.sweep.cell import Cell
from promptfolio.sweep.pending import PendingCells
from promptfolio.sweep.store import settings_json
from promptfolio.sweep.worker import run_cell
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from distributed import Client, Future

_CONNECT_SECONDS = 5
_POLL_SECONDS = 2.0  # longest time until workers that have joined are noticed
# Exceptions that are raised when the connection to the scheduler is lost.
_LOST = (OSError, asyncio.CancelledError, concurrent.futures.CancelledError)


def require_dask(scheduler: str) -> None:
    """Check that `distributed` is installed.

    Args:
        scheduler: the argument of `run_sweep` that needs it, for the message.

    Raises:
        ConfigurationError: when it is not installed; the message says how to install it.
    """
    if importlib.util.find_spec("distributed") is None:
        raise ConfigurationError(
            "scheduler", scheduler, "left out without Dask: pip install 'promptfolio[cluster]'"
        )


def is_open(address: str) -> bool:
    """Whether whoever reaches a scheduler's port may send it code: without TLS nobody has to say who they are.

    Example:
        >>> is_open("tcp://node:8786"), is_open("node:8786"), is_open("tls://node:8786")
        (True, True, False)
    """
    return not address.startswith(("tls://", "wss://"))


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
                "scheduler", address, f"the address of a Dask scheduler that answers ({reason_of(error)})"
            ) from None
        with client:
            yield client


async def _try_connection(address: str) -> None:
    """Open a connection and close it; a `Client` that fails to connect takes long, and logs errors afterwards."""
    from distributed.comm import connect
    from distributed.security import Security

    comm = await connect(address, _CONNECT_SECONDS, **Security().get_connection_args("client"))
    await comm.close()


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
    return reason_of(error)


def _quiet() -> contextlib.AbstractContextManager[None]:
    """Context without log messages, which would break the progress bar; results and errors report what matters."""
    from distributed.utils import silence_logging_cmgr

    return silence_logging_cmgr(logging.CRITICAL)
