"""Ratio and accuracy over training, of the global prompt, the local one and the mixture."""

import xarray as xr

from figures.options import Options
from figures.parts import CLOSED_FORM, Picture, legend_below, open_panels
from figures.style import DASHES, GLOBAL, LOCAL, MIXTURE, letter
from figures.text import meaning, sentences
from figures.training import draw_spread, lacks_training, name_closed_form, on_time_axis, set_time_axis
from figures.values import mean_over, prediction_of, time_of

ORDER = 8
_NAMES = ("ratio", "accuracy")
_PREDICTORS = {"global": GLOBAL, "local": LOCAL, "mixture": MIXTURE}


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    return lacks_training(data, _NAMES, "predictor")


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset."""
    return True


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw both over training, at one θ."""
    data, said = on_time_axis(data, options, *_NAMES)
    figure, axes, inches = open_panels(options, len(_NAMES), 2.6)
    time = data[time_of(data)]
    predicted = [prediction_of(data, name) for name in _NAMES]
    for axis, name, closed in zip(axes, _NAMES, predicted, strict=True):
        for index, (predictor, colour) in enumerate(_PREDICTORS.items()):
            style = {"color": colour, "ls": DASHES[index], "lw": 2.0, "alpha": 0.75}
            values = data[name].sel(predictor=predictor)
            said.append(draw_spread(axis, time, values, options.spread, label=predictor, **style))
            if closed is not None and ("predictor" in closed.dims or predictor == "mixture"):
                one = closed.sel(predictor=predictor) if "predictor" in closed.dims else closed
                axis.plot(time, mean_over(one, "seed", "client"), **CLOSED_FORM)
        set_time_axis(axis, data, data[name], options, inches)
    said.append(name_closed_form(axes[0], *predicted))
    letter(axes, [""] * len(axes))
    legend_below(figure, *axes)
    return Picture(figure, sentences(["; ".join(meaning(data[name]) for name in _NAMES), *said]))
