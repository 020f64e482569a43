"""Compute the missing cells of a sweep: in this process, in processes of this machine, or on any Dask cluster."""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Literal

from promptfolio.processes.children import own_processes
from promptfolio.processes.ending import cleaned_up
from promptfolio.sweep.cell import Cell, by_compiled_shape
from promptfolio.sweep.specification import Specification
from promptfolio.sweep.store import Found, cell_path, common_settings, find_cell, find_cells, refuse_foreign
from promptfolio.sweep.worker import Runner, stop_reason
from simulate.results.files import remove_files_of, remove_leftovers
from simulate.validation import ConfigurationError, require_integer

_PATIENCE = 10.0
"""Seconds a shared folder may take to show a file that another machine has written."""

Progress = Callable[[int, int], None]
"""Called with (cells done, cells in all)."""
Notice = Callable[[str], None]
"""Called with a sentence that the sweep's user must know."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a sweep for one of its cells.

    Attributes:
        cell: the cell.
        state: found (its file existed before the sweep), computed, or failed.
        reason: why it failed, in one line; empty otherwise.
    """

    cell: Cell
    state: Literal["found", "computed", "failed"]
    reason: str = ""


def run_sweep(
    specification: Specification,
    folder: str | os.PathLike[str],
    *,
    workers: int | None = None,
    threads: int | None = None,
    scheduler: str | None = None,
    memory: float | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
    there: Mapping[str, Found] | None = None,
) -> list[Outcome]:
    """Compute the cells whose files are missing; a cell that fails does not keep the others from being computed.

    Args:
        specification: the sweep.
        folder: for the results; created if it does not exist. On a cluster all machines must share it.
        workers: processes on this machine, each with one cell at a time. 0 computes in this process, one cell after
            the other; None takes one process per core, and at most one per 2 GiB of memory.
        threads: cores for each process; None divides the machine's cores among them.
        scheduler: address of a Dask scheduler, such as ``tls://node:8786``, whose workers are used instead.
        memory: GiB for the arrays of each cell, as of `simulate.run`.
        progress: called with (cells done, cells in all) at the start and after each cell.
        notice: called when a worker process of this machine dies and its cell is tried again, and when a scheduler
            is reached without TLS.
        there: what `promptfolio.sweep.store.find_cells` has just found in the folder, which is then not read again.

    Returns:
        One outcome per cell, in the specification's order.

    Raises:
        ConfigurationError: when an argument is not allowed, Dask is not installed, the scheduler does not answer,
            the folder or a result cannot be written, a file in it has a cell's name and holds something else, or
            results in it were computed under other settings, or other versions of JAX, than the missing ones
            would be.
    """
    _check(workers, threads, scheduler)
    notice = notice or _ignore
    if scheduler is not None:
        _check_scheduler(scheduler, notice)
    folder = pathlib.Path(folder).resolve()
    if there is None:
        there = find_cells(specification, folder)
    states = {name: found.state for name, found in there.items()}
    refuse_foreign(states, folder)
    settings = common_settings(there.values())
    missing = ordered_by_shape(cell for cell in specification.cells if states[cell.name] != "done")
    reasons: dict[str, str] = {}
    found = len(states) - len(missing)
    if progress is not None:
        progress(found, len(states))
    if missing:
        computing = _finished(missing, folder, workers, threads, scheduler, memory, settings, notice)
        # Closed at once on an interrupt, so that no process is left running.
        with (
            cleaned_up(lambda: remove_files_of(folder, own_processes())),
            contextlib.closing(computing) as arriving,
        ):
            for cell, reason in arriving:
                if (allowed := stop_reason(reason)) is not None:
                    raise ConfigurationError("out", str(folder), f"a folder {allowed}")
                reasons[cell.name] = reason
                if progress is not None:
                    progress(found + len(reasons), len(states))
    return [_outcome(cell, reasons.get(cell.name)) for cell in specification.cells]


def _outcome(cell: Cell, reason: str | None) -> Outcome:
    if reason is None:
        return Outcome(cell, "found")
    return Outcome(cell, "failed", reason) if reason else Outcome(cell, "computed")


def ordered_by_shape(cells: Iterable[Cell]) -> list[Cell]:
    """Cells without repeats, those of one compiled shape together, otherwise in the order given."""
    different = {cell.name: cell for cell in cells}
    return [cell for group in by_compiled_shape(different.values()).values() for cell in group]


def _finished(
    cells: list[Cell],
    folder: pathlib.Path,
    workers: int | None,
    threads: int | None,
    scheduler: str | None,
    memory: float | None,
    settings: Mapping[str, str],
    notice: Notice,
) -> Generator[tuple[Cell, str]]:
    if workers == 0:
        _prepare(folder)
        runner = Runner()
        for cell in cells:
            yield cell, runner.compute(cell.experiment, folder, memory, settings)
        return
    if scheduler is None:
        from promptfolio.sweep.local import compute_locally

        _prepare(folder)
        yield from compute_locally(
            cells, folder, memory, settings, workers=workers, threads=threads, notice=notice
        )
        return
    from promptfolio.sweep.cluster import compute_on, connected

    with connected(scheduler) as client:
        _prepare(folder)
        computed = []
        for cell, reason in compute_on(client, cells, folder, memory, settings):
            if not reason:
                _require_shared(folder, cell)
                computed.append(cell)
            yield cell, reason
    if scheduler is not None:
        # Only now: reading files would keep the cluster waiting, whose workers may be of unlike machines.
        common_settings(find_cell(folder, cell.experiment) for cell in computed)


def _require_shared(folder: pathlib.Path, cell: Cell) -> None:
    """Check that a file which a worker has written appears in this process's folder.

    Raises:
        ConfigurationError: when it does not within `_PATIENCE` seconds.
    """
    deadline = time.monotonic() + _PATIENCE
    # Listing the folder makes a network file system refresh its cache.
    while cell_path(folder, cell.name).name not in os.listdir(folder):
        if time.monotonic() > deadline:
            raise ConfigurationError(
                "out",
                str(folder),
                "a folder that all workers share (the file that a worker wrote is not in it)",
            )
        time.sleep(_PATIENCE / 50)


def _check(workers: int | None, threads: int | None, scheduler: str | None) -> None:
    if scheduler is not None:
        for option, value in (("workers", workers), ("threads", threads)):
            if value is not None:
                raise ConfigurationError(
                    option, value, "left out with a scheduler, which has its own workers"
                )
    if workers is not None:
        require_integer("workers", workers, 0)
    if threads is not None:
        require_integer("threads", threads, 1)
        if workers == 0:
            raise ConfigurationError(
                "threads", threads, "left out when workers = 0, as this process uses all cores"
            )


def _check_scheduler(scheduler: str, notice: Notice) -> None:
    from promptfolio.sweep.cluster import is_open, require_dask

    require_dask(scheduler)
    if is_open(scheduler):
        notice(
            f"{scheduler} is reached without TLS: whoever else reaches its port can run code as the owner of its"
            " workers; docs/sweep.md says how to use tls://"
        )


def _ignore(sentence: str) -> None:
    pass


def _prepare(folder: pathlib.Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
    except OSError as error:
        raise ConfigurationError(
            "out", str(folder), f"a folder that can be written ({error.strerror})"
        ) from None
