"""Simulated portfolios as two assets: signals and noise moments of the two prompts, and the mixture's best θ."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import minimize_scalar

from promptfolio.checks import assumptions
from simulate.experiment import Experiment
from simulate.running.runner import run
from theory.mixing.tangency import mixture_ratio


def varied_portfolios(replicates: int) -> xr.Dataset:
    """Post-hoc pairs of prompts from runs that differ in everything that the mixing formula does not depend on.

    Unequal clients, short and long training, inside and outside the linear band, ReLU and tanh. The formulas
    (T15) and (T16) hold for any pair of prompts, with its own moments.

    Returns:
        signal, noise_norm_sq (point, prompt), noise_inner (point), of pairs with two positive signals, and the
        conditions measured in the runs.
    """
    base = Experiment(
        clients=4,
        samples=(4, 8, 15, 30),
        groups=(0, 1, 0, 2),
        global_feature_sq=2.0,
        local_feature_sq=3.0,
        noise_dim=120,
        noise_std=0.7,
        scheme="posthoc",
        init_std=0.05,
        learning_rate=2e-3,
        rounds=200,
        record=(2, 20, 200),
        replicates=replicates,
    )
    runs = [
        base,
        base.replace(signal_offset=0.6, noise_offset=0.3),
        base.replace(activation="tanh", signal_offset=0.5, noise_offset=0.5),
    ]
    results = [run(experiment) for experiment in runs]
    parts = [
        result[["signal", "noise_norm_sq", "noise_inner"]]
        .drop_vars(["group", "samples", "round"])
        .stack(point=("seed", "step", "client"))
        .reset_index("point")
        for result in results
    ]
    pairs = xr.concat(parts, "point").assign_attrs(experiment=base.to_json(), noise_std=base.noise_std)
    pairs = pairs.isel(point=np.flatnonzero((pairs.signal > 0).all("prompt")))
    return assumptions.record(pairs.assign(assumptions.of_runs(*results)), *runs)


def asset_arguments(pairs: xr.Dataset) -> dict[str, Any]:
    """The pairs' moments, as `theory.mixing.tangency` names them; arrays of shape (points,)."""
    return {
        "signal_global": pairs.signal.sel(prompt="global").values,
        "signal_local": pairs.signal.sel(prompt="local").values,
        "noise_global": pairs.noise_norm_sq.sel(prompt="global").values,
        "noise_local": pairs.noise_norm_sq.sel(prompt="local").values,
        "noise_cross": pairs.noise_inner.values,
    }


def maximise_ratio(moments: dict[str, Any]) -> tuple[float, float]:
    """Best θ and its ratio by a grid and a bounded search, knowing the mixture's ratio only."""
    grid = np.linspace(0, 1, 201)
    best = int(np.argmax(mixture_ratio(grid, **moments)))
    found = minimize_scalar(
        lambda theta: -float(mixture_ratio(theta, **moments)),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, 200)]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    candidates = [float(found.x), 0.0, 1.0]
    ratios = [float(mixture_ratio(theta, **moments)) for theta in candidates]
    return candidates[int(np.argmax(ratios))], max(ratios)
