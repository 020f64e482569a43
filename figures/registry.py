"""All figures of the synthetic study, and which claims' datasets each is drawn from."""

import importlib
from collections.abc import Callable, Mapping
from typing import Protocol

import xarray as xr
from matplotlib.figure import Figure

from figures.style import in_style

FIGURES = (
    "coefficient_evolution",
    "accuracy_collapse",
    "mixing_curves",
    "theta_predicted_empirical",
    "theta_over_time",
    "late_time",
    "many_assets",
)


class FigureModule(Protocol):
    """What a figure's module offers."""

    NEEDS: tuple[str, ...]
    CAPTION: str
    draw: Callable[[Mapping[str, xr.Dataset]], Figure]


def draw_figure(name: str, datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw one figure in the project's style from the claims' datasets, by claim name."""
    with in_style():
        return load_figure(name).draw(datasets)


def load_figure(name: str) -> FigureModule:
    """Import one figure's module."""
    return importlib.import_module(f"figures.{name}")
