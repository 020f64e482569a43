"""Parts that several figures are drawn from: panels, bands, closed forms, curves with their best θ, legends."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import offset_copy

from figures.options import CannotDrawError, Options
from figures.style import COLUMN_WIDTH, TEXT_WIDTH
from figures.text import axis_label
from figures.values import Summary

CLOSED_FORM: dict[str, Any] = {"color": "black", "lw": 0.9, "ls": (0, (3, 3))}
"""How a prediction is drawn over a measured curve."""
_SPREAD = 100.0
"""Ratio of largest to smallest value from which an axis may be logarithmic by itself."""
_LETTERS, _HANDLE = 0.068, 0.52
"""Inches that a letter of a legend, and the line before its text, take."""


class Picture(NamedTuple):
    """A figure, and what it shows in words."""

    figure: Figure
    caption: str


def open_panels(
    options: Options, count: int, height: float, **more: Any
) -> tuple[Figure, list[Axes], tuple[float, float]]:
    """A figure with panels, side by side on a page and below each other in a column, and the size of a panel.

    Args:
        options: size and height.
        count: number of panels.
        height: inches of a row of panels, where the options leave it open.
        more: arguments of `matplotlib.figure.Figure.subplots`.
    """
    tall = options.height or height
    page = options.size == "page"
    width = TEXT_WIDTH if page else COLUMN_WIDTH
    rows, columns = (1, count) if page else (count, 1)
    figure = Figure(figsize=(width, tall * rows))
    grid = figure.subplots(rows, columns, squeeze=False, **more)
    return figure, list(grid.ravel()), (width / columns - 0.75, tall - 0.9)


def draw_summary(axis: Axes, x: Any, summary: Summary, *, label: str | None = None, **style: Any) -> None:
    """A mean over its band."""
    if summary.low is not None and summary.high is not None:
        axis.fill_between(x, summary.low, summary.high, color=style.get("color"), alpha=0.25, lw=0)
    axis.plot(x, summary.mean, label=label, **style)


def draw_curve(
    axis: Axes,
    measured: xr.DataArray,
    predicted: xr.DataArray | None,
    *,
    best: float | None,
    best_predicted: float | None,
    label: str | None,
    marker: str,
    dash: Any,
    colour: str,
    every: int | None = None,
) -> None:
    """A measured curve over θ with its best θ, and the predicted one with the predicted best θ.

    Points are measured, a line is predicted; without a prediction a line joins the points. The predicted best θ is
    a triangle below the curve, the measured one an open circle on it. Of the points, one in `every` is drawn; by
    default some ten.
    """
    curve = measured if predicted is None else predicted
    axis.plot(curve.theta, curve, ls=dash, lw=1.1, color=colour)
    sparse = measured.isel(theta=slice(None, None, every or max(1, measured.sizes["theta"] // 10)))
    axis.plot(sparse.theta, sparse, ls="", marker=marker, ms=2.6, color=colour)
    if label is not None:
        axis.plot([], [], ls=dash, marker=marker, ms=2.6, color=colour, label=label)
    if best_predicted is not None:
        below = offset_copy(axis.transData, axis.get_figure(root=True), y=-6, units="points")
        height = float(np.interp(best_predicted, curve.theta, curve))
        axis.plot(
            best_predicted,
            height,
            marker="^",
            ms=5.5,
            mec="none",
            color=colour,
            transform=below,
            clip_on=False,
        )
    if best is not None:
        reached = float(np.interp(best, measured.theta, measured))
        axis.plot(best, reached, marker="o", ms=6.5, mfc="none", mew=1.1, color=colour)


def draw_optimum(
    axis: Axes,
    x: Any,
    best: xr.DataArray,
    ends: tuple[xr.DataArray, xr.DataArray] | None,
    predicted: xr.DataArray | None,
    *,
    label: str | None,
    predicted_label: str | None = None,
    **style: Any,
) -> None:
    """Measured best θ as points with bars, over a line of predicted ones.

    Args:
        axis: to draw on.
        x: places of the points.
        best: measured best θ.
        ends: of the bars, if they are known.
        predicted: best θ of the theory, if there is one.
        label, predicted_label: for the legend; None leaves it out.
        style: colour, marker and the like of the points; the line has their colour.
    """
    lengths = None
    if ends is not None:
        # The best θ of a mean over seeds may fall outside the seeds' own range; a bar has no negative length.
        lengths = [(best - ends[0]).clip(min=0), (ends[1] - best).clip(min=0)]
    line = {"color": style.get("color"), "ls": style.pop("dash", "-")}
    if predicted is not None:
        axis.plot(x, predicted, label=predicted_label, **line)
    axis.errorbar(x, best, lengths, ls="", elinewidth=0.8, label=label, **style)


def spaced_logarithmically(values: Any) -> bool:
    """Whether positive values are spaced so that a logarithmic axis shows them better; a first 0 does not count.

    Example:
        >>> spaced_logarithmically([0, 1, 3, 10, 30, 100, 300]), spaced_logarithmically(range(1, 301))
        (True, False)
    """
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf":
        return False
    numbers = np.sort(numbers[numbers > 0]).astype(float)
    if numbers.size < 3:
        return False
    return bool(numbers[-1] / numbers[0] >= 8 and np.median(numbers) < numbers[-1] / 2.5)


def set_axes(
    axis: Axes,
    x: xr.DataArray,
    y: xr.DataArray | str,
    options: Options,
    inches: tuple[float, float],
    *,
    from_zero: bool = False,
) -> None:
    """Labels, scales and limits of a panel, which must be drawn already.

    Args:
        axis: the panel.
        x: coordinate on the horizontal axis.
        y: variable on the vertical axis, or its label.
        options: of the picture.
        inches: width and height of the panel.
        from_zero: whether the vertical axis begins at 0, unless it is logarithmic.

    Raises:
        CannotDrawError: numbers that are not positive on an axis that is asked to be logarithmic.
    """
    logarithmic = options.x_scale == "log" or (options.x_scale == "auto" and spaced_logarithmically(x))
    if logarithmic:
        _require_numbers("x_scale", x)
        axis.set_xscale("log")
        _label_decades(axis, np.asarray(x, float))
    if options.y_scale == "log":
        _require_positive(axis, logarithmic)
        axis.set_yscale("log")
    elif from_zero:
        axis.set_ylim(bottom=0)
    axis.set_xlabel(axis_label(x, inches[0]))
    axis.set_ylabel(y if isinstance(y, str) else axis_label(y, inches[1]))
    if options.x_limits is not None:
        axis.set_xlim(_ordered("x_limits", options.x_limits))
    if options.y_limits is not None:
        axis.set_ylim(_ordered("y_limits", options.y_limits))


def _label_decades(axis: Axes, values: np.ndarray) -> None:
    """Ticks that do not run into each other: over less than two decades at 1, 2 and 5, as plain numbers."""
    positive = values[values > 0]
    if positive.max() / positive.min() < 100:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def _require_numbers(field: str, x: xr.DataArray) -> None:
    if x.dtype.kind not in "iuf" or not (x > 0).any():
        raise CannotDrawError(field, "log", f"linear: {x.name} has no positive numbers")


def _require_positive(axis: Axes, beyond_zero: bool) -> None:
    """Refuse a logarithmic vertical axis for curves that reach 0 where they are shown."""
    for line in axis.lines:
        points = np.asarray(line.get_xydata(), float).reshape(-1, 2)
        shown = points[points[:, 0] > 0] if beyond_zero else points
        if (shown[:, 1] <= 0).any():
            raise CannotDrawError(
                "y_scale", "log", "linear: a curve has values that are not positive (--at, or --x-scale log)"
            )


def _ordered(field: str, limits: Sequence[float]) -> tuple[float, float]:
    low, high = limits
    if not (np.isfinite([low, high]).all() and low < high):
        raise CannotDrawError(field, tuple(limits), "two finite numbers, the smaller one first")
    return low, high


def legend_below(figure: Figure, *axes: Axes) -> None:
    """One legend of all panels' labels, each once, below them, where it covers nothing."""
    named: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if not named:
        return
    widest = max(map(len, named)) * _LETTERS + _HANDLE
    columns = max(1, min(len(named), int(figure.get_figwidth() / widest)))
    # rows of nearly equal length
    columns = -(-len(named) // -(-len(named) // columns))
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=columns)
