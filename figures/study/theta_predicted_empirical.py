"""Predicted against empirical optimal mixing, post-hoc and joint."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

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
    ends = np.array([0.0, 1.0])
    axis.fill_between(ends, ends - 0.02, ends + 0.02, color="0.88", lw=0)
    axis.plot(ends, ends, color="black", lw=0.8)
    groups = (
        ("leading_order", "post-hoc, first step (T17)", "s", GLOBAL, GLOBAL),
        ("training_time", "post-hoc, later (T20)", "D", "white", GLOBAL),
        ("joint_law", "joint (T21)", "o", LOCAL, LOCAL),
    )
    for name, label, marker, face, edge in groups:
        data = datasets[name]
        predicted, empirical = (
            each.values.ravel() for each in xr.broadcast(data.theta_predicted, data.theta_empirical)
        )
        compared = ~(np.isnan(predicted) & np.isnan(empirical))  # not all settings are run for all times
        axis.plot(
            predicted[compared],
            empirical[compared],
            ls="",
            marker=marker,
            mfc=face,
            mec=edge,
            ms=4,
            mew=0.9,
            alpha=0.85,
            label=label,
        )
    axis.set(xlabel="predicted  θ*", ylabel="empirical  θ*", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axis.set_aspect("equal")
    axis.legend(loc="upper left")
    return figure
