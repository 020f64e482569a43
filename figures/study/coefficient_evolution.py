"""Signal and noise coefficients of both prompts over training, with the closed form (T9)."""

from collections.abc import Mapping
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from figures.style import GLOBAL, LOCAL, TEXT_WIDTH, letter, panels

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
_CLOSED_FORM: dict[str, Any] = {"color": "black", "lw": 0.9, "ls": (0, (3, 3))}


def draw(datasets: Mapping[str, xr.Dataset]) -> Figure:
    """Draw from the `trajectories` claim's dataset, at its largest L."""
    data = datasets["trajectories"].isel(noise_dim=-1)
    figure, axes = panels(3, TEXT_WIDTH, 2.15)
    for axis, name in zip(axes, _QUANTITIES, strict=True):
        for prompt, colour in (("global", GLOBAL), ("local", LOCAL)):
            seeds = data[name].sel(prompt=prompt).mean("client", skipna=False)
            axis.fill_between(
                data.step,
                seeds.min("seed", skipna=False),
                seeds.max("seed", skipna=False),
                color=colour,
                alpha=0.25,
                lw=0,
            )
            axis.plot(
                data.step,
                seeds.mean("seed", skipna=False),
                color=colour,
                lw=2.6,
                alpha=0.6,
                label=f"{prompt} prompt",
            )
            axis.plot(data.step, data[f"{name}_predicted"].sel(prompt=prompt), **_CLOSED_FORM)
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.set_xlabel("gradient steps  $t$")
    axes[0].plot([], [], label="closed form", **_CLOSED_FORM)
    axes[0].legend(loc="upper left")
    letter(axes, list(_QUANTITIES.values()))
    return figure
