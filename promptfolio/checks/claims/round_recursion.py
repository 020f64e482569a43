"""(T13): with many local steps per round the averaged prompt follows a recursion over rounds."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.residuals import accumulated_residuals
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.running.runner import run
from theory.dynamics.round_recursion import accumulated

CLAIM = Claim(
    name="round_recursion",
    equation="T13",
    provenance="derived",
    title="Recursion over rounds",
    statement="One global prompt with E local steps per round moves by τ ← τ + [F(κ_G τ, κ_L ηE) − κ_G τ]/κ_L:"
    " within a round margins grow at κ_L, and averaging sets them back to κ_G τ.",
    bound="asymptotic",
    cost=3,
)


def collect(scale: Scale) -> xr.Dataset:
    """K=4, n=10, χ=1, ηκ_L=0.1, the global prompt alone; one run per E, over the same rounds."""
    many = (5, 20) if scale == "quick" else (1, 5, 20)
    rounds = 20 if scale == "quick" else 400
    setting = SymmetricSetting(noise_dim=8000, step_size=0.1)
    record = tuple(np.unique(np.geomspace(1, rounds, 12).round().astype(int)).tolist())
    parts = []
    for local_steps in many:
        experiment = setting.experiment(
            theta=(0.0,),
            local_steps=local_steps,
            rounds=rounds,
            record=record,
            replicates=2,
            precision="float32",
        )
        result = run(experiment).swap_dims(step="round").drop_vars("step")
        tau = accumulated_residuals(result, experiment).isel(theta=0, client=0, drop=True)
        part = xr.Dataset(
            {
                "tau": tau.sel(prompt="global", drop=True).mean("seed", skipna=False),
                "tau_predicted": (
                    "round",
                    accumulated(setting.equal_clients, record, setting.learning_rate, local_steps),
                ),
                # what the rounds would have done without local steps: all E of them at the rate κ_G
                "tau_averaging_every_step": (
                    "round",
                    accumulated(
                        setting.equal_clients, np.asarray(record) * local_steps, setting.learning_rate, 1
                    ),
                ),
                **assumptions.of_runs(result),
            }
        )
        parts.append(assumptions.record(part.assign_attrs(result.attrs), experiment))
    return xr.concat(parts, xr.DataArray(list(many), dims="local_steps", name="local_steps"))


def judge(data: xr.Dataset) -> Finding:
    """τ within 2 % at every recorded round and E; averaging less often costs far more than that."""
    slowing = 1 - data.tau / data.tau_averaging_every_step
    return Finding(
        CLAIM,
        (
            compare(
                "τ (from β) relative to its prediction, minus 1",
                data.tau / data.tau_predicted - 1,
                0,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "share of τ lost by averaging every E steps only, in the first round of the largest E",
                slowing.isel(local_steps=-1, round=0),
                0.1,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(
            data,
            linear_band=True,
            near_orthogonal=assumptions.NEAR_ORTHOGONAL,
            step=0.2,
            equal_group_sizes=True,
        ),
    )
