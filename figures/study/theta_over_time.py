"""Optimal mixing against training time: post-hoc drifts, joint does not."""

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from figures.parts import draw_optimum
from figures.style import COLUMN_WIDTH, GLOBAL, LOCAL, panels

ORDER = 5
NEEDS = ("training_time", "joint_law")
CAPTION = (
    "θ* against training time (K = 4, n = 10, χ = 1, b/(a+b) = 0.7). Lines: (T20) for post-hoc mixing and (T21) for"
    " joint training; points: simulated, bars from the smallest to the largest seed."
)


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from `training_time` and from the first setting of `joint_law`, which is the same setting."""
    posthoc, joint = datasets["training_time"], datasets["joint_law"].isel(setting=0)
    figure, (axis,) = panels(1, COLUMN_WIDTH, 2.5)
    seeds = posthoc.theta_by_seed
    draw_optimum(
        axis,
        posthoc.step,
        posthoc.theta_empirical,
        (seeds.min("seed", skipna=False), seeds.max("seed", skipna=False)),
        posthoc.theta_predicted,
        label="post-hoc, simulated",
        predicted_label="post-hoc, predicted (T20)",
        color=GLOBAL,
        marker="s",
    )
    axis.plot(
        posthoc.step[[0, -1]],
        [float(joint.theta_predicted[0])] * 2,
        color=LOCAL,
        ls=(0, (5, 1.5)),
        label="joint, predicted (T21)",
    )
    axis.plot(
        joint.step,
        joint.theta_empirical,
        color=LOCAL,
        ls="",
        marker="o",
        mfc="white",
        label="joint, simulated",
    )
    axis.set_xscale("log")
    axis.set(xlabel="gradient steps  $t$", ylabel="optimal  θ*", ylim=(0.25, 0.85))
    axis.legend(loc="upper left")
    return figure
