"""Every client's best θ against its number of training samples, measured and predicted."""

from typing import Any

import xarray as xr

from figures.options import Options
from figures.parts import Picture, draw_optimum, legend_below, open_panels, set_axes
from figures.text import meaning, sentences
from figures.values import at_one, swept, time_of

ORDER = 2
_MEASURED, _PREDICTED, _BY_SEED = "client_theta_empirical", "client_theta_predicted", "client_theta_by_seed"


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    if _MEASURED not in data or "samples" not in data.coords or "client" not in data[_MEASURED].dims:
        return "a best θ of every client, from three or more θ"
    if fields := swept(data):
        return f"one run (choose of {', '.join(fields)} with --at)"
    return ""


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset: where clients differ in their samples."""
    return bool((data.samples != data.samples[0]).any())


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw points with bars over seeds, and the predictions as dashes."""
    data, words = at_one(data, time_of(data), "last")
    figure, (axis,), inches = open_panels(options, 1, 2.8)
    known = data.isel(client=data[_MEASURED].notnull().values)
    ends, said = None, [f"points: {meaning(data[_MEASURED])}", words]
    seeds = known.get(_BY_SEED)
    if seeds is not None and seeds.sizes["seed"] > 1:
        ends = seeds.min("seed", skipna=False), seeds.max("seed", skipna=False)
        said.append("bars: smallest to largest seed")
    style: dict[str, Any] = {"color": "C0", "marker": "o", "mfc": "white", "zorder": 3}
    draw_optimum(axis, known.samples.values, known[_MEASURED], ends, None, label="measured", **style)
    if _PREDICTED in data:
        axis.plot(
            data.samples, data[_PREDICTED], ls="", marker="_", ms=11, mew=1.6, color="C1", label="predicted"
        )
        said.append(f"dashes: {meaning(data[_PREDICTED])}")
    set_axes(axis, data.samples, data[_MEASURED], options, inches)
    legend_below(figure, axis)
    return Picture(figure, sentences(said))
