"""Words of a picture, taken from the attributes of what it shows: axis labels, legends, captions."""

import re
import textwrap
from collections.abc import Iterable
from typing import Any

import xarray as xr

_DETAIL = re.compile(r" \(T\d|[;:] |, mean over ")
"""Where the part of a meaning begins that is for a caption, not for an axis."""


def meaning(variable: xr.DataArray) -> str:
    """What a variable is, in full: its `long_name`, or its name."""
    return str(variable.attrs.get("long_name") or variable.name)


def title(variable: xr.DataArray) -> str:
    """The meaning without its details.

    Example:
        >>> beta = xr.DataArray(0.0, attrs={"long_name": "β, coefficient of the feature all clients share (T4)"})
        >>> title(beta)
        'β, coefficient of the feature all clients share'
    """
    return _DETAIL.split(meaning(variable), maxsplit=1)[0]


def symbol(variable: xr.DataArray) -> str:
    """The letter that a meaning begins with; the whole title where it begins with none.

    Example:
        >>> symbol(xr.DataArray(0.0, attrs={"long_name": "‖φ‖, norm of the noise coefficients (T4)"}))
        '‖φ‖'
        >>> symbol(xr.DataArray(0.0, attrs={"long_name": "mean training margin y f(g), with the labels"}))
        'mean training margin y f(g)'
    """
    return re.split(r", | = ", title(variable), maxsplit=1)[0]


def axis_label(variable: xr.DataArray, inches: float) -> str:
    """Title and unit, broken into lines that fit an axis of this length."""
    unit = variable.attrs.get("units", "1")
    words = title(variable) + ("" if unit in ("1", "") or unit in title(variable) else f" [{unit}]")
    return textwrap.fill(words, max(12, int(inches / 0.072)))


def number(value: Any) -> str:
    """A coordinate's value to read.

    Example:
        >>> number(0.25), number(4), number("joint")
        ('0.25', '4', 'joint')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sentences(parts: Iterable[str]) -> str:
    """A caption of sentences, each once, without those that are empty.

    Example:
        >>> sentences(["lines: means", "", "lines: means", "Bands: seeds."])
        'Lines: means. Bands: seeds.'
    """
    every = dict.fromkeys(part.strip().rstrip(".") for part in parts)
    return " ".join(f"{_capital(part)}." for part in every if part)


def _capital(sentence: str) -> str:
    """A sentence with a capital letter at its start, unless it starts with a symbol."""
    first = re.match(r"[a-z]+\b", sentence)
    return sentence[0].upper() + sentence[1:] if first and len(first[0]) > 1 else sentence
