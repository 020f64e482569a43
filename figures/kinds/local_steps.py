"""Effect of local steps: coefficient and accuracy of the global prompt over rounds, for each number of them."""

import xarray as xr

from figures.options import Options
from figures.parts import CLOSED_FORM, Picture, draw_summary, legend_below, open_panels
from figures.style import DASHES, MARKERS, letter
from figures.text import meaning, sentences
from figures.training import name_closed_form, on_time_axis, set_time_axis
from figures.values import lines_along, mean_over, prediction_of, summarise, swept

ORDER = 1
_FIELD = "local_steps"


def lacks(data: xr.Dataset) -> str:
    """What the dataset would need."""
    if _FIELD not in swept(data):
        return "several local_steps"
    if "beta" not in data or "accuracy" not in data or data.sizes.get("round", 1) < 2:
        return "coefficients and accuracies over several rounds"
    return ""


def suits(data: xr.Dataset) -> bool:
    """Whether this is the best picture of the dataset: where nothing else varies."""
    return swept(data) == [_FIELD]


def draw(data: xr.Dataset, options: Options) -> Picture:
    """Draw both against rounds, a line for each number of local steps."""
    data, said = on_time_axis(data, options, "beta", "accuracy")
    figure, axes, inches = open_panels(options, 2, 2.7)
    panels = (("beta", {"prompt": "global"}), ("accuracy", {"predictor": "global"}))
    predicted = [prediction_of(data, name) for name, _ in panels]
    for axis, (name, where), closed in zip(axes, panels, predicted, strict=True):
        for index, (label, one) in enumerate(lines_along(data, set())):
            summary = summarise(one[name].sel(where), options.spread)
            look = {"color": f"C{index % 6}", "ls": DASHES[index % len(DASHES)], "marker": MARKERS[index % 6]}
            draw_summary(axis, data["round"], summary, label=label, lw=1.8, alpha=0.75, **look)
            said.append(summary.said)
            if closed is not None and where.keys() <= set(closed.dims):
                of_line = closed.sel({name: one[name] for name in swept(data) if name in closed.dims})
                axis.plot(data["round"], mean_over(of_line.sel(where), "seed", "client"), **CLOSED_FORM)
        set_time_axis(axis, data, data[name], options, inches)
    said.append(name_closed_form(axes[0], *predicted))
    letter(axes, ["global prompt"] * 2)
    legend_below(figure, *axes)
    return Picture(figure, sentences(["; ".join(meaning(data[name]) for name, _ in panels), *said]))
