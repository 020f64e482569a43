"""Predicted against empirical optimal mixing, post-hoc and joint."""

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from figures.optimum import draw_agreement
from figures.style import COLUMN_WIDTH, GLOBAL, LOCAL, panels

ORDER = 4
NEEDS = ("leading_order", "training_time", "joint_law")
CAPTION = (
    "θ* of the theory against the θ with the largest simulated ratio, over K, χ, b/a and training time."
    " Grey band: ±0.02, the tolerance of the claims."
)


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from three claims: post-hoc early (`leading_order`) and later (`training_time`), joint (`joint_law`)."""
    figure, (axis,) = panels(1, COLUMN_WIDTH, 3.1)
    groups = (
        ("leading_order", "post-hoc, first step (T17)", "s", GLOBAL, GLOBAL),
        ("training_time", "post-hoc, later (T20)", "D", "white", GLOBAL),
        ("joint_law", "joint (T21)", "o", LOCAL, LOCAL),
    )
    points = []
    for name, label, marker, face, edge in groups:
        style = {"marker": marker, "mfc": face, "mec": edge}
        points.append((label, datasets[name].theta_predicted, datasets[name].theta_empirical, style))
    draw_agreement(axis, points)
    axis.set(xlabel="predicted  θ*", ylabel="empirical  θ*", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axis.legend(loc="upper left")
    return figure
