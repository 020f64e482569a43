"""Distribution of the memorised noise over training: quantiles over clients and seeds, for each prompt."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from figures.options import Options
from figures.parts import CLOSED_FORM, Picture, legend_below, open_panels
from figures.style import letter
from figures.text import meaning, sentences, symbol
from figures.training import PROMPTS, lacks_training, name_closed_form, on_time_axis, set_time_axis
from figures.values import mean_over, prediction_of, time_of

ORDER = 9
_NAME = "phi_norm"
_QUANTILES = ((0.0, 1.0, 0.12), (0.1, 0.9, 0.25), (0.25, 0.75, 0.45))
"""Ends of the bands, and how dark they are."""


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    if missing := lacks_training(data, (_NAME,), "prompt"):
        return missing
    clients = data.sizes.get("client", 1) * data.sizes.get("seed", 1)
    return "" if clients > 2 else "more than two clients and seeds"


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset."""
    return True


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw ‖φ‖'s median, its quartiles, its deciles, and its smallest and largest value."""
    data, said = on_time_axis(data, options, _NAME)
    figure, axes, inches = open_panels(options, 3, 2.4)
    time = data[time_of(data)]
    predicted = prediction_of(data, _NAME)
    for axis, (prompt, colour) in zip(axes[:2], PROMPTS.items(), strict=True):
        values = data[_NAME].sel(prompt=prompt)
        if prompt == "global" and "client" in values.dims:
            values = values.isel(client=0)  # one prompt, repeated for every client
        _fan(axis, time, values, colour, prompt == "local")
        if predicted is not None:
            axis.plot(time, mean_over(predicted.sel(prompt=prompt), "seed", "client"), **CLOSED_FORM)
        set_time_axis(axis, data, data[_NAME], options, inches, from_zero=True)
    local = data[_NAME].sel(prompt="local")
    middle = local.median([dim for dim in ("seed", "client") if dim in local.dims], skipna=False)
    trained = {time_of(data): (middle > 0).values}
    _fan(axes[2], time[trained], (local / middle)[trained], PROMPTS["local"], False)
    set_time_axis(axes[2], data, f"{symbol(data[_NAME])} / its median", options, inches)
    said.append(name_closed_form(axes[0], predicted))
    clients, seeds = data.sizes.get("client", 1), data.sizes.get("seed", 1)
    said.append(
        f"bands and lines: quantiles over {clients} clients and {seeds} seeds; of the global prompt over seeds"
    )
    said.append("(c): local prompts' values divided by their median at the same time")
    letter(axes, [*(f"{prompt} prompt" for prompt in PROMPTS), "local, relative"])
    legend_below(figure, *axes)
    return Picture(figure, sentences([f"{meaning(data[_NAME])}, its distribution over training", *said]))


def _fan(axis: Axes, time: xr.DataArray, values: xr.DataArray, colour: str, named: bool) -> None:
    """Median and bands of quantiles over all clients and seeds."""
    over = [dim for dim in ("seed", "client") if dim in values.dims]
    rows = values.stack(sample=over).transpose("sample", ...).values
    for low, high, shade in _QUANTILES:
        ends = np.quantile(rows, [low, high], axis=0)
        label = f"{low:.0%} to {high:.0%}" if named else None
        axis.fill_between(time, *ends, color=colour, alpha=shade, lw=0, label=label)
    axis.plot(time, np.median(rows, axis=0), color=colour, label="median" if named else None)
