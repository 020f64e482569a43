"""Signal learning against noise memorisation: all coefficients of a prompt in one panel, one for each prompt."""

import xarray as xr

from figures.options import Options
from figures.parts import CLOSED_FORM, Picture, legend_below, open_panels
from figures.style import DASHES, letter
from figures.text import meaning, sentences, symbol, title
from figures.training import (
    COEFFICIENTS,
    PROMPTS,
    draw_spread,
    lacks_training,
    name_closed_form,
    on_time_axis,
    set_time_axis,
)
from figures.values import mean_over, prediction_of, time_of

ORDER = 6


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    return lacks_training(data, COEFFICIENTS, "prompt")


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset."""
    return True


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw β, γ and ‖φ‖ over training, of the global prompt and of the local one."""
    data, said = on_time_axis(data, options, *COEFFICIENTS)
    figure, axes, inches = open_panels(options, len(PROMPTS), 2.6, sharey=True)
    time = data[time_of(data)]
    predicted = {name: prediction_of(data, name) for name in COEFFICIENTS}
    for axis, prompt in zip(axes, PROMPTS, strict=True):
        for index, name in enumerate(COEFFICIENTS):
            style = {"color": f"C{index}", "ls": DASHES[index], "lw": 2.0, "alpha": 0.75}
            values = data[name].sel(prompt=prompt)
            said.append(draw_spread(axis, time, values, options.spread, label=title(data[name]), **style))
            closed = predicted[name]
            if closed is not None:
                axis.plot(time, mean_over(closed.sel(prompt=prompt), "seed", "client"), **CLOSED_FORM)
    label = ",  ".join(symbol(data[name]) for name in COEFFICIENTS)
    for axis in axes:  # once all are drawn: they share their limits
        set_time_axis(axis, data, label, options, inches, from_zero=True)
    said.append(name_closed_form(axes[0], *predicted.values()))
    letter(axes, [f"{prompt} prompt" for prompt in PROMPTS])
    legend_below(figure, *axes)
    return Picture(figure, sentences(["; ".join(meaning(data[name]) for name in COEFFICIENTS), *said]))
