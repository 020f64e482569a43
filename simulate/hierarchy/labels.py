"""Name what was measured of prompts on several levels: one `xarray.Dataset`."""

from collections.abc import Mapping

import jax
import numpy as np
import xarray as xr
from scipy.special import ndtr

from simulate.experiment import Experiment
from simulate.hierarchy.config import Hierarchy
from simulate.hierarchy.measure import LevelRecord, MixtureRecord
from simulate.results.measure import signal_to_noise
from simulate.results.provenance import provenance
from simulate.running.arithmetic import numerics

_LEVELS = {
    "signal": "s = H_μ + H_ν of each level's prompt alone (T7)",
    "noise_gram": "Σ, inner products of the levels' noise vectors H_ξ (T23)",
    "band_occupancy": "max |z_r|/c_r; below 1 the whole encoder is in ReLU's linear band (T2)",
}
_MIXTURES = {
    "ratio": "R = s/(σ_p ‖H_ξ‖), signal-to-noise ratio of the mixture (T7)",
    "accuracy": "Φ(R), exact accuracy on fresh samples of the client (T7)",
    "training_loss": "mean logistic loss on the client's own samples (T3)",
}


def label_levels(
    hierarchy: Hierarchy, records: Mapping[str, np.ndarray], noise_overlap: np.ndarray
) -> xr.Dataset:
    """Turn records into the dataset that `run_hierarchy` describes.

    Args:
        hierarchy: what was run.
        records: `level_records`.
        noise_overlap: of every replicate, shape (seeds,).
    """
    experiment = hierarchy.experiment
    posthoc = experiment.scheme == "posthoc"
    inner = {"noise_gram": ("client", "level", "other_level")}
    variables = {}
    for name, meaning in _LEVELS.items():
        values, dims = records[name], inner.get(name, ("client", "level"))
        lead = ("seed", "step") if posthoc else ("seed", "portfolio", "step")
        attributes = {"long_name": meaning, "units": "1"}
        variables[name] = ((*lead, *dims), values[:, 0] if posthoc else values, attributes)
    for name, meaning in _MIXTURES.items():
        values = records[name]
        values = np.moveaxis(values[:, 0], 2, 1) if posthoc else values[:, :, :, 0]
        attributes = {"long_name": meaning, "units": "nat" if name == "training_loss" else "1"}
        variables[name] = (("seed", "portfolio", "step", "client"), values, attributes)
    overlap = {
        "long_name": "max |⟨x_i, x_j⟩| / ‖x_i‖² over training samples i ≠ j of all clients",
        "units": "1",
    }
    variables["noise_overlap"] = (("seed",), noise_overlap, overlap)
    rounds = np.asarray(experiment.record)
    coordinates = {
        "seed": np.arange(experiment.replicates),
        "weight": (("portfolio", "level"), np.asarray(hierarchy.weights), {"long_name": "w, weights (T23)"}),
        "step": ("step", rounds * experiment.local_steps, {"long_name": "gradient steps", "units": "step"}),
        "round": ("step", rounds, {"long_name": "federated rounds", "units": "round"}),
        "client": np.arange(experiment.clients),
        "group": ("client", np.asarray(experiment.groups), {"long_name": "feature group s(k)"}),
        "samples": ("client", np.asarray(experiment.samples), {"long_name": "n_k, training samples"}),
        "level": list(hierarchy.levels),
        "other_level": list(hierarchy.levels),
    }
    attributes = {
        "experiment": experiment.to_json(),
        "hierarchy": hierarchy.to_json(),
        **provenance(),
        "numerics": numerics(experiment.precision),
    }
    order = ("seed", "portfolio", "step", "client", "level", "other_level")
    return xr.Dataset(variables, coordinates, attributes).transpose(*order)


def level_records(
    experiment: Experiment, levels: LevelRecord, mixtures: MixtureRecord
) -> dict[str, np.ndarray]:
    """What is reported, by name, in float64; leading axes (seeds, trainings, records) as in the arguments."""
    levels, mixtures = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (levels, mixtures))
    # What is not finite is refused by its name in `simulate.results.finite_records`.
    with np.errstate(over="ignore", invalid="ignore"):
        scale, norm, loss = levels.noise_scale, mixtures.noise_norm, mixtures.training_loss
        risk = experiment.noise_std * (norm.scale * norm.value)
        ratio = signal_to_noise(mixtures.features.sum(axis=-1), risk)
        return {
            "signal": levels.features.sum(axis=-1),
            "noise_gram": scale[..., :, None] * levels.noise_gram * scale[..., None, :],
            "band_occupancy": np.maximum(
                levels.signal_extent / experiment.signal_offset, levels.noise_extent / experiment.noise_offset
            ),
            "ratio": ratio,
            "accuracy": ndtr(ratio),
            "training_loss": loss.scale * loss.value,
        }
