"""Predicted against measured best θ, a point for every setting and time."""

import xarray as xr

from figures.optimum import MEASURED, PREDICTED, draw_agreement
from figures.options import Options
from figures.parts import Picture, legend_below, open_panels, set_axes
from figures.style import MARKERS
from figures.text import meaning, sentences

ORDER = 10


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    missing = [name for name in (MEASURED, PREDICTED) if name not in data]
    return "a best θ, measured and predicted" if missing else ""


def suits(data: xr.Dataset) -> bool:
    """Never by itself, unless nothing else can be drawn."""
    return False


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw all pairs; with several training schemes, each with its own marker."""
    schemes = [str(each) for each in data.scheme.values] if "scheme" in data.dims else [None]
    groups = []
    for index, scheme in enumerate(schemes):
        one = data if scheme is None else data.sel(scheme=scheme)
        style = {"marker": MARKERS[index], "mfc": "none", "color": f"C{index}"}
        groups.append((scheme, one[PREDICTED], one[MEASURED], style))
    figure, (axis,), inches = open_panels(options, 1, 3.4)
    band = draw_agreement(axis, groups)
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    set_axes(axis, data[PREDICTED], data[MEASURED], options, inches)
    legend_below(figure, axis)
    said = [f"horizontal: {meaning(data[PREDICTED])}", f"vertical: {meaning(data[MEASURED])}", band]
    return Picture(figure, sentences(said))
