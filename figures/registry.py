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
    """Interface of a figure's module.

    Attributes:
        NEEDS: names of the claims whose datasets it is drawn from.
        CAPTION: what it shows, for the report.
        draw: draws it from these datasets, by claim name.
    """

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
