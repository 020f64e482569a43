"""Where results of cells are kept: one netCDF file each, put in place in one step, named by what it holds."""

import json
import os
import pathlib
from typing import TYPE_CHECKING, Any, Literal

from promptfolio.sweep.cell import Cell, canonical_json, cell_name
from promptfolio.sweep.former import former_names
from promptfolio.sweep.specification import Specification
from simulate.experiment import Experiment
from simulate.results.files import temporary_prefix
from simulate.results.provenance import refuse_later_format
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr

State = Literal["done", "missing", "unreadable", "foreign"]
"""State of a cell's file: complete; not there; not readable; or with the result of another experiment."""

_SUFFIX = ".nc"
_ATTEMPTS = 3


def cell_path(folder: str | os.PathLike[str], name: str) -> pathlib.Path:
    """Where the result of the cell of this name is, or will be."""
    return pathlib.Path(folder) / f"{name}{_SUFFIX}"


def stored_path(folder: str | os.PathLike[str], experiment: Experiment) -> pathlib.Path:
    """Where the result of an experiment is, or will be.

    That is under its name or, if only that is there, under the name that a former version gave it.
    """
    path = cell_path(folder, cell_name(experiment))
    if not os.path.lexists(path):
        for name in former_names(experiment):
            if os.path.lexists(former := cell_path(folder, name)):
                return former
    return path


def cell_state(folder: str | os.PathLike[str], experiment: Experiment) -> State:
    """Whether an experiment's result is there; it reads the file's header, and none of its numbers.

    Raises:
        ConfigurationError: when a later version of promptfolio wrote the file; the message names it.
    """
    path = stored_path(folder, experiment)
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    if not path.is_file():
        return "foreign"
    try:
        stored = _stored_experiment(path)
    except OSError:
        return "unreadable"
    if stored is not None and path.stem != cell_name(experiment):
        # Its name says that it is the same up to the engine, which the former version had chosen itself.
        stored = stored.replace(engine=experiment.engine)
    same = stored is not None and canonical_json(stored) == canonical_json(experiment)
    return "done" if same else "foreign"


def _stored_experiment(path: pathlib.Path) -> Experiment | None:
    """The experiment that a file says it holds, None if it says none; raises OSError if it is broken."""
    import h5py

    # A file is complete once it has this name, and some shared folders have no file locks.
    with h5py.File(path, "r", locking=False) as file:
        attributes = dict(file.attrs)
    refuse_later_format(path, attributes)
    attribute = attributes.get("experiment")
    try:
        return Experiment.from_json(attribute) if isinstance(attribute, str) else None
    except (ConfigurationError, TypeError, ValueError, KeyError):
        return None


def sweep_states(specification: Specification, folder: str | os.PathLike[str]) -> dict[str, State]:
    """The state of every cell by its name; cells that are the same experiment have one entry."""
    # A new folder needs no look at the files that each of many cells may have.
    empty = not os.path.isdir(folder) or not os.listdir(folder)
    states: dict[str, State] = {}
    for cell in specification.cells:
        if cell.name not in states:
            states[cell.name] = "missing" if empty else cell_state(folder, cell.experiment)
    return states


def refuse_foreign(states: dict[str, State], folder: str | os.PathLike[str]) -> None:
    """Refuse a folder in which something else has a cell's name.

    Raises:
        ConfigurationError: naming the first such file.
    """
    for name, state in states.items():
        if state == "foreign":
            raise ConfigurationError(
                "out",
                str(cell_path(folder, name)),
                "a folder where that file holds its cell's experiment; this one holds another: move it away",
            )


def save_cell(folder: str | os.PathLike[str], name: str, result: "xr.Dataset") -> None:
    """Write the result of a cell, whole or not at all.

    Raises:
        OSError: when it cannot be written, or the folder is not there.
    """
    from simulate.results.stored import save_result

    path = cell_path(folder, name)
    for attempt in range(1, _ATTEMPTS + 1):
        if not path.parent.is_dir():
            raise FileNotFoundError(f"folder {path.parent} is not there")
        try:
            save_result(path, result)
        except FileNotFoundError:
            # Another sweep of this folder removed the temporary file, as if a dead process had left it.
            if attempt == _ATTEMPTS:
                raise
        else:
            return


def remove_leftovers(folder: str | os.PathLike[str], names: set[str]) -> None:
    """Remove temporary files of these cells, which killed processes have left; `save_cell` retries if one was
    in use."""
    prefixes = {temporary_prefix(cell_path(folder, name)) for name in names}
    length = len(next(iter(prefixes), ""))
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name[:length] in prefixes and entry.name.endswith(_SUFFIX):
                pathlib.Path(entry.path).unlink(missing_ok=True)


def settings_json(cell: Cell) -> str:
    """A cell as text to send: what its specification gives, which is much shorter than what it resolves to."""
    return json.dumps(dict(cell.settings))


def experiment_from(settings: str) -> Experiment:
    """The experiment of `settings_json`."""
    return Experiment.from_json(settings)


def as_json(value: Any) -> Any:
    """A field's value as JSON has it: lists for tuples."""
    return json.loads(json.dumps(value))
