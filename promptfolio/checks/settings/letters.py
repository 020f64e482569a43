"""An experiment's parameters as the theory's functions name them, and the residuals that a run accumulated."""

from typing import Any

import xarray as xr

from simulate.experiment import Experiment


def federation(experiment: Experiment) -> dict[str, Any]:
    """a, b, n_k and s(k), as the results for unequal clients name them (T12, T14, T22).

    Example:
        >>> federation(Experiment(clients=2, samples=(3, 5)))["sample_counts"]
        (3, 5)
    """
    return {
        "global_feature_sq": experiment.global_feature_sq,
        "local_feature_sq": experiment.local_feature_sq,
        "sample_counts": experiment.samples,
        "groups": experiment.groups,
    }


def noise(experiment: Experiment) -> dict[str, Any]:
    """e, σ_p and L, as the theory's functions name them."""
    names = ("noise_feature_sq", "noise_std", "noise_dim")
    return {name: getattr(experiment, name) for name in names}


def noise_energy(experiment: Experiment) -> float:
    """ν̄ = L σ_p² e."""
    return experiment.noise_dim * experiment.noise_std**2 * experiment.noise_feature_sq


def accumulated_residuals(result: xr.Dataset, experiment: Experiment) -> xr.DataArray:
    """τ of both prompts, read from β.

    In the linear band every step adds 2aηωq to β, with ω the prompt's weight in its own training (T5), so that
    τ = β/(2aω).

    Args:
        result: of `simulate.run`.
        experiment: what was run; from zero, and within the linear band.

    Returns:
        Dimensions as β's, and theta under every scheme but post-hoc; NaN where ω = 0, since there the prompt is
        not trained.
    """
    is_global = result.prompt == "global"
    weights = {
        "joint": xr.where(is_global, 1 - result.theta, result.theta),
        "detached": xr.where(is_global, 1.0, result.theta),
        "posthoc": xr.ones_like(is_global, float),
    }
    weight = weights[experiment.scheme]
    tau: xr.DataArray = result.beta / (2 * experiment.global_feature_sq * weight.where(weight > 0))
    return tau
