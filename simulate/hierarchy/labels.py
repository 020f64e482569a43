"""Name what was measured of prompts on several levels: one `xarray.Dataset`."""

import numpy as np
import xarray as xr
from scipy.special import ndtr

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
    hierarchy: Hierarchy, levels: LevelRecord, mixtures: MixtureRecord, noise_overlap: np.ndarray
) -> xr.Dataset:
    """Turn what `simulate_hierarchy` measured into the dataset that `run_hierarchy` describes.

    Args:
        hierarchy: what was run.
        levels, mixtures: leaves with leading axes (seeds, trainings, records).
        noise_overlap: of every replicate, shape (seeds,).
    """
    experiment = hierarchy.experiment
    posthoc = experiment.scheme == "posthoc"
    inner = {"noise_gram": ("client", "level", "other_level")}
    variables = {}
    for name, meaning in _LEVELS.items():
        values, dims = getattr(levels, name), inner.get(name, ("client", "level"))
        lead = ("seed", "step") if posthoc else ("seed", "portfolio", "step")
        attributes = {"long_name": meaning, "units": "1"}
        variables[name] = ((*lead, *dims), values[:, 0] if posthoc else values, attributes)
    ratio = signal_to_noise(mixtures.signal, mixtures.risk)
    measured = {"ratio": ratio, "accuracy": ndtr(ratio), "training_loss": mixtures.training_loss}
    for name, meaning in _MIXTURES.items():
        values = measured[name]
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
