"""Numbers of a picture out of a dataset: means, spreads, predictions, and what was selected of it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from figures.options import CannotDrawError, Spread
from figures.text import number

MEASURED = ("seed", "theta", "step", "round", "client", "prompt", "predictor")
"""Dimensions of one run; others are fields that vary between runs."""
MOST_LINES = 8
"""Largest number of lines of one kind in a panel."""


class Summary(NamedTuple):
    """A mean along one dimension with its spread.

    Attributes:
        mean: over seeds and clients.
        low, high: ends of the band; None where there is nothing to spread over.
        said: what the lines and the band are, for a caption.
    """

    mean: xr.DataArray
    low: xr.DataArray | None
    high: xr.DataArray | None
    said: str


def swept(data: xr.Dataset) -> list[str]:
    """Dimensions of a dataset along which its runs differ, of more than one value each."""
    return [str(dim) for dim in data.dims if dim not in MEASURED and data.sizes[dim] > 1]


def time_of(data: xr.Dataset) -> str:
    """The dimension along which training is recorded."""
    return "step" if "step" in data.dims or "round" not in data.dims else "round"


def of_mixture(values: xr.DataArray) -> xr.DataArray:
    """What belongs to the mixture, of values that single prompts have, too."""
    return values.sel(predictor="mixture", drop=True) if "predictor" in values.dims else values


def prediction_of(data: xr.Dataset, name: str) -> xr.DataArray | None:
    """The prediction of a variable that the dataset holds beside it, if any."""
    for key in (f"predicted_{name}", f"{name}_predicted"):
        if key in data:
            return data[key]
    return None


def mean_over(values: xr.DataArray, *names: str) -> xr.DataArray:
    """Mean over those of the dimensions that there are; a number that is not finite stays one."""
    over = [name for name in names if name in values.dims]
    return values.mean(over, skipna=False, keep_attrs=True) if over else values


def spread_over(values: xr.DataArray, spread: Spread) -> str | None:
    """The dimension that a band reaches over, for this choice."""
    candidates = {"auto": ("seed", "client"), "seeds": ("seed",), "clients": ("client",)}
    chosen = candidates.get(spread, ())
    return next((name for name in chosen if values.sizes.get(name, 1) > 1), None)


def summarise(values: xr.DataArray, spread: Spread) -> Summary:
    """Mean over seeds and clients, and from the smallest to the largest of what the spread is over."""
    there = [name for name in ("client", "seed") if values.sizes.get(name, 1) > 1]
    mean = mean_over(values, "seed", "client")
    over = spread_over(values, spread)
    said = f"lines: mean over {' and '.join(f'{name}s' for name in there)}" if there else ""
    if over is None:
        return Summary(mean, None, None, said)
    kept = mean_over(values, "client" if over == "seed" else "seed")
    return Summary(
        mean,
        kept.min(over, skipna=False),
        kept.max(over, skipna=False),
        f"{said}; bands: smallest to largest {over}",
    )


def select(data: xr.Dataset, chosen: Mapping[str, str]) -> xr.Dataset:
    """The part of a dataset at chosen values of its coordinates.

    Args:
        data: the dataset.
        chosen: values by coordinate, as text.

    Raises:
        CannotDrawError: a coordinate, or its value, is not there.

    Example:
        >>> data = xr.Dataset({"loss": ("step", [3.0, 2.0])}, {"step": [1, 50]})
        >>> float(select(data, {"step": "50"}).loss)
        2.0
    """
    for name, text in chosen.items():
        along = {str(key): coord for key, coord in data.coords.items() if coord.ndim == 1}
        if name not in along:
            raise CannotDrawError("at", name, "a field of the data: " + ", ".join(along))
        coordinate = along[name]
        place = [index for index, value in enumerate(coordinate.values.tolist()) if _is(value, text)]
        if not place:
            raise CannotDrawError(f"at {name}", text, "one of " + listed(coordinate))
        index = place[0] if len(place) == 1 else place
        data = data.isel({str(coordinate.dims[0]): index})
    return data


def _is(value: object, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    try:
        return bool(np.isclose(float(value), float(text), rtol=1e-9, atol=1e-12))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value) == text


def listed(coordinate: xr.DataArray) -> str:
    """The values of a coordinate, to read; the middle of many is left out."""
    shown = [number(value) for value in coordinate.values.tolist()]
    return ", ".join(shown if len(shown) <= 12 else [*shown[:6], "…", *shown[-5:]])


def at_one(data: xr.Dataset, name: str, place: str) -> tuple[xr.Dataset, str]:
    """A dataset at one place of a dimension, the "last" or the "middle" one, and what to say of that.

    What was left out is said: a reader chooses another place with ``--at``.
    """
    if name not in data.dims:
        return data, _fixed(data, name)
    size = data.sizes[name]
    index = size - 1 if place == "last" else int(np.argmin(np.abs(data[name].values - np.median(data[name]))))
    data = data.isel({name: index})
    return data, _fixed(data, name)


def _fixed(data: xr.Dataset, name: str) -> str:
    if name not in data.coords or data[name].ndim:
        return ""
    units = data[name].attrs.get("units", "1")
    value = number(data[name].item())
    if units == "1":
        return f"{data[name].attrs.get('long_name', name)}: {value}"
    return f"after {counted(value, units)}"


def counted(value: str, unit: str) -> str:
    """A number of units.

    Example:
        >>> counted("1", "step"), counted("50", "round")
        ('1 step', '50 rounds')
    """
    return f"{value} {unit}" + ("" if value == "1" else "s")


def lines_along(data: xr.Dataset, but: set[str]) -> list[tuple[str, xr.Dataset]]:
    """The dataset for every combination of the fields that vary, except some, each with what tells it apart.

    Raises:
        CannotDrawError: when there are more than `MOST_LINES`.
    """
    names = [name for name in swept(data) if name not in but]
    count = int(np.prod([data.sizes[name] for name in names])) if names else 1
    if count > MOST_LINES:
        sizes = ", ".join(f"{name} has {data.sizes[name]}" for name in names)
        raise CannotDrawError("lines", count, f"at most {MOST_LINES} in a panel ({sizes}): choose with --at")
    parts = []
    for place in np.ndindex(*(data.sizes[name] for name in names)):
        one = data.isel(dict(zip(names, place, strict=True)))
        said = ", ".join(f"{short(data, name)} = {number(one[name].item())}" for name in names)
        parts.append((said, one))
    return parts


def short(data: xr.Dataset, name: str) -> str:
    """The letter of a coordinate, or its name where it has none."""
    from figures.text import symbol

    found = symbol(data[name])
    return found if len(found) <= 12 else name
