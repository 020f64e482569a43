"""Accuracy over the weights of three prompts: post-hoc and joint (T23)."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import LOCAL, TEXT_WIDTH, letter, panels

ORDER = 7
NEEDS = ("many_assets",)
CAPTION = (
    "Accuracy of mixtures of a global, a cluster and a local prompt, over all weights (K = 12, groups of 2,"
    " clusters of 4), after one step. Crosses: the best weights as predicted, w* ∝ Σ⁻¹s post-hoc and √w*/Σ√w*"
    " jointly trained; circles: as measured."
)
# Corners of the triangle, for the global, the cluster and the local prompt.
_CORNERS = np.array([[0.0, 0.0], [0.5, np.sqrt(3) / 2], [1.0, 0.0]])


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from the `many_assets` claim's dataset."""
    data = datasets["many_assets"]
    figure, axes = panels(2, TEXT_WIDTH, 2.9)
    optima = (
        (data.posthoc_predicted, data.weights.sel(clustering="mixed")),
        (data.joint_predicted, data.joint_best.isel(step=0)),
    )
    names = ("lattice_posthoc", "lattice_joint")
    accuracies = np.concatenate([data[name].values for name in names])
    levels = np.linspace(accuracies.min(), accuracies.max(), 13)
    for axis, name, (predicted, measured) in zip(axes, names, optima, strict=True):
        points = data.lattice.transpose("lattice_point", "level").values @ _CORNERS
        shades = axis.tricontourf(*points.T, data[name].values, levels=levels, cmap="Blues_r")
        _triangle(axis)
        # The measured one below, so that the cross stays visible where they agree.
        axis.plot(*_place(measured), color="white", marker="o", mec="black", ms=7, ls="", label="measured")
        axis.plot(*_place(predicted), color=LOCAL, marker="x", mew=1.6, ms=7, ls="", label="predicted (T23)")
    figure.colorbar(shades, ax=list(axes), shrink=0.75, label="accuracy", format="%.3f", ticks=levels[::3])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    letter(axes, ["post-hoc", "joint training"])
    return figure


def _place(weights: xr.DataArray) -> tuple[list[float], list[float]]:
    x, y = weights.values @ _CORNERS
    return [float(x)], [float(y)]


def _triangle(axis: Axes) -> None:
    closed = np.concatenate([_CORNERS, _CORNERS[:1]])
    axis.plot(*closed.T, color="black", lw=0.8)
    labels = zip(("global", "cluster", "local"), _CORNERS, ("top", "bottom", "top"), strict=True)
    for name, (x, y), side in labels:
        axis.text(x, y + (0.03 if side == "bottom" else -0.03), name, ha="center", va=side)
    axis.set(aspect="equal", xlim=(-0.12, 1.12), ylim=(-0.12, 1.0))
    axis.axis("off")
