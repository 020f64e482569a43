"""Simulated portfolios as two assets: signals and noise moments of the two prompts, and the mixture's best θ."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from simulate.experiment import Experiment
from simulate.running.runner import run
from theory.mixing.moments import Moments
from theory.mixing.tangency import mixture_ratio
from theory.numerics.maximise import maximise_over_mixing


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


def asset_moments(pairs: xr.Dataset) -> Moments:
    """The pairs' moments; arrays of shape (points,)."""
    signal, noise = (pairs[name].transpose("prompt", "point") for name in ("signal", "noise_norm_sq"))
    s_global, s_local = signal.sel(prompt=["global", "local"]).values
    a, b = noise.sel(prompt=["global", "local"]).values
    return Moments(s_global, s_local, a, b, pairs.noise_inner.values)


def maximise_ratio(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Best θ and its ratio of every pair, by grids, knowing the mixture's ratio only; both of shape (points,)."""
    pairs = Moments(*np.atleast_1d(*moments))
    theta = maximise_over_mixing(
        lambda theta: np.asarray(mixture_ratio(theta[:, None], pairs)), refinements=6
    ).place
    return theta, np.asarray(mixture_ratio(theta, pairs))
