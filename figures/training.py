"""What figures of a training run share: which time and θ they show, and a panel of a coefficient."""

from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from figures.options import Options, Spread
from figures.parts import CLOSED_FORM, draw_summary, set_axes, spaced_logarithmically
from figures.style import GLOBAL, LOCAL
from figures.text import meaning
from figures.values import MOST_LINES, at_one, mean_over, summarise, swept, time_of

COEFFICIENTS = ("beta", "gamma_own", "phi_norm")
"""Signal coefficients of the shared and of the own group's feature, and the norm of the noise coefficients."""
PROMPTS = {"global": GLOBAL, "local": LOCAL}


def lacks_training(data: xr.Dataset, names: tuple[str, ...], dimension: str) -> str:
    """What a dataset lacks to show variables of one run over training; empty where it can."""
    missing = [name for name in names if name not in data or dimension not in data[name].dims]
    if missing:
        return f"variables {', '.join(missing)} of each {dimension}"
    if fields := swept(data):
        return f"one run (choose of {', '.join(fields)} with --at)"
    return "" if data.sizes.get(time_of(data), 1) > 1 else "several recorded times"


def on_time_axis(data: xr.Dataset, options: Options, *names: str) -> tuple[xr.Dataset, list[str]]:
    """A run at one θ, if its variables depend on it, without the start where time is logarithmic.

    Returns:
        The run, and what to say of it.
    """
    said, time = [], time_of(data)
    if any("theta" in data[name].dims for name in names):
        data, words = at_one(data, "theta", "middle")
        said.append(words)
    if options.x_scale == "log" or (options.x_scale == "auto" and spaced_logarithmically(data[time])):
        positive = (data[time] > 0).values
        if not positive.all():
            said.append("the start, at time 0, is left out of a logarithmic axis")
        data = data.isel({time: positive})
    return data, said


def set_time_axis(
    axis: Axes,
    data: xr.Dataset,
    y: xr.DataArray | str,
    options: Options,
    inches: tuple[float, float],
    **more: Any,
) -> None:
    """Labels and scales of a panel over training."""
    set_axes(axis, data[time_of(data)], y, options, inches, **more)


def coefficient_panel(
    axis: Axes,
    time: xr.DataArray,
    values: xr.DataArray,
    predicted: xr.DataArray | None,
    spread: Spread = "auto",
) -> str:
    """One coefficient of both prompts over training, with its closed form, and what lines and bands are.

    Args:
        axis: to draw on.
        time: the horizontal coordinate.
        values: the coefficient, with dimensions prompt and time, and perhaps seed and client.
        predicted: the same of the theory.
        spread: what bands are over.
    """
    said = ""
    for prompt, colour in PROMPTS.items():
        of_prompt = values.sel(prompt=prompt)
        style: dict[str, Any] = {"color": colour, "lw": 2.6, "alpha": 0.6}
        said = draw_spread(axis, time, of_prompt, spread, label=f"{prompt} prompt", **style)
        if predicted is not None:
            closed = mean_over(predicted.sel(prompt=prompt), "seed", "client")
            axis.plot(time, closed, **CLOSED_FORM)
    return said


def draw_spread(
    axis: Axes, time: xr.DataArray, values: xr.DataArray, spread: Spread, *, label: str | None, **style: Any
) -> str:
    """A mean with its band, or a line for every client, and what they are in words."""
    if spread == "each" and values.sizes.get("client", 1) > 1:
        values = mean_over(values, "seed")
        for index in range(values.sizes["client"]):
            axis.plot(
                time,
                values.isel(client=index),
                label=label if index == 0 else None,
                **{**style, "lw": 0.9 if values.sizes["client"] > MOST_LINES else 1.3},
            )
        return "lines: clients, mean over seeds"
    summary = summarise(values, spread)
    draw_summary(axis, time, summary, label=label, **style)
    return summary.said


def name_closed_form(axis: Axes, *predicted: xr.DataArray | None) -> str:
    """Put predictions into the legend, if there are any, and what they are into words."""
    known = [each for each in predicted if each is not None]
    if not known:
        return ""
    axis.plot([], [], label="predicted", **CLOSED_FORM)
    return "dashed: " + "; ".join(dict.fromkeys(meaning(each) for each in known))
