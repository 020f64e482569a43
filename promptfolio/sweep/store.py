"""Where results of cells are kept: one netCDF file each, put in place in one step, named by what it holds."""

import dataclasses
import errno
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from promptfolio.sweep.cell import Cell, canonical_json, cell_name
from promptfolio.sweep.former import former_names
from promptfolio.sweep.specification import Specification
from simulate.experiment import Experiment
from simulate.results.provenance import different_setting, refuse_later_format, settings_of
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr

State = Literal["done", "missing", "unreadable", "foreign"]
"""State of a cell's file: whole; not there; damaged or not readable; or with the result of another experiment."""

_SUFFIX = ".nc"


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


@dataclasses.dataclass(frozen=True)
class Found:
    """What is found in a cell's place.

    Attributes:
        state: of its file.
        path: of its file.
        settings: under which a result that is done was computed (`simulate.results.provenance.settings_of`).
    """

    state: State
    path: pathlib.Path
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def cell_state(folder: str | os.PathLike[str], experiment: Experiment) -> State:
    """Whether an experiment's result is there, and whole: all of the file's bytes are checked.

    Raises:
        ConfigurationError: when a later version of promptfolio wrote the file; the message names it.
    """
    return find_cell(folder, experiment).state


def find_cell(folder: str | os.PathLike[str], experiment: Experiment) -> Found:
    """`cell_state` with what else the file says.

    Raises:
        ConfigurationError: as `cell_state`.
    """
    path = stored_path(folder, experiment)
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Found("missing", path)
    if not path.is_file():
        return Found("foreign", path)
    try:
        attributes = _attributes(path)
    except OSError:
        return Found("unreadable", path)
    stored = stored_experiment(attributes)
    if stored is not None and path.stem != cell_name(experiment):
        # Its name says that it is the same up to the engine, which the former version had chosen itself.
        stored = stored.replace(engine=experiment.engine)
    if stored is None or canonical_json(stored) != canonical_json(experiment):
        return Found("foreign", path)
    return Found("done", path, settings_of(attributes))


def _attributes(path: pathlib.Path) -> dict[str, Any]:
    from simulate.results.netcdf import read_attributes

    attributes = read_attributes(path)
    refuse_later_format(path, attributes)
    return attributes


def stored_experiment(attributes: Mapping[str, Any]) -> Experiment | None:
    """The experiment that a file's attributes say it holds; None if they say none."""
    attribute = attributes.get("experiment")
    try:
        return Experiment.from_json(attribute) if isinstance(attribute, str) else None
    except (ConfigurationError, TypeError, ValueError, KeyError):
        return None


def find_cells(specification: Specification, folder: str | os.PathLike[str]) -> dict[str, Found]:
    """What is in the place of every cell, by its name; cells that are the same experiment have one entry."""
    # A new folder needs no look at the files that each of many cells may have.
    empty = not os.path.isdir(folder) or not os.listdir(folder)
    found: dict[str, Found] = {}
    for cell in specification.cells:
        if cell.name not in found:
            missing = Found("missing", cell_path(folder, cell.name))
            found[cell.name] = missing if empty else find_cell(folder, cell.experiment)
    return found


def sweep_states(specification: Specification, folder: str | os.PathLike[str]) -> dict[str, State]:
    """The state of every cell by its name; cells that are the same experiment have one entry."""
    return {name: found.state for name, found in find_cells(specification, folder).items()}


def common_settings(found: Iterable[Found]) -> dict[str, str]:
    """The settings under which all cells that are done were computed; empty if none is done.

    Raises:
        ConfigurationError: naming two files and a setting in which they differ.
    """
    common: dict[str, str] = {}
    first: dict[str, pathlib.Path] = {}
    for each in found:
        if (name := different_setting(common, each.settings)) is not None:
            raise ConfigurationError(
                name,
                each.settings[name],
                f"the same in all cells of a sweep; {each.path} has this one, {first[name]} has {common[name]!r}:"
                " move the cells of one of them away",
            )
        first |= {name: each.path for name in each.settings if name not in common}
        common |= each.settings
    return common


def refuse_foreign(states: Mapping[str, State], folder: str | os.PathLike[str]) -> None:
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
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder is not there any more")
    save_result(path, result)


def settings_json(cell: Cell) -> str:
    """A cell as text to send: what its specification gives, which is much shorter than what it resolves to."""
    return json.dumps(dict(cell.settings))


def experiment_from(settings: str) -> Experiment:
    """The experiment of `settings_json`."""
    return Experiment.from_json(settings)


def as_json(value: Any) -> Any:
    """A field's value as JSON has it: lists for tuples."""
    return json.loads(json.dumps(value))
