"""(T8, T9): coefficients grow along closed-form curves."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Comparison, Finding, Scale, compare
from promptfolio.checks.largest import largest
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.running.runner import run
from theory.dynamics.symmetric_ratio import symmetric_tau
from theory.dynamics.trajectories import global_coefficients, local_coefficients

CLAIM = Claim(
    name="trajectories",
    equation="T8, T9",
    provenance="derived",
    title="Closed-form trajectories",
    statement="With near-orthogonal noise, β, γ and ‖φ‖ of both prompts follow Lambert-W curves in ηκt, at"
    " the rates κ(θ); the error vanishes as L grows and the step shrinks.",
    bound="asymptotic",
    figure="coefficient_evolution",
    cost=3,
)

THETA = 0.4
"""Away from 1/2, where both prompts would have equal weight and equal β."""
_QUANTITIES = {"beta": "β", "gamma_own": "γ", "phi_norm": "‖φ‖"}
_WIDE = 10_000
"""Noise coordinates beyond which to train in the space of samples."""


def collect(scale: Scale) -> xr.Dataset:
    """Joint training at one θ, at a small and a large L; time runs to the same ηκt at each."""
    dims = (500, 4000) if scale == "quick" else (500, 32000)
    rounds = 300 if scale == "quick" else 1000
    parts = []
    for noise_dim in dims:
        # Groups of two and a small step, so that averaging shows and time is nearly continuous.
        setting = SymmetricSetting(clients=4, group_size=2, noise_dim=noise_dim, step_size=0.1)
        experiment = setting.experiment(
            theta=(THETA,),
            rounds=rounds,
            record=tuple(np.unique(np.geomspace(1, rounds, 40).astype(int)).tolist()),
            replicates=5,
            # In the space of samples a round costs no more at a larger L.
            engine="gram" if noise_dim > _WIDE else "auto",
        )
        result = run(experiment).isel(theta=0, drop=True)
        part = xr.merge([result, _predictions(setting, result.step.values)], combine_attrs="override")
        parts.append(assumptions.record(part, experiment))
    data = xr.concat(parts, xr.DataArray(list(dims), dims="noise_dim", name="noise_dim"))
    data.noise_dim.attrs = {"long_name": "L, number of noise coordinates"}
    return data.assign_attrs(parts[-1].attrs)


def _predictions(setting: SymmetricSetting, steps: np.ndarray) -> xr.Dataset:
    """β, γ and E‖φ‖ of both prompts by (T9), with dimensions (step, prompt)."""
    equal = setting.equal_clients
    tau = symmetric_tau(equal, "joint", THETA, steps, setting.learning_rate)
    prompts = {
        "global": global_coefficients(equal, 1 - THETA, tau.global_prompt),
        "local": local_coefficients(equal, THETA, tau.local_prompt),
    }
    curves = dict(zip(_QUANTITIES, zip(*prompts.values(), strict=True), strict=True))
    return xr.Dataset(
        {
            f"{name}_predicted": (("step", "prompt"), np.stack(curve, axis=1))
            for name, curve in curves.items()
        },
        coords={"step": steps, "prompt": list(prompts)},
    )


def relative_error(data: xr.Dataset, name: str) -> xr.DataArray:
    """Largest relative error over the run of the mean over seeds and clients, per L and prompt."""
    predicted = data[f"{name}_predicted"]
    return abs(data[name].mean(("seed", "client"), skipna=False) / predicted - 1).max("step", skipna=False)


def judge(data: xr.Dataset) -> Finding:
    """Within 2 % at the largest L, and worse at the smallest."""
    comparisons: list[Comparison] = []
    for name, symbol in _QUANTITIES.items():
        error = relative_error(data, name)
        comparisons += [
            compare(
                f"relative error of {symbol} over the run, L = {int(data.noise_dim[-1])}",
                error.isel(noise_dim=-1),
                0,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                f"error of {symbol} at the largest L, at most that at the smallest",
                largest(error.isel(noise_dim=-1)),
                largest(error.isel(noise_dim=0)),
                bound="upper",
                tolerance=0,
            ),
        ]
    return Finding(
        CLAIM,
        tuple(comparisons),
        assumptions.measured(
            data.isel(noise_dim=-1),
            linear_band=True,
            near_orthogonal=assumptions.NEAR_ORTHOGONAL,
            step=0.2,
            equal_group_sizes=True,
        ),
    )
