"""The figures of the synthetic study: every module of `figures.study`."""

import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping
from typing import Protocol

import xarray as xr
from matplotlib.figure import Figure

from figures import study
from figures.style import in_style, require_finite


class FigureModule(Protocol):
    """What a figure's file offers.

    Attributes:
        ORDER: its place among the figures of the report, from the smallest to the largest.
        NEEDS: names of the claims whose datasets it is drawn from.
        CAPTION: what it shows, for the report.
        draw: draws it from these datasets, by claim name.
    """

    ORDER: float
    NEEDS: tuple[str, ...]
    CAPTION: str
    draw: Callable[[Mapping[str, xr.Dataset]], Figure]


def figure_names() -> tuple[str, ...]:
    """Names of the figures in the order of the report: by `ORDER`, then by name.

    All of them are imported. One that cannot be stands last: drawing it says why.
    """
    return tuple(sorted((module.name for module in pkgutil.iter_modules(study.__path__)), key=_place))


def _place(name: str) -> tuple[float, str]:
    try:
        return load_figure(name).ORDER, name
    except Exception:
        return math.inf, name


def draw_figure(name: str, datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw one figure in the project's style from the claims' datasets, by claim name.

    Raises:
        ValueError: a number to be drawn is not finite.
    """
    with in_style():
        figure = load_figure(name).draw(datasets)
    require_finite(figure)
    return figure


def load_figure(name: str) -> FigureModule:
    """Import one figure's module."""
    return importlib.import_module(f"{study.__name__}.{name}")
