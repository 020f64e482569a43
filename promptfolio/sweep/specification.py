"""A sweep as its user writes it: a TOML file of common fields and lists to vary, resolved into cells.

    [experiment]                 # fields of `simulate.Experiment` that all cells share
    clients = 4
    theta = { from = 0, to = 1, points = 41 }

    [grid]                       # lists of values: every combination is a cell
    rounds = [10, 100, 1000]
    scheme = ["joint", "posthoc"]

    [[together]]                 # lists of equal length that vary in step, crossed with the grid
    noise_dim = [1000, 4000]
    local_feature_sq = [5.6, 11.2]

An entry of a list to vary is what one would write in [experiment]. So a grid over a list-valued field is a list of
lists, and ``theta = [0, 0.5]`` varies two cells of one θ each.
"""

import dataclasses
import itertools
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from promptfolio.documents import read_document
from promptfolio.sweep.cell import Cell, shown
from promptfolio.sweep.fields import field_kinds, read_value, read_values
from simulate.former_names import FIELDS
from simulate.validation import ConfigurationError

MOST_CELLS = 100_000
"""Largest number of cells of a sweep; each is a file."""
MOST_BYTES = 2**24
"""Largest size of a specification."""

_TABLES = ("experiment", "grid", "together")


@dataclasses.dataclass(frozen=True)
class Axis:
    """The fields and values that vary along one axis of a sweep.

    Attributes:
        fields: one field of the grid, or those of a table of fields that vary together.
        rows: the fields' values, one row per position on the axis.
    """

    fields: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclasses.dataclass(frozen=True)
class Specification:
    """A sweep: its axes and its cells, the last axis varying fastest.

    Cells that resolve to the same experiment stay apart here, and share one computation and one file.
    """

    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]

    @property
    def varied(self) -> tuple[str, ...]:
        """All fields that vary, in the order of the axes."""
        return tuple(field for axis in self.axes for field in axis.fields)


def read_specification(path: str | os.PathLike[str]) -> Specification:
    """Read a specification, and build and validate all of its cells.

    Raises:
        ConfigurationError: when the file cannot be read, or as `parse_specification` says.
    """
    text = read_document("spec", path, "a TOML file", most_bytes=MOST_BYTES)
    try:
        document = tomllib.loads(text)
    # A plain ValueError: an integer of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("spec", str(path), f"valid TOML ({error})") from None
    return parse_specification(document)


def parse_specification(document: Mapping[str, Any]) -> Specification:
    """Build a sweep from the tables that TOML would give.

    Raises:
        ConfigurationError: naming the first table, field or value that is not allowed, and for an experiment
            that is not, the cell it belongs to.

    Example:
        >>> sweep = parse_specification({"experiment": {"rounds": 5}, "grid": {"clients": [2, 4], "seed": [0, 1]}})
        >>> [str(cell) for cell in sweep.cells]
        ['clients = 2, seed = 0', 'clients = 2, seed = 1', 'clients = 4, seed = 0', 'clients = 4, seed = 1']
    """
    for table in document:
        if table not in _TABLES:
            raise ConfigurationError("table", table, "one of [experiment], [grid] and [[together]]")
    common = _table("experiment", document.get("experiment", {}))
    fixed = tuple((field, read_value(f"experiment.{field}", field, raw)) for field, raw in common.items())
    grid, together = _grid(document.get("grid", {})), _together(document.get("together", []))
    _refuse_repeated_fields(
        {"[experiment]": common, "[grid]": _fields(grid), "[[together]]": _fields(together)}
    )
    axes = (*grid, *together)
    count = math.prod(len(axis.rows) for axis in axes)
    if count > MOST_CELLS:
        raise ConfigurationError("grid", f"{count} cells", f"at most {MOST_CELLS} cells")
    return Specification(axes, tuple(_cell(axes, fixed, rows) for rows in itertools.product(*_rows(axes))))


def _rows(axes: tuple[Axis, ...]) -> list[tuple[tuple[Any, ...], ...]]:
    return [axis.rows for axis in axes]


def _table(where: str, raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise ConfigurationError(where, raw, f"a table, written [{where}]")
    for field in raw:
        if field in FIELDS:
            raise ConfigurationError(where, field, f"{FIELDS[field]}, the present name of that field")
        if field not in field_kinds():
            raise ConfigurationError(where, field, "a field of an experiment: " + ", ".join(field_kinds()))
    return raw


def _grid(raw: Any) -> list[Axis]:
    axes = []
    for field, values in _table("grid", raw).items():
        where = f"grid.{field}"
        rows = tuple((value,) for value in read_values(where, field, values))
        _refuse_repeated_rows(where, rows)
        axes.append(Axis((field,), rows))
    return axes


def _together(raw: Any) -> list[Axis]:
    if not isinstance(raw, list):
        raise ConfigurationError("together", raw, "an array of tables, each written [[together]]")
    axes = []
    for number, entry in enumerate(raw, start=1):
        where = "together" if len(raw) == 1 else f"together[{number}]"
        if not isinstance(entry, dict) or not entry:
            raise ConfigurationError(where, entry, "a table of lists, written [[together]]")
        columns = {
            field: read_values(f"{where}.{field}", field, values)
            for field, values in _table(where, entry).items()
        }
        lengths = {field: len(values) for field, values in columns.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{field} has {length}" for field, length in lengths.items())
            raise ConfigurationError(where, tuple(columns), f"lists of equal length ({said})")
        rows = tuple(zip(*columns.values(), strict=True))
        _refuse_repeated_rows(where, rows)
        axes.append(Axis(tuple(columns), rows))
    return axes


def _refuse_repeated_rows(where: str, rows: tuple[tuple[Any, ...], ...]) -> None:
    seen = set()
    for row in rows:
        if row in seen:
            raise ConfigurationError(where, ", ".join(map(shown, row)), "given once only")
        seen.add(row)


def _fields(axes: list[Axis]) -> list[str]:
    return [field for axis in axes for field in axis.fields]


def _refuse_repeated_fields(tables: Mapping[str, Iterable[str]]) -> None:
    seen: dict[str, str] = {}
    for table, fields in tables.items():
        for field in fields:
            if field in seen:
                raise ConfigurationError("field", field, f"given once only, and {seen[field]} has it already")
            seen[field] = table


def _cell(
    axes: tuple[Axis, ...], fixed: tuple[tuple[str, Any], ...], rows: tuple[tuple[Any, ...], ...]
) -> Cell:
    varied = tuple(
        pair for axis, row in zip(axes, rows, strict=True) for pair in zip(axis.fields, row, strict=True)
    )
    cell = Cell(varied, (*fixed, *varied))
    try:
        cell.experiment  # noqa: B018 - to refuse what is not allowed
    except ConfigurationError as error:
        if not varied:
            raise
        raise ConfigurationError(error.field, error.value, f"{error.allowed} (in the cell {cell})") from None
    return cell
