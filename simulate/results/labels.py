"""Name what was measured: one `xarray.Dataset` with dimensions, units and meanings."""

from typing import Any

import numpy as np
import xarray as xr

from simulate.experiment import Experiment
from simulate.results.conditions import LabelShares
from simulate.results.measure import Measurement
from simulate.results.provenance import provenance
from simulate.running.arithmetic import numerics

PROMPTS = ("global", "local")
PREDICTORS = ("global", "local", "mixture")

_PROMPT_VARIABLES = {
    "beta": "β, coefficient of the feature all clients share (T4)",
    "gamma_own": "γ, coefficient of the client's own group feature (T4)",
    "gamma_other": "mean γ over the other groups' features (T4)",
    "phi_norm": "‖φ‖, norm of the noise coefficients (T4)",
    "phi_max": "max |φ_l|, largest noise coefficient (T4)",
    "signal": "s = H_μ + H_ν of the prompt alone (T7)",
    "bias": "B = H_0, output of the prompt alone on the constant coordinate (T27); 0 where there is none",
    "noise_norm_sq": "‖H_ξ‖² of the prompt alone (T7)",
    "band_occupancy": "max |z_r|/c_r; below 1 the whole encoder is in ReLU's linear band (T2)",
}
_PREDICTOR_VARIABLES = {
    "ratio": "R = s/(σ_p ‖H_ξ‖), signal-to-noise ratio: signal over memorised noise (T7), infinite without noise",
    "accuracy": "exact accuracy on fresh samples of the client: Φ(R) (T7), with a bias (T27)",
    "training_loss": "mean logistic loss on the client's own samples (T3)",
    "margin_mean": "mean training margin y f(g), with the labels that the loss is told",
    "margin_spread": "largest minus smallest training margin",
}
_UNITS = {"training_loss": "nat"}


def label(
    experiment: Experiment,
    measurement: Measurement,
    noise_overlap: np.ndarray,
    label_shares: LabelShares,
    *,
    engine: str,
    fallback: np.ndarray,
) -> xr.Dataset:
    """Turn measurements with leading axes (seeds, thetas, records) into a labelled dataset.

    What belongs to a prompt has dimensions (seed, theta, step, client, prompt), what belongs to a predictor
    (seed, theta, step, client, predictor); the global prompt's values are repeated for every client. The
    posthoc and the finetuned scheme train once for all θ: there, prompts' variables lack `theta`, and only the
    mixture varies along it. The shares of labels that the training data realised have dimensions (seed, client).
    Coordinate `step` counts gradient steps, `round` federated rounds; under the finetuned scheme `finetune_step`
    counts the steps that clients have taken on their own.

    Attribute `engine_used` is ``engine``, the name of the engine that ran, whether the experiment named it or left
    the choice open; the seeds that `fallback` marks failed its check (a noise row left the linear band) and come
    from its fallback, the coefficient engine. With a Gram matrix drawn directly, single noise coordinates do not
    exist: `phi_max` is NaN, and `band_occupancy_is` says "upper bound" instead of "exact".
    """
    once = experiment.trained_once
    prompt_dims = (
        ("seed", "step", "client", "prompt") if once else ("seed", "theta", "step", "client", "prompt")
    )

    def shared(values: Any) -> Any:
        return values[:, 0] if once else values

    variables: dict[str, Any] = {}
    for name, meaning in _PROMPT_VARIABLES.items():
        variables[name] = (
            prompt_dims,
            shared(getattr(measurement.prompts, name)),
            _attributes(name, meaning),
        )
    variables["noise_inner"] = (
        prompt_dims[:-1],
        shared(measurement.noise_inner),
        _attributes("noise_inner", "⟨H_G,ξ , H_L,ξ⟩, inner product of the two noise vectors"),
    )
    for name, meaning in _PREDICTOR_VARIABLES.items():
        values = _with_mixture(getattr(measurement.singles, name), getattr(measurement.mixtures, name), once)
        dims = ("seed", "theta", "step", "client", "predictor")
        variables[name] = (dims, values, _attributes(name, meaning))

    variables["noise_overlap"] = (
        ("seed",),
        noise_overlap,
        _attributes("noise_overlap", "max |⟨x_i, x_j⟩| / ‖x_i‖² over training samples i ≠ j of all clients"),
    )
    variables["fallback"] = (
        ("seed",),
        fallback,
        _attributes("fallback", "whether the coefficient engine had to replace the Gram engine"),
    )
    variables["flipped_share"] = (
        ("seed", "client"),
        label_shares.flipped,
        _attributes("flipped_share", "share of the client's training labels that are flipped (T26)"),
    )
    variables["positive_share"] = (
        ("seed", "client"),
        label_shares.positive,
        _attributes("positive_share", "share of the client's training samples with true class +1 (T27)"),
    )
    turns = np.asarray(experiment.record)
    rounds, steps = np.minimum(turns, experiment.rounds), [*map(experiment.steps_after, turns.tolist())]
    further: dict[str, Any] = {}
    if experiment.scheme == "finetuned":
        counted = {"long_name": "steps of fine-tuning", "units": "step"}
        further["finetune_step"] = ("step", turns - rounds, counted)
    return xr.Dataset(
        variables,
        coords={
            "seed": ("seed", np.arange(experiment.replicates), {"long_name": "replicate"}),
            "theta": ("theta", np.asarray(experiment.theta), {"long_name": "θ, weight of the local prompt"}),
            "step": ("step", steps, {"long_name": "gradient steps", "units": "step"}),
            "round": ("step", rounds, {"long_name": "federated rounds", "units": "round"}),
            **further,
            "client": ("client", np.arange(experiment.clients), {"long_name": "client"}),
            "group": ("client", np.asarray(experiment.groups), {"long_name": "feature group s(k)"}),
            "samples": ("client", np.asarray(experiment.samples), {"long_name": "n_k, training samples"}),
            "prompt": ("prompt", list(PROMPTS)),
            "predictor": ("predictor", list(PREDICTORS)),
        },
        attrs={
            "experiment": experiment.to_json(),
            "engine_used": engine,
            "band_occupancy_is": "exact" if experiment.gram == "features" else "upper bound",
            **provenance(),
            "numerics": numerics(experiment.precision),
        },
    )


def _with_mixture(singles: np.ndarray, mixtures: np.ndarray, once: bool) -> np.ndarray:
    """Put the mixture beside the single prompts as (seeds, thetas, records, clients, predictors).

    ``singles`` is (seeds, trained, records, clients, 2) and ``mixtures`` (seeds, trained, records, evaluated,
    clients), with trained = 1 and evaluated = thetas if trained once, and the other way round otherwise.
    """
    if once:
        mixture = np.moveaxis(mixtures[:, 0], 2, 1)
        singles = np.broadcast_to(singles, (singles.shape[0], mixture.shape[1], *singles.shape[2:]))
    else:
        mixture = mixtures[:, :, :, 0]
    return np.concatenate([singles, mixture[..., None]], axis=-1)


def _attributes(name: str, meaning: str) -> dict[str, str]:
    return {"long_name": meaning, "units": _UNITS.get(name, "1")}
