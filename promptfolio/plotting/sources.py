"""Files of results read, made ready, and joined into the one dataset that a picture is drawn from."""

import itertools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import xarray as xr

from promptfolio.plotting.fields import field_meanings
from promptfolio.plotting.prepare import prepared, varied_fields
from promptfolio.sweep import each_result, read_specification
from simulate.experiment import Experiment
from simulate.results.stored import load_result
from simulate.validation import ConfigurationError

_DERIVED = ("record", "prompt_dim", "groups", "engine")
"""Fields that follow from others where they differ; a part of the setting, if only these do."""
_EVALUATED = ("theta",)


def read_material(paths: Sequence[str | os.PathLike[str]]) -> xr.Dataset:
    """The one dataset in some files of results.

    Args:
        paths: files with results; or folders of them; or the TOML file of a sweep and the folder with its cells.

    Raises:
        ConfigurationError: a file that is damaged, of another kind, or cannot be joined with the others.
    """
    return joined(_results(paths))


def _results(paths: Sequence[str | os.PathLike[str]]) -> list[xr.Dataset]:
    files = [pathlib.Path(path) for path in paths]
    specifications = [path for path in files if path.suffix == ".toml"]
    if specifications:
        folders = [path for path in files if path not in specifications]
        if len(specifications) != 1 or len(folders) != 1 or not os.path.isdir(folders[0]):
            shown = " ".join(map(str, files))
            raise ConfigurationError("file", shown, "one specification and the folder with its results")
        specification = read_specification(specifications[0])
        return [_ready(result, str(cell)) for cell, result in each_result(specification, folders[0])]
    found: list[pathlib.Path] = []
    for path in files:
        inside = sorted(path.glob("[!.]*.nc")) if os.path.isdir(path) else [path]
        if not inside:
            raise ConfigurationError("file", str(path), "a folder with results, *.nc")
        found += inside
    return [_ready(_read(path), str(path)) for path in found]


def _read(path: pathlib.Path) -> xr.Dataset:
    try:
        return load_result(path)
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, ConfigurationError):
            raise
        reason = "missing" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        raise ConfigurationError("file", str(path), f"a result that can be read ({reason})") from None


def _ready(result: xr.Dataset, name: str) -> xr.Dataset:
    try:
        return prepared(result)
    except (KeyError, TypeError) as error:
        raise ConfigurationError("file", name, f"a result of promptfolio ({error})") from None


def ready_together(results: Sequence[xr.Dataset]) -> xr.Dataset:
    """Results that were just computed, made ready and joined."""
    return joined([_ready(each, "result") for each in results])


def joined(results: Sequence[xr.Dataset]) -> xr.Dataset:
    """Results as one dataset, with a dimension for every field in which they differ.

    Several are averaged over clients, whose number may differ. Fields that make a full grid are a dimension each;
    otherwise results lie along one dimension, `run`, with fields as coordinates. Times that differ are left out
    but for the last. With other numbers of local steps, rounds take the place of steps.

    Raises:
        ConfigurationError: results of several kinds, of other θ, or twice the same.
    """
    if len(results) == 1:
        return results[0]
    fields = [_flat(varied_fields(each)) for each in results]
    if not all(fields):
        raise ConfigurationError("file", f"{len(results)} files", "one, or several results of experiments")
    names = [name for name in fields[0] if len({repr(each.get(name)) for each in fields}) > 1]
    chosen = [name for name in names if name not in (*_DERIVED, *_EVALUATED)] or names
    if not chosen:
        raise ConfigurationError("file", f"{len(results)} files", "results of different experiments")
    parts = _alike([_mean_over_clients(each) for each in results], "local_steps" in chosen)
    rows = [tuple(each[name] for name in chosen) for each in fields]
    return _described(_nested(chosen, rows, parts), results[0])


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Values as coordinates may have them: of equal entries one, other lists as JSON."""
    flat = {}
    for name, value in fields.items():
        if isinstance(value, list):
            equal = value and all(entry == value[0] for entry in value) and not isinstance(value[0], list)
            value = value[0] if equal else json.dumps(value)
        flat[name] = value
    return flat


def _mean_over_clients(data: xr.Dataset) -> xr.Dataset:
    kept = data.drop_vars([name for name in data.data_vars if str(name).startswith("client_")])
    if "client" not in kept.dims:
        return kept
    coords = [name for name, coord in kept.coords.items() if "client" in coord.dims]
    return kept.mean("client", skipna=False, keep_attrs=True).drop_vars(coords, errors="ignore")


def _alike(parts: list[xr.Dataset], by_rounds: bool) -> list[xr.Dataset]:
    """Parts with the same variables, times and θ."""
    common = set(parts[0].data_vars).intersection(*(set(part.data_vars) for part in parts))
    common = {name for name in common if len({frozenset(part[name].dims) for part in parts}) == 1}
    parts = [part[[name for name in part.data_vars if name in common]] for part in parts]
    if by_rounds and all("round" in part.coords and "step" in part.dims for part in parts):
        parts = [part.swap_dims(step="round").drop_vars("step") for part in parts]
    for time in ("step", "round"):
        if time in parts[0].dims and any(not part[time].equals(parts[0][time]) for part in parts):
            parts = [part.isel({time: -1}).drop_vars(["step", "round"], errors="ignore") for part in parts]
    for name in ("theta", "seed"):
        for part in parts:
            if name in parts[0].dims and not (name in part.dims and part[name].equals(parts[0][name])):
                raise ConfigurationError("file", name, "the same in all files, to draw them together")
    return parts


def _nested(names: list[str], rows: list[tuple[Any, ...]], parts: list[xr.Dataset]) -> xr.Dataset:
    """Parts along a dimension for every field where they make a full grid, else along `run`."""
    values = [list(dict.fromkeys(row[index] for row in rows)) for index in range(len(names))]
    values = [sorted(each) if not isinstance(each[0], str) else each for each in values]
    where = dict(zip(rows, parts, strict=True))
    grid = list(itertools.product(*values))
    if len(where) < len(parts):
        raise ConfigurationError("file", f"{len(parts)} files", "results of different experiments")
    if set(grid) != set(rows):
        joined = _concatenated(parts, "run", list(range(len(parts))))
        return joined.assign_coords(
            {name: ("run", [row[index] for row in rows]) for index, name in enumerate(names)}
        )
    blocks = [where[row] for row in grid]
    for name, labels in reversed(list(zip(names, values, strict=True))):
        size = len(labels)
        blocks = [
            _concatenated(blocks[start : start + size], name, labels) for start in range(0, len(blocks), size)
        ]
    return blocks[0]


def _concatenated(parts: list[xr.Dataset], name: str, labels: list[Any]) -> xr.Dataset:
    parts = [part.drop_vars(name, errors="ignore") for part in parts]
    return xr.concat(
        parts,
        dim=xr.DataArray(labels, dims=name, name=name),
        data_vars="all",
        coords="different",
        compat="equals",
        join="exact",
        combine_attrs="drop_conflicts",
    )


def _described(data: xr.Dataset, first: xr.Dataset) -> xr.Dataset:
    """The dataset with the meanings of the fields that vary."""
    meanings = field_meanings(Experiment)
    if "setting" in first.attrs:
        from promptfolio.checks.settings.symmetric import SymmetricSetting

        meanings = meanings | field_meanings(SymmetricSetting)
    for name in data.coords:
        if name in meanings and "long_name" not in data[name].attrs:
            data[name].attrs["long_name"] = meanings[str(name)]
    return data
