"""The figures' common look."""

import logging
import pathlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from figures.options import CannotDrawError, Options

STYLE = pathlib.Path(__file__).with_name("promptfolio.mplstyle")
TEXT_WIDTH = 6.75
"""Width in inches of a figure over the whole text."""
COLUMN_WIDTH = 3.3
"""Width in inches of a figure in one column."""

GLOBAL, LOCAL, MIXTURE = "C0", "C1", "C2"
"""Colours of the two prompts and their mixture, the same in every figure: the first of the style's cycle."""
GREYS = ("#000000", "#8a8a8a", "#4d4d4d", "#b3b3b3", "#2b2b2b", "#6e6e6e")
"""What takes the place of the style's colours where there are to be none."""
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))


def in_style(options: Options | None = None) -> AbstractContextManager[None]:
    """Context in which to draw and save a figure: the project's style over Matplotlib's own defaults.

    Args:
        options: `look` may replace colours by greys, and `style` names a file of Matplotlib settings over those of
            the project.

    Raises:
        CannotDrawError: when there is no such file, or it has no settings that Matplotlib knows.
    """
    settings = {**mpl.rcParamsDefault, **_settings(STYLE)}
    if options is not None and options.look == "grey":
        settings |= {"axes.prop_cycle": cycler(color=GREYS), "image.cmap": "gray"}
    if options is not None and options.style is not None:
        settings |= _own_settings(options.style)
    return mpl.rc_context(settings)


def _settings(path: str | pathlib.Path) -> Any:
    return mpl.rc_params_from_file(path, use_default_template=False)


def _own_settings(path: str) -> Any:
    """The settings of a user's file: what Matplotlib says of a bad line is raised, not logged."""
    heard: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("matplotlib")
    logger.addHandler(listener)
    try:
        with open(path, "rb"):  # Matplotlib takes other words for names of its own styles, and addresses
            settings = _settings(path)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise CannotDrawError("style", path, f"a Matplotlib style file ({error})") from None
    finally:
        logger.removeHandler(listener)
    if heard or not settings:
        said = " ".join(" ".join(heard).split()) or "it has no settings"
        raise CannotDrawError("style", path, f"a Matplotlib style file ({said})")
    return settings


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
        axis.set_title(f"({chr(ord('a') + index)}) {title}".rstrip(), loc="left")
