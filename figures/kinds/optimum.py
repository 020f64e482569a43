"""Best θ against any field that varies, or training time, measured and predicted."""

import xarray as xr

from figures.optimum import MEASURED, PREDICTED, ends_of, field_named, fields_of, line_style
from figures.options import Options
from figures.parts import Picture, draw_optimum, legend_below, open_panels, set_axes
from figures.text import meaning, sentences
from figures.values import at_one, lines_along, swept, time_of

ORDER = 4


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    if MEASURED not in data:
        return "a best θ, from three or more θ"
    return "" if fields_of(data) else "a field, or times, that vary"


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset: where one field varies."""
    return any(data[name].dtype.kind in "iuf" for name in swept(data))


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw points with bars over lines, for every combination of the other fields that vary."""
    numbers = [name for name in fields_of(data) if data[name].dtype.kind in "iuf"]
    x = field_named(data, "x", options.x, (numbers or fields_of(data))[0])
    said, along = [], str(data[x].dims[0])
    if along != time_of(data):
        data, words = at_one(data, time_of(data), "last")
        said.append(words)
    figure, (axis,), inches = open_panels(options, 1, 2.8)
    for index, (label, one) in enumerate(lines_along(data, {along})):
        style = line_style(index)
        one = one.isel({along: one[MEASURED].notnull().values})  # where all θ are equally good there is none
        predicted = one[PREDICTED] if PREDICTED in one and one[PREDICTED].notnull().all() else None
        ends, bars = ends_of(one)
        draw_optimum(
            axis,
            one[x].values,
            one[MEASURED],
            ends,
            predicted,
            label=", ".join(part for part in (label, "measured") if part),
            predicted_label=None if index else "predicted",
            mfc="white",
            **style,
        )
        said.append(bars)
    set_axes(axis, data[x], data[MEASURED], options, inches)
    legend_below(figure, axis)
    said.insert(0, f"points: {meaning(data[MEASURED])}")
    if PREDICTED in data:
        said.append(f"lines: {meaning(data[PREDICTED])}")
    return Picture(figure, sentences(said))
