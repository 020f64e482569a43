"""(T4): a trained prompt decomposes exactly and uniquely into signal and noise directions."""

from typing import Any

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from simulate.experiment import Experiment
from simulate.running.portfolio import train_portfolio
from theory.model.decomposition import coefficients, reconstruct

CLAIM = Claim(
    name="decomposition",
    equation="T4",
    provenance="derived",
    title="Decomposition of a prompt",
    statement="A trained prompt minus its initialisation lies in the span of the encoder's rows, and its"
    " coefficients β, γ, φ there are unique.",
    bound="exact",
    cost=2,
)


def collect(scale: Scale) -> xr.Dataset:
    """Train literal prompts in R^d with d > m, and decompose every one of them."""
    experiment = Experiment(
        clients=3,
        samples=(6, 9, 4),
        groups=(0, 1, 0),
        noise_dim=60 if scale == "quick" else 200,
        prompt_dim=90 if scale == "quick" else 260,
        init_std=0.3,
        theta=(0.3, 0.7),
        rounds=40,
        local_steps=2,
        learning_rate=3e-3,
        signal_offset=0.8,
        noise_offset=0.8,
        engine="prompt",
        replicates=2,
    )
    portfolio = train_portfolio(experiment)
    assert portfolio.weights is not None
    rows: dict[str, list[Any]] = {name: [] for name in ("residual", "ambiguity", "off_span", "condition")}
    for seed, weights in enumerate(portfolio.weights):
        directions = weights / np.linalg.norm(weights, axis=1, keepdims=True)
        condition = np.linalg.cond(directions)
        moved_global = portfolio.global_prompt[seed] - portfolio.initial_global[seed]
        moved_local = portfolio.local_prompts[seed] - portfolio.initial_local[seed]
        for moved in (*moved_global, *moved_local.reshape(-1, moved_local.shape[-1])):
            size = np.linalg.norm(moved)
            found = coefficients(weights, moved)
            # A second, independent route to the coefficients: least squares on the normalised rows.
            other = np.linalg.lstsq(directions.T, moved)[0] * np.linalg.norm(weights, axis=1)
            off_span = moved - directions.T @ (directions @ moved)
            rows["residual"].append(np.linalg.norm(reconstruct(weights, found) - moved) / size)
            rows["ambiguity"].append(np.linalg.norm(other - found) / np.linalg.norm(found))
            rows["off_span"].append(np.linalg.norm(off_span) / size)
            rows["condition"].append(condition)
    columns = {name: ("prompt", values) for name, values in rows.items()}
    data = xr.Dataset(
        {**columns, **assumptions.of_runs(portfolio)}, attrs={"experiment": experiment.to_json()}
    )
    return assumptions.record(data, experiment)


def judge(data: xr.Dataset) -> Finding:
    """Relative residuals against zero, and the rows' condition number against one (orthogonal rows)."""
    rounding = 1e-10
    return Finding(
        CLAIM,
        (
            compare(
                "relative error of p − p₀ put together from its coefficients",
                data.residual,
                0,
                bound="exact",
                tolerance=rounding,
            ),
            compare(
                "share of ‖p − p₀‖ outside the span of the rows",
                data.off_span,
                0,
                bound="exact",
                tolerance=rounding,
            ),
            compare(
                "relative difference of the coefficients that two solvers find",
                data.ambiguity,
                0,
                bound="exact",
                tolerance=rounding,
            ),
            compare("condition number of the rows", data.condition, 1, bound="exact", tolerance=rounding),
        ),
        assumptions.measured(data),
    )
