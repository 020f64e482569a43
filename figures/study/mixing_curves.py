"""Accuracy against θ for several K and several heterogeneities."""

from collections.abc import Mapping
from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

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
        style: dict[str, Any] = {"color": f"C{index}"}
        curve, points = data.accuracy_predicted.isel(setting=index), measured.isel(setting=index)
        label = f"{symbol} = {int(data[coordinate][index])}"
        sparse = points.sel(theta=points.theta[::10])
        axis.plot(curve.theta, curve, ls=DASHES[index % len(DASHES)], lw=1.1, **style)
        axis.plot(sparse.theta, sparse, ls="", marker=MARKERS[index], ms=2.6, **style)
        axis.plot([], [], ls=DASHES[index % len(DASHES)], marker=MARKERS[index], ms=2.6, label=label, **style)
        predicted, empirical = float(data.theta_predicted[index]), float(data.theta_empirical[index])
        below = offset_copy(axis.transData, axis.get_figure(root=True), y=-6, units="points")
        height = float(curve.interp(theta=predicted))
        axis.plot(predicted, height, marker="^", ms=5.5, mec="none", transform=below, clip_on=False, **style)
        reached = float(points.interp(theta=empirical))
        axis.plot(empirical, reached, marker="o", ms=6.5, mfc="none", mew=1.1, **style)
    axis.set_xlabel("θ  (0: global prompt only, 1: local prompt only)")
    axis.legend(loc="upper right")
