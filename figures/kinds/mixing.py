"""Accuracy against θ, with the predicted and the measured best θ; a curve for every field that varies, or time."""

import numpy as np
import xarray as xr

from figures.optimum import MEASURED, PREDICTED, curve_of, lacks_curve, line_style, optimum_of
from figures.options import Options
from figures.parts import Picture, draw_curve, legend_below, open_panels, set_axes
from figures.text import meaning, number, sentences
from figures.values import at_one, counted, lines_along, prediction_of, swept, time_of

ORDER = 5
_TIMES = 4
"""Most times that are drawn by default, from the first to the last."""


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    return lacks_curve(data)


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset: where θ was varied finely."""
    return data.sizes["theta"] > 3


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw a curve for every combination of fields that vary; of one run, for a few times."""
    time, said = time_of(data), []
    if swept(data) or data.sizes.get(time, 1) == 1:
        data, words = at_one(data, time, "last")
        said.append(words)
        parts = lines_along(data, set())
    else:
        trained = np.flatnonzero(data[time].values > 0)
        chosen = np.unique(np.linspace(0, trained.size - 1, _TIMES).round().astype(int))
        units = data[time].attrs.get("units", "")
        parts = [
            (counted(number(one[time].item()), units), one)
            for one in (data.isel({time: index}) for index in trained[chosen])
        ]
    figure, (axis,), inches = open_panels(options, 1, 3.0)
    for index, (label, one) in enumerate(parts):
        style = line_style(index)
        measured, predicted = curve_of(one)
        draw_curve(
            axis,
            measured,
            predicted,
            best=optimum_of(one, MEASURED),
            best_predicted=optimum_of(one, PREDICTED),
            label=label or None,
            marker=style["marker"],
            dash=style["dash"],
            colour=style["color"],
        )
    set_axes(axis, data.theta, data.accuracy, options, inches)
    legend_below(figure, axis)
    return Picture(figure, sentences([meaning(data.accuracy), *said, *describe_curves(data)]))


def describe_curves(data: xr.Dataset) -> list[str]:
    """What lines, points and marks of `draw_curve` are."""
    predicted = prediction_of(data, "accuracy")
    said = ["points: measured" + (", mean over clients and seeds" if "seed" in data.dims else "")]
    if predicted is not None:
        said.append(f"lines: {meaning(predicted)}")
    if PREDICTED in data:
        said.append(f"triangle below a curve: {meaning(data[PREDICTED])}")
    if MEASURED in data:
        said.append(f"open circle on it: {meaning(data[MEASURED])}")
    return said
