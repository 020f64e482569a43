"""Results of a sweep: cell by cell, or as one dataset with the varied fields as coordinates."""

import json
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import xarray as xr

from promptfolio.sweep.cell import Cell
from promptfolio.sweep.specification import Axis, Specification, read_specification
from promptfolio.sweep.store import Found, common_settings, find_cell, stored_experiment, stored_path
from simulate.experiment import Experiment
from simulate.results.netcdf import read_attributes
from simulate.results.provenance import refuse_later_format
from simulate.results.stored import load_result
from simulate.validation import ConfigurationError

Specified = Specification | str | os.PathLike[str]
"""A sweep, or the path of its TOML file."""

# Fields of the experiment that a coordinate of its result is named like, and that coordinate's name when the field
# varies.
_RENAMED = {"seed": "replicate", "samples": "client_samples"}


def load_cell(folder: str | os.PathLike[str], experiment: Experiment) -> xr.Dataset:
    """The stored result of an experiment.

    Raises:
        ConfigurationError: when it is not there, or its file is broken, holds another experiment or comes from a
            later version of promptfolio.
    """
    return load_result(_done_path(folder, experiment))


def _done_path(folder: str | os.PathLike[str], experiment: Experiment) -> pathlib.Path:
    """Where the result of an experiment is; `ConfigurationError` when it is not there."""
    return _done(folder, experiment).path


def _done(folder: str | os.PathLike[str], experiment: Experiment) -> Found:
    found = find_cell(folder, experiment)
    if found.state != "done":
        raise ConfigurationError("cell", str(found.path), f"there: run the sweep first (it is {found.state})")
    return found


def each_result(
    specification: Specified, folder: str | os.PathLike[str]
) -> Iterator[tuple[Cell, xr.Dataset]]:
    """Every cell with its result, loaded one at a time.

    Raises:
        ConfigurationError: when a result is not there, once it is reached.
    """
    for cell in _specification(specification).cells:
        yield cell, load_cell(folder, cell.experiment)


def stored_results(folder: str | os.PathLike[str]) -> Iterator[tuple[Experiment, xr.Dataset]]:
    """Every result in a folder with its experiment, in the order of their names, whatever sweeps they are from.

    Raises:
        ConfigurationError: when a file is damaged, holds no result or comes from a later version, once it is
            reached.
    """
    for path in sorted(pathlib.Path(folder).glob("[!.]*.nc")):
        try:
            attributes = read_attributes(path)
        except OSError as error:
            raise ConfigurationError("cell", str(path), f"readable ({error})") from None
        refuse_later_format(path, attributes)
        experiment = stored_experiment(attributes)
        if experiment is None:
            raise ConfigurationError("cell", str(path), "a file with the result of an experiment")
        if stored_path(folder, experiment) == path:
            yield experiment, load_cell(folder, experiment)


def load_sweep(
    specification: Specified, folder: str | os.PathLike[str], variables: Sequence[str] | None = None
) -> xr.Dataset:
    """All results of a sweep as one dataset.

    Every axis of the sweep is a dimension, named after its field, or the first field of a table that varies
    together (the others are further coordinates along it). Values are numbers or texts; a list is written as
    JSON. Coordinate `cell` says which file a result comes from. Where a coordinate of the result has
    the name of a varied field, the coordinate is renamed: ``seed`` becomes ``replicate``, ``samples`` becomes
    ``client_samples``. Where θ varies over cells of one θ each, it is the axis. With varying ``local_steps``,
    rounds take the place of steps.

    Args:
        specification: the sweep, or the path of its TOML file.
        folder: where its results are.
        variables: names of those to load; None loads all.

    Raises:
        ConfigurationError: when a result is not there, a variable is unknown, or results differ in their
            dimensions (as with another number of clients, other recorded rounds, several θ) or in the settings
            they were computed under (`simulate.results.provenance.settings_of`): `each_result` then gives them
            one by one.
    """
    specification = _specification(specification)
    found = [_done(folder, cell.experiment) for cell in specification.cells]
    common_settings(found)
    paths = [each.path for each in found]
    parts = [
        _prepared(load_result(path), specification.varied, variables).assign_coords(cell=path.stem)
        for path in paths
    ]
    _require_equal_coordinates(specification.cells, parts)
    return _nested(list(specification.axes), parts)


def _specification(given: Specified) -> Specification:
    return given if isinstance(given, Specification) else read_specification(given)


def _prepared(result: xr.Dataset, varied: Sequence[str], variables: Sequence[str] | None) -> xr.Dataset:
    """A result with the variables asked for; coordinates that have the name of a varied field are renamed."""
    for variable in variables or ():
        if variable not in result.data_vars:
            raise ConfigurationError("variables", variable, "one of " + ", ".join(map(str, result.data_vars)))
    result = result if variables is None else result[list(variables)]
    if "local_steps" in varied and "step" in result.dims:
        result = result.swap_dims(step="round").rename(step="gradient_step")
    if "theta" in varied and result.sizes.get("theta") == 1:
        result = result.squeeze("theta", drop=True)
    renamed = {
        old: new for old, new in _RENAMED.items() if old in varied and old in (*result.coords, *result.dims)
    }
    return result.rename(renamed)


def _require_equal_coordinates(cells: Sequence[Cell], parts: Sequence[xr.Dataset]) -> None:
    first = parts[0]
    for cell, part in zip(cells, parts, strict=True):
        for name in map(str, first.dims):
            if name not in part.dims or not part[name].variable.equals(first[name].variable):
                raise ConfigurationError(
                    "dimension",
                    name,
                    f"the same in all cells to make one dataset; it differs in the cell {cell}: use each_result",
                )


def _nested(axes: list[Axis], parts: list[xr.Dataset]) -> xr.Dataset:
    if not axes:
        return parts[0]
    axis, rest = axes[0], axes[1:]
    size = len(parts) // len(axis.rows)
    blocks = [_nested(rest, parts[start : start + size]) for start in range(0, len(parts), size)]
    labels = dict(zip(axis.fields, map(_labels, zip(*axis.rows, strict=True)), strict=True))
    name, *others = axis.fields
    joined = xr.concat(
        blocks,
        dim=xr.DataArray(labels[name], dims=name, name=name),
        data_vars="all",
        coords="different",
        compat="equals",
        join="exact",
        combine_attrs="drop_conflicts",
    )
    return joined.assign_coords({field: (name, labels[field]) for field in others})


def _labels(values: Sequence[Any]) -> list[Any]:
    """Coordinates along an axis: values, entries of lists that have one each, or lists written as JSON."""
    if not isinstance(values[0], tuple):
        return list(values)
    if all(len(value) == 1 and not isinstance(value[0], tuple) for value in values):
        return [value[0] for value in values]
    return [json.dumps(dict(value) if value and isinstance(value[0], tuple) else value) for value in values]
