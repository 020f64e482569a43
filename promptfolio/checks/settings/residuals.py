"""The residuals that a run accumulated."""

import xarray as xr

from simulate.experiment import Experiment


def accumulated_residuals(result: xr.Dataset, experiment: Experiment) -> xr.DataArray:
    """τ of both prompts, read from β.

    In the linear band every step adds 2aηωq to β, with ω the prompt's weight in its own training (T5), so that
    τ = β/(2aω). Of a fine-tuned prompt it is τ_F, of what was added to the global one (T31).

    Args:
        result: of `simulate.run`.
        experiment: what was run; from zero, and within the linear band.

    Returns:
        Dimensions as β's, and theta where training depends on θ; NaN where ω = 0, since there the prompt is
        not trained.
    """
    is_global, beta = result.prompt == "global", result.beta
    if experiment.scheme == "finetuned":
        beta = beta.where(is_global, beta - beta.sel(prompt="global"))
    weights = {
        "joint": xr.where(is_global, 1 - result.theta, result.theta),
        "detached": xr.where(is_global, 1.0, result.theta),
        "posthoc": xr.ones_like(is_global, float),
        "finetuned": xr.ones_like(is_global, float),
    }
    weight = weights[experiment.scheme]
    tau: xr.DataArray = beta / (2 * experiment.global_feature_sq * weight.where(weight > 0))
    return tau
