"""Joint training at a finite load N/L: the drift of θ*, and convergence to the maximum margin (T29)."""

from collections.abc import Mapping

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.parts import draw_optimum
from figures.style import DASHES, GLOBAL, LOCAL, MARKERS, TEXT_WIDTH, letter, panels

ORDER = 6
NEEDS = ("late_time",)
CAPTION = (
    "Joint training with K = 10, n = 20, a : b = 1 : 3, ηκ_L = 1. (a) θ* against training time, one colour for each"
    " noise dimension. Lines: mean field at finite n/L (T29), from the model's parameters alone; dotted: (T21), the"
    " limit N/L → 0; short bars at the right: the mean field's limit t → ∞; points: simulated, bars from the"
    " smallest to the largest seed. (b) Largest distance over θ of the ratio R from that of the maximum margin, at"
    " the smallest L. Points: mean over seeds, each against the limit on its own data."
)
_COLOURS = (LOCAL, GLOBAL)


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from the `late_time` claim's dataset."""
    data = datasets["late_time"]
    figure, axes = panels(2, TEXT_WIDTH, 2.5, ratios=(1.4, 1))
    _drift(axes[0], data)
    _approach(axes[1], data)
    letter(axes, ["drift of θ*", f"distance to maximum margin, $L$ = {int(data.noise_dim[0])}"])
    return figure


def _drift(axis: Axes, data: xr.Dataset) -> None:
    beyond = 8 * float(data.step[-1])
    for index in range(data.sizes["noise_dim"]):
        colour, marker = _COLOURS[index % len(_COLOURS)], MARKERS[index]
        # the largest L is not trained as long as the smallest, nor with as many seeds
        one = data[["theta_empirical", "theta_predicted", "theta_by_seed"]].isel(noise_dim=index)
        one = one.dropna("step", how="all")
        best, seeds = one.theta_empirical, one.theta_by_seed.dropna("seed", how="all")
        draw_optimum(
            axis,
            one.step,
            best,
            (seeds.min("seed", skipna=False), seeds.max("seed", skipna=False)),
            one.theta_predicted,
            label=f"$L$ = {int(data.noise_dim[index])}, $N/L$ = {float(data.sample_load[index]):g}",
            color=colour,
            marker=marker,
            mfc="white",
        )
        limit = float(data.theta_limit_predicted[index])
        axis.plot(
            [beyond / 2.2, beyond], [limit] * 2, color=colour, ls=DASHES[0], lw=2.2, solid_capstyle="butt"
        )
    axis.axhline(float(data.theta_first[0]), color="0.35", ls=DASHES[2], lw=1.0, zorder=1)
    axis.annotate(
        "(T21), $N/L \\to 0$",
        (beyond, float(data.theta_first[0])),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color="0.35",
        fontsize=7,
    )
    axis.annotate(
        "$t \\to \\infty$",
        (beyond / 1.5, float(data.theta_limit_predicted[0])),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=_COLOURS[0],
        fontsize=7,
    )
    axis.set_xscale("log")
    axis.set(xlabel="gradient steps  $t$", ylabel="optimal  θ*", ylim=(0.1, 0.4))
    axis.legend(loc="lower left")


def _approach(axis: Axes, data: xr.Dataset) -> None:
    axis.plot(data.step, data.distance_predicted, color=_COLOURS[0], label="predicted (T29)")
    axis.plot(
        data.step, data.distance, color=_COLOURS[0], ls="", marker=MARKERS[0], mfc="white", label="simulated"
    )
    axis.set_xscale("log")
    axis.set(xlabel="gradient steps  $t$", ylabel="max over θ of  $|1 - R(t)/R(\\infty)|$", ylim=(0, 0.3))
    axis.legend(loc="upper right")
