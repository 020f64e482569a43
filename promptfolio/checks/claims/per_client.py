"""(T22): unequal clients have unequal optima."""

from typing import Any

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.optimum import best_theta
from promptfolio.checks.settings.mixing import theta_grid
from promptfolio.checks.settings.unequal import Case, unequal
from promptfolio.federation import federation_of
from simulate.experiment import MixingScheme
from simulate.running.runner import run
from theory.mixing.per_client import joint_mixing, posthoc_mixing

CLAIM = Claim(
    name="per_client",
    equation="T22",
    provenance="derived",
    title="Per-client mixing",
    statement="With unequal n_k and groups each client has its own θ*: it grows with a client's number"
    " of samples; joint training follows the square-root law client by client.",
    bound="asymptotic",
    bears_on=("closed_form",),
    cost=3,
)


def collect(scale: Scale) -> xr.Dataset:
    """One small step with n = (6, 10, 20, 40) and groups (0, 1, 0, 2), over twelve seeds."""
    experiment = unequal(
        Case("posthoc", local_steps=1),
        noise_dim=6000,
        global_feature_sq=8.0,
        local_feature_sq=14.0,
        theta=theta_grid(0.02 if scale == "quick" else 0.01),
        learning_rate=1e-6,
        rounds=1,
        record=(1,),
        replicates=3 if scale == "quick" else 12,
    )
    federation = federation_of(experiment)
    predictions: dict[MixingScheme, Any] = {
        "posthoc": posthoc_mixing(federation),
        "joint": joint_mixing(federation),
    }
    parts = []
    for scheme, predicted in predictions.items():
        result = run(experiment.replace(scheme=scheme)).isel(step=0)
        ratio = result.ratio.sel(predictor="mixture").astype(float).mean("seed", skipna=False)
        parts.append(
            xr.Dataset(
                {
                    "theta_empirical": best_theta(ratio, scheme).theta,
                    "theta_predicted": ("client", np.asarray(predicted)),
                    **assumptions.of_runs(result),
                }
            ).drop_vars(["predictor", "step", "round"], errors="ignore")
        )
    data = xr.concat(parts, xr.DataArray(list(predictions), dims="scheme", name="scheme"))
    return assumptions.record(data.assign_attrs(experiment=experiment.to_json()), experiment)


def judge(data: xr.Dataset) -> Finding:
    """Every client's θ* within 0.03, growing with their sample counts at least half as fast as predicted."""
    return Finding(
        CLAIM,
        (
            compare(
                "θ* of each client",
                data.theta_empirical,
                data.theta_predicted,
                bound="asymptotic",
                tolerance=0.03,
            ),
            compare(
                "rise of θ* from each client to the one with more data, at least half of its prediction",
                data.theta_empirical.diff("client"),
                data.theta_predicted.diff("client") / 2,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(data, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL, step=0.1),
    )
