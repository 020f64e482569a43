"""Signal and noise coefficients of both prompts over training, with the closed form (T9)."""

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from figures.parts import CLOSED_FORM
from figures.style import TEXT_WIDTH, letter, panels
from figures.training import coefficient_panel

ORDER = 1
NEEDS = ("trajectories",)
CAPTION = (
    "Coefficients of the global and the local prompt under joint training at θ = 0.4. Bands: smallest to largest"
    " seed, of means over clients. Dashed: the closed form (T9), with no fitted constant."
)
_QUANTITIES = {
    "beta": "shared signal  β",
    "gamma_own": "own group's signal  γ",
    "phi_norm": "memorised noise  ‖φ‖",
}


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from the `trajectories` claim's dataset, at its largest L."""
    data = datasets["trajectories"].isel(noise_dim=-1)
    figure, axes = panels(3, TEXT_WIDTH, 2.15)
    for axis, name in zip(axes, _QUANTITIES, strict=True):
        coefficient_panel(axis, data.step, data[name], data[f"{name}_predicted"], "seeds")
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.set_xlabel("gradient steps  $t$")
    axes[0].plot([], [], label="closed form", **CLOSED_FORM)
    axes[0].legend(loc="upper left")
    letter(axes, list(_QUANTITIES.values()))
    return figure
