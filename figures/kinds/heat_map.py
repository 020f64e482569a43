"""A number over two fields as a map of shades, with contours of its prediction."""

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patheffects import AbstractPathEffect, withStroke

from figures.optimum import MEASURED, PREDICTED, field_named, fields_of
from figures.options import CannotDrawError, Options
from figures.parts import Picture, open_panels
from figures.text import axis_label, meaning, number, sentences
from figures.values import at_one, mean_over, of_mixture, prediction_of, swept, time_of

ORDER = 3
_MOST_TICKS = 12


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    if len(fields_of(data)) < 2:
        return "two fields, or a field and times, that vary"
    return "" if MEASURED in data or "accuracy" in data else "a best θ or an accuracy"


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset: where two fields of numbers vary, and no other."""
    fields = swept(data)
    return len(fields) == 2 and all(data[name].dtype.kind in "iuf" for name in fields)


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw the variable that is asked for, or the best θ, at the last time and the best θ of the grid."""
    for option in ("x_scale", "y_scale", "x_limits", "y_limits"):
        if getattr(options, option) not in (None, "auto"):
            allowed = "left out of a heat map: its cells are equally large, in the order of their values"
            raise CannotDrawError(option, getattr(options, option), allowed)
    fields = fields_of(data)
    x = field_named(data, "x", options.x, next(name for name in fields if name != options.y))
    y = field_named(data, "y", options.y, next(name for name in fields if name != x))
    dims = str(data[y].dims[0]), str(data[x].dims[0])
    if dims[0] == dims[1]:
        raise CannotDrawError("y", y, f"another field than x: {', '.join(fields)}")
    said = []
    if time_of(data) not in dims:
        data, words = at_one(data, time_of(data), "last")
        said.append(words)
    name = options.of or (MEASURED if MEASURED in data else "accuracy")
    if name not in data.data_vars:
        raise CannotDrawError("of", name, "a variable: " + ", ".join(map(str, data.data_vars)))
    values, best = _on_map(data[name], dims)
    said.append(best)
    predicted = data.get(PREDICTED) if name == MEASURED else prediction_of(data, name)
    figure, (axis,), inches = open_panels(options, 1, 3.2)
    shades = axis.pcolormesh(values.transpose(*dims).values)
    axis.grid(False)
    label = axis_label(data[name], inches[1]) + (f", {best}" if best else "")
    figure.colorbar(shades, ax=axis, label=label)
    # between texts, such as schemes, there is nothing for a contour to run through
    if predicted is not None and all(data[name].dtype.kind in "iuf" for name in (x, y)):
        closed = _on_map(predicted, dims)[0].transpose(*dims).values
        if min(closed.shape) > 1 and np.isfinite(closed).all() and np.ptp(closed) > 0:
            middles = (np.arange(size) + 0.5 for size in closed.shape[::-1])
            drawn = axis.contour(*middles, closed, levels=6, colors="white", linewidths=1.0, linestyles="--")
            outline: list[AbstractPathEffect] = [withStroke(linewidth=2.2, foreground="black", alpha=0.5)]
            drawn.set_path_effects(outline)
            for label_text in axis.clabel(drawn, fontsize=6.5, fmt="%.3g"):
                label_text.set_path_effects(outline)
            said.append(f"white contours: {meaning(predicted)}")
    _ticks(axis, data[x], data[y], inches)
    return Picture(figure, sentences([f"shades: {meaning(data[name])}", *said]))


def _on_map(values: xr.DataArray, dims: tuple[str, str]) -> tuple[xr.DataArray, str]:
    """A variable along the two dimensions of the map, and what was done with θ.

    Raises:
        CannotDrawError: a dimension is left that no mean may be taken over.
    """
    values, said = mean_over(of_mixture(values), "seed", "client"), ""
    if "theta" in values.dims and "theta" not in dims:
        values, said = values.max("theta", skipna=False), "largest over θ"
    for dim in values.dims:
        if dim not in dims:
            shown = ", ".join(number(each) for each in values[dim].values[:6].tolist())
            raise CannotDrawError(f"at {dim}", "", f"one of {shown}: a map shows two fields")
    if values.isnull().any():
        raise CannotDrawError("of", str(values.name), "known everywhere on the map")
    return values, said


def _ticks(axis: Axes, x: xr.DataArray, y: xr.DataArray, inches: tuple[float, float]) -> None:
    """Values of both fields at the middles of the cells; of many, every so manieth."""
    for coordinate, ticks, label, length in (
        (x, axis.set_xticks, axis.set_xlabel, inches[0]),
        (y, axis.set_yticks, axis.set_ylabel, inches[1]),
    ):
        every = math.ceil(coordinate.size / _MOST_TICKS)
        places = np.arange(coordinate.size)[::every]
        ticks(places + 0.5, [number(value) for value in coordinate.values[places].tolist()])
        label(axis_label(coordinate, length))
