"""Accuracy against θ for several K and several heterogeneities."""

from collections.abc import Mapping

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.parts import draw_curve
from figures.style import DASHES, MARKERS, TEXT_WIDTH, letter, panels

ORDER = 3
NEEDS = ("leading_order",)
CAPTION = (
    "Accuracy of the post-hoc mixture against the weight θ of the local prompt, early in training. Lines:"
    " predicted; small points: simulated; triangle below a curve: predicted θ*; open circle on it: empirical θ*."
)


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from the `leading_order` claim's dataset: its sweeps over K and over χ.

    Raises:
        ValueError: one of these sweeps is not in the dataset.
    """
    data = datasets["leading_order"]
    figure, axes = panels(2, TEXT_WIDTH, 2.7, sharey=True)
    for axis, sweep, symbol in ((axes[0], "clients", "K"), (axes[1], "group_size", "χ")):
        chosen = (data.sweep == sweep).values
        if not chosen.any():
            raise ValueError(f"`sweep` has no {sweep!r}, but {sorted(set(data.sweep.values.tolist()))}")
        _curves(axis, data.isel(setting=chosen), sweep, symbol)
    axes[0].set_ylabel("accuracy, mean over clients")
    letter(axes, ["more clients (χ = 1)", "larger groups (K = 8)"])
    return figure


def _curves(axis: Axes, data: xr.Dataset, coordinate: str, symbol: str) -> None:
    measured = data.accuracy.mean("seed", skipna=False)
    for index in range(data.sizes["setting"]):
        draw_curve(
            axis,
            measured.isel(setting=index),
            data.accuracy_predicted.isel(setting=index),
            best=float(data.theta_empirical[index]),
            best_predicted=float(data.theta_predicted[index]),
            label=f"{symbol} = {int(data[coordinate][index])}",
            marker=MARKERS[index],
            dash=DASHES[index % len(DASHES)],
            colour=f"C{index}",
            every=10,
        )
    axis.set_xlabel("θ  (0: global prompt only, 1: local prompt only)")
    axis.legend(loc="upper right")
