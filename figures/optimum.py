"""What figures of the best θ share: where a dataset holds it, measured and predicted, and panels of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from figures.options import CannotDrawError
from figures.style import DASHES, MARKERS
from figures.text import meaning
from figures.values import mean_over, of_mixture, prediction_of, swept, time_of

MEASURED, PREDICTED = "theta_empirical", "theta_predicted"
_AGREE = 0.02
"""Half width of the band of agreement, the tolerance of this project's claims on θ*."""


def lacks_curve(data: xr.Dataset) -> str:
    """What a dataset lacks for accuracies over θ; empty where it has them."""
    if "accuracy" not in data or "theta" not in data.accuracy.dims or data.sizes["theta"] < 3:
        return "an accuracy at three or more θ"
    return ""


def ends_of(data: xr.Dataset) -> tuple[tuple[xr.DataArray, xr.DataArray] | None, str]:
    """Ends of the bars of a measured best θ, None if they are unknown, and what they are."""
    if "theta_low" in data and "theta_high" in data:
        return (
            data.theta_low,
            data.theta_high,
        ), f"bars: {meaning(data.theta_low)}, to the {meaning(data.theta_high)}"
    seeds = data.get("theta_by_seed")
    if seeds is None or "seed" not in seeds.dims or seeds.sizes["seed"] < 2:
        return None, ""
    return (seeds.min("seed", skipna=False), seeds.max("seed", skipna=False)), (
        "bars: smallest to largest seed"
    )


def curve_of(data: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Accuracy of the mixture over θ, measured and predicted, mean over seeds and clients.

    θ that a training was not run at are left out.
    """
    measured = mean_over(of_mixture(data.accuracy), "seed", "client")
    predicted = prediction_of(data, "accuracy")
    if predicted is not None:
        predicted = mean_over(of_mixture(predicted), "seed", "client")
        predicted = None if predicted.isnull().all() else predicted
    return measured.dropna("theta"), predicted


def optimum_of(data: xr.Dataset, name: str) -> float | None:
    """One best θ; None where there is none: it is not in the data, or all θ are equally good."""
    if name not in data:
        return None
    value = float(data[name])
    return None if np.isnan(value) else value


def fields_of(data: xr.Dataset) -> list[str]:
    """What a best θ may be drawn over: fields that vary and, if several are recorded, time."""
    time = time_of(data)
    return [*swept(data), *([time] if data.sizes.get(time, 1) > 1 else [])]


def field_named(data: xr.Dataset, option: str, name: str | None, default: str) -> str:
    """The dimension that an option names, by itself or by another coordinate along it.

    Raises:
        CannotDrawError: when the data do not vary along it.
    """
    name = name or default
    if name in fields_of(data):
        return name
    if name in data.coords and data[name].ndim == 1 and str(data[name].dims[0]) in fields_of(data):
        return name
    raise CannotDrawError(option, name, "a field that varies: " + (", ".join(fields_of(data)) or "none does"))


def draw_agreement(
    axis: Axes, groups: Sequence[tuple[str | None, xr.DataArray, xr.DataArray, dict[str, Any]]]
) -> str:
    """Measured against predicted best θ, with a band of agreement, and what the band is.

    Args:
        axis: to draw on.
        groups: label, predicted and measured θ, and style of each group of points; where both are unknown there is
            no point.
    """
    ends = np.array([0.0, 1.0])
    axis.fill_between(ends, ends - _AGREE, ends + _AGREE, color="0.88", lw=0)
    axis.plot(ends, ends, color="black", lw=0.8)
    for label, predicted, measured, style in groups:
        pair = [each.values.ravel() for each in xr.broadcast(predicted, measured)]
        compared = ~(np.isnan(pair[0]) & np.isnan(pair[1]))  # not all settings are run for all times
        points = {"ls": "", "ms": 4, "mew": 0.9, "alpha": 0.85, "label": label}
        axis.plot(pair[0][compared], pair[1][compared], **{**points, **style})
    axis.set_aspect("equal")
    return f"grey band: ±{_AGREE:g}"


def line_style(index: int) -> dict[str, Any]:
    """Colour, marker and dash of one line among several: lines differ in all three."""
    return {
        "color": f"C{index % 6}",
        "marker": MARKERS[index % len(MARKERS)],
        "dash": DASHES[index % len(DASHES)],
    }
