"""Coefficients over training, a panel for each with both prompts, and their closed form."""

import xarray as xr

from figures.options import Options
from figures.parts import Picture, legend_below, open_panels
from figures.style import letter
from figures.text import meaning, sentences
from figures.training import (
    COEFFICIENTS,
    coefficient_panel,
    lacks_training,
    name_closed_form,
    on_time_axis,
    set_time_axis,
)
from figures.values import prediction_of, time_of

ORDER = 7


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    return lacks_training(data, COEFFICIENTS, "prompt")


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset."""
    return True


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw β, γ and ‖φ‖ of the global and the local prompt."""
    data, said = on_time_axis(data, options, *COEFFICIENTS)
    figure, axes, inches = open_panels(options, len(COEFFICIENTS), 2.3)
    predicted = [prediction_of(data, name) for name in COEFFICIENTS]
    for axis, name, closed in zip(axes, COEFFICIENTS, predicted, strict=True):
        said.append(coefficient_panel(axis, data[time_of(data)], data[name], closed, options.spread))
        set_time_axis(axis, data, data[name], options, inches, from_zero=True)
    said.append(name_closed_form(axes[0], *predicted))
    letter(axes, [""] * len(axes))
    legend_below(figure, *axes)
    return Picture(figure, sentences(["; ".join(meaning(data[name]) for name in COEFFICIENTS), *said]))
