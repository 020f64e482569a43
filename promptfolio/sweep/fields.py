"""The fields of an experiment as a specification may write them: values, lists of values, ranges."""

import dataclasses
import functools
import math
import typing
from fractions import Fraction
from typing import Any, Literal, get_args, get_origin

from simulate.experiment import Experiment
from simulate.validation import ConfigurationError, require_choice, require_integer, require_number

Kind = Literal["integer", "number", "text", "integers", "numbers", "options"]
"""What a field holds: one value, a list of values, or named numbers (an optimizer's options)."""

MOST_POINTS = 100_000
"""Largest number of points of a range, so that a mistyped number is refused before it fills the memory."""

_RANGE = ("from", "to", "points")
_SPACINGS = ("linear", "log")
_DIGITS = 12
_ALLOWED = {
    "integer": "an integer",
    "number": "a number",
    "text": "a text",
    "integers": "an integer, a list of integers or a range {from, to, points}",
    "numbers": "a number, a list of numbers or a range {from, to, points}",
    "options": "a table of names and numbers",
}


@functools.cache
def field_kinds() -> dict[str, Kind]:
    """Every field of `simulate.Experiment` and what it holds.

    Example:
        >>> kinds = field_kinds()
        >>> kinds["clients"], kinds["learning_rate"], kinds["scheme"], kinds["theta"]
        ('integer', 'number', 'text', 'numbers')
    """
    hints = typing.get_type_hints(Experiment)
    return {field.name: _kind(hints[field.name]) for field in dataclasses.fields(Experiment)}


def _kind(hint: Any) -> Kind:
    scalars: dict[Any, Kind] = {int: "integer", float: "number", str: "text"}
    lists: dict[Any, Kind] = {int: "integers", float: "numbers"}
    if get_origin(hint) is Literal:
        return "text"
    if get_origin(hint) is tuple:
        return lists.get(get_args(hint)[0], "options")
    return scalars[hint]


def read_value(where: str, field: str, raw: Any) -> Any:
    """One value of a field, as the experiment takes it: numbers as floats, lists as tuples.

    Args:
        where: place in the specification, such as "grid.theta", for messages.
        field: a field of `simulate.Experiment`.
        raw: the value as read from TOML. A list-valued field takes a list, a range, or a single entry; options
            a table.

    Raises:
        ConfigurationError: when the value is of another type; limits are the experiment's own to check.

    Example:
        >>> read_value("experiment.theta", "theta", {"from": 0, "to": 1, "points": 5})
        (0.0, 0.25, 0.5, 0.75, 1.0)
        >>> read_value("experiment.samples", "samples", 10)
        (10,)
    """
    kind = field_kinds()[field]
    if kind in ("integers", "numbers"):
        entry: Kind = "integer" if kind == "integers" else "number"
        entries = _expand(where, raw, entry) if isinstance(raw, dict) else raw
        if not isinstance(entries, list):
            entries = [entries]
        if any(isinstance(one, list | dict) for one in entries):
            raise ConfigurationError(where, raw, _ALLOWED[kind])
        return tuple(_scalar(where, entry, one) for one in entries)
    if kind == "options":
        if not isinstance(raw, dict):
            raise ConfigurationError(where, raw, _ALLOWED[kind])
        return tuple((name, _scalar(f"{where}.{name}", "number", raw[name])) for name in sorted(raw))
    return _scalar(where, kind, raw)


def read_values(where: str, field: str, raw: Any) -> tuple[Any, ...]:
    """A list of values of a field: each entry is what `read_value` takes; a range gives one value per point.

    Raises:
        ConfigurationError: when there is no list, or no value in it, or one of another type.

    Example:
        >>> read_values("grid.theta", "theta", [0, [0, 0.5], {"from": 0, "to": 1, "points": 3}])
        ((0.0,), (0.0, 0.5), (0.0, 0.5, 1.0))
        >>> read_values("grid.theta", "theta", {"from": 0, "to": 1, "points": 3})
        ((0.0,), (0.5,), (1.0,))
    """
    kind = field_kinds()[field]
    if isinstance(raw, dict) and kind in ("integer", "number", "integers", "numbers"):
        raw = _expand(where, raw, "integer" if kind.startswith("integer") else "number")
    if not isinstance(raw, list) or not raw:
        single = "" if isinstance(raw, list | dict) else "; a single value belongs in [experiment]"
        ranges = "" if kind in ("text", "options") else " or a range {from, to, points}"
        raise ConfigurationError(where, raw, f"a list of at least one value{ranges}{single}")
    return tuple(read_value(where, field, value) for value in raw)


def _scalar(where: str, kind: Kind, raw: Any) -> Any:
    types: Any = {"integer": int, "text": str}.get(kind, int | float)
    if isinstance(raw, bool) or not isinstance(raw, types):
        raise ConfigurationError(where, raw, _ALLOWED[kind])
    if kind != "number":
        return raw
    try:
        return float(raw) + 0.0  # −0.0 becomes 0.0, so that equal experiments have one name
    except OverflowError:
        raise ConfigurationError(where, raw, "a finite number") from None


def _expand(where: str, table: dict[str, Any], kind: Kind) -> list[Any]:
    """The points of a range, both ends included."""
    unknown = sorted(set(table) - {*_RANGE, "spacing"})
    if unknown:
        raise ConfigurationError(
            f"{where}.{unknown[0]}", table[unknown[0]], "left out: a range has from, to, points, spacing"
        )
    for key in _RANGE:
        if key not in table:
            raise ConfigurationError(where, table, f"a range with from, to and points ({key} is missing)")
    spacing = table.get("spacing", "linear")
    require_choice(f"{where}.spacing", spacing, _SPACINGS)
    points = table["points"]
    require_integer(f"{where}.points", points, 2)
    if points > MOST_POINTS:
        raise ConfigurationError(f"{where}.points", points, f"at most {MOST_POINTS}")
    start, stop = (_scalar(f"{where}.{key}", kind, table[key]) for key in ("from", "to"))
    require_number(f"{where}.from", start, **({"above": 0} if spacing == "log" else {}))
    require_number(f"{where}.to", stop, above=start)
    whole = kind == "integer"
    return (_log if spacing == "log" else _linear)(where, table, start, stop, points, whole)


def _linear(where: str, table: Any, start: Any, stop: Any, points: int, whole: bool) -> list[Any]:
    # Exact in the decimal numbers that the user wrote: 0.3 of a range is the 0.3 of a list, to the last bit.
    first, last = Fraction(str(start)), Fraction(str(stop))
    exact = [first + (last - first) * index / (points - 1) for index in range(points)]
    if not whole:
        return [float(point) for point in exact]
    if any(point.denominator != 1 for point in exact):
        raise ConfigurationError(where, table, "a range whose points are integers")
    return [int(point) for point in exact]


def _log(where: str, table: Any, start: Any, stop: Any, points: int, whole: bool) -> list[Any]:
    growth = (math.log(stop) - math.log(start)) / (points - 1)
    inner = [start * math.exp(growth * index) for index in range(1, points - 1)]
    if whole:
        return [start, *(round(point) for point in inner), stop]
    return [start, *(float(f"{point:.{_DIGITS}g}") for point in inner), stop]
