"""Unequal clients, and what the general mean field predicts for their training (T12, T14)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.settings.residuals import accumulated_residuals
from promptfolio.federation import federation_of
from simulate.experiment import Experiment, MixingScheme
from simulate.results.labels import PREDICTORS, PROMPTS
from simulate.running.runner import run
from theory.dynamics.margin_rate import local_rate
from theory.dynamics.mean_field import accumulated, margins
from theory.dynamics.predicted_ratio import predicted_ratio
from theory.model.federation import EqualClients

SAMPLES = (6, 10, 20, 40)
GROUPS = (0, 1, 0, 2)
THETA = (0.2, 0.5, 0.8)
STEPS = (5, 20, 100)
"""Gradient steps after which to compare; the margins are then near 0.4, 1 and 2."""
SEEDS = 6
STEP_SIZE = 0.5
"""ηκ_L of the client with the fewest samples. T12 is discrete in time and needs no small step."""
_SHARED, _OWN = 0.11, 0.18
"""a/√L and b/√L: every client alone reaches a ratio between 0.7 and 1.8."""


class Case(NamedTuple):
    """How the clients train: the scheme and E, which divides the numbers of steps."""

    scheme: MixingScheme
    local_steps: int


def unequal(case: Case, noise_dim: int, **changes: Any) -> Experiment:
    """Four clients with n = (6, 10, 20, 40), the first and the third in one group.

    Args:
        case: the scheme and E.
        noise_dim: L; the signals grow with √L, so that ratios stay the same.
        changes: further fields of `Experiment`.

    Example:
        >>> unequal(Case("joint", 5), 400).record
        (1, 4, 20)
    """
    signals = {"global_feature_sq": _SHARED * noise_dim**0.5, "local_feature_sq": _OWN * noise_dim**0.5}
    rate = local_rate(EqualClients(**signals, noise_dim=noise_dim, clients=1, samples=min(SAMPLES)))
    fields: dict[str, Any] = {
        "clients": len(SAMPLES),
        "samples": SAMPLES,
        "groups": GROUPS,
        **signals,
        "noise_dim": noise_dim,
        "learning_rate": STEP_SIZE / float(rate),
        "scheme": case.scheme,
        "local_steps": case.local_steps,
        "theta": THETA,
        "rounds": STEPS[-1] // case.local_steps,
        "record": tuple(step // case.local_steps for step in STEPS),
        "replicates": SEEDS,
        "precision": "float32",
    }
    return Experiment(**{**fields, **changes})


def ratio_error(noise_dim: int, seeds: int = SEEDS) -> float:
    """Four standard errors of a client's mean ratio, relative.

    ‖H_ξ‖ of a client alone is a norm over L independent coordinates: its relative standard error is 1/√(2L) a seed.
    """
    return 4 / (2 * noise_dim * seeds) ** 0.5


def mean_field(experiment: Experiment) -> xr.Dataset:
    """What T12 and T14 predict for an experiment with full participation and plain gradient steps.

    Returns:
        tau_predicted (step, theta, client, prompt), accumulated residuals; margin_predicted (step, theta,
        client, predictor) of the prompts alone and the mixture; ratio_predicted (step, theta, client) of the
        mixture.

    Example:
        >>> dict(mean_field(unequal(Case("joint", 5), 400)).margin_predicted.sizes)
        {'step': 3, 'theta': 3, 'client': 4, 'predictor': 3}
    """
    federation, scheme, theta = federation_of(experiment), experiment.scheme, experiment.theta
    tau = accumulated(
        federation, scheme, experiment.record, theta, experiment.learning_rate, experiment.local_steps
    )
    seen = margins(federation, scheme, theta, tau)
    ratio = predicted_ratio(federation, scheme, theta, tau)
    axes = ("step", "theta", "client")
    return xr.Dataset(
        {
            "tau_predicted": ((*axes, "prompt"), np.stack(tau, axis=-1)),
            "margin_predicted": ((*axes, "predictor"), np.stack(seen, axis=-1)),
            "ratio_predicted": (axes, ratio),
        },
        coords={
            "step": np.asarray(experiment.record) * experiment.local_steps,
            "theta": list(experiment.theta),
            "client": np.arange(experiment.clients),
            "prompt": list(PROMPTS),
            "predictor": list(PREDICTORS),
        },
    )


def collect_cases(cases: Sequence[Case], noise_dims: Sequence[int]) -> xr.Dataset:
    """Train unequal clients in every case and at every L, and put the mean field beside it.

    Returns:
        With dimensions case and noise_dim: the variables of `mean_field`; tau_local (step, theta, client), read
        from the local prompt's β; margin, ratio and accuracy as `simulate.run` names them, means over seeds; and
        the conditions of `assumptions.record`.
    """
    by_case = []
    for case in cases:
        parts = [_compared(unequal(case, noise_dim)) for noise_dim in noise_dims]
        by_case.append(xr.concat(parts, xr.DataArray(list(noise_dims), dims="noise_dim", name="noise_dim")))
    names = [f"{case.scheme}, E = {case.local_steps}" for case in cases]
    return xr.concat(by_case, xr.DataArray(names, dims="case", name="case"))


def _compared(experiment: Experiment) -> xr.Dataset:
    result, predicted = run(experiment), mean_field(experiment)
    tau = accumulated_residuals(result, experiment).sel(prompt="local", drop=True)
    mixture = result.sel(predictor="mixture", drop=True)
    measured = {
        # post-hoc training is the same for every θ
        "tau_local": tau.mean("seed", skipna=False).broadcast_like(result.theta),
        "margin": result.margin_mean.mean("seed", skipna=False),
        "ratio": mixture.ratio.mean("seed", skipna=False),
        "accuracy": mixture.accuracy.mean("seed", skipna=False),
    }
    data = predicted.assign({name: values.drop_vars("round") for name, values in measured.items()})
    return assumptions.record(data.assign(assumptions.of_runs(result)).assign_attrs(result.attrs), experiment)
