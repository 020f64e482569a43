"""The figures' common look."""

import pathlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

STYLE = pathlib.Path(__file__).with_name("promptfolio.mplstyle")
TEXT_WIDTH = 6.75
"""Width in inches of a figure over the whole text."""
COLUMN_WIDTH = 3.3
"""Width in inches of a figure in one column."""

GLOBAL, LOCAL, MIXTURE = "#1b2a49", "#b5452c", "#3f88a5"
"""Colours of the two prompts and their mixture, the same in every figure."""
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))


def in_style() -> AbstractContextManager[None]:
    """Context in which to draw and save a figure: the project's style over Matplotlib's own defaults."""
    return mpl.rc_context(
        {**mpl.rcParamsDefault, **mpl.rc_params_from_file(STYLE, use_default_template=False)}
    )


def panels(
    count: int, width: float, height: float, *, ratios: Sequence[float] | None = None, **options: Any
) -> tuple[Figure, Sequence[Axes]]:
    """A figure with panels side by side.

    Figures are made without pyplot: nothing global is touched, and no window can open.
    """
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(1, count, squeeze=False, width_ratios=ratios, **options)[0]
    return figure, axes


def require_finite(figure: Figure) -> None:
    """Refuse a figure with a point or an error bar that is not finite: Matplotlib would leave it out.

    Raises:
        ValueError: naming the panel and the line.
    """
    for axis in figure.axes:
        lines = [(line.get_label(), line.get_xydata()) for line in axis.lines]
        bars = [each for each in axis.collections if isinstance(each, LineCollection)]
        lines += [(bar.get_label(), path.vertices) for bar in bars for path in bar.get_paths()]
        for name, points in lines:
            if not np.isfinite(np.asarray(points, float)).all():
                panel = f"panel {axis.get_title('left')!r}, {axis.get_ylabel()!r}"
                raise ValueError(f"{panel}: {name} has a point that is not finite; allowed: finite numbers")


def letter(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Title the panels (a), (b), … so that text can refer to them."""
    for index, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        axis.set_title(f"({chr(ord('a') + index)}) {title}", loc="left")
