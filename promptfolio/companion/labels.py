"""Put the measurements of a study into one `xarray.Dataset` with named dimensions, units and descriptions."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

from promptfolio.companion.bank import FeatureBank
from promptfolio.companion.client_splits import ClientSplits
from promptfolio.companion.evaluate import CHOICES, SPLITS, Record, overall_accuracy, sample_counts
from promptfolio.companion.study_config import ClipStudy
from simulate.results.provenance import provenance
from simulate.running.arithmetic import numerics
from theory.mixing.joint_law import joint_mixing

PROMPTS = ("global", "local")

_DIMENSIONS = {
    "accuracy": ("scheme", "split", "seed", "step", "theta", "client"),
    "overall_accuracy": ("scheme", "split", "seed", "step", "theta"),
    "prompt_accuracy": ("scheme", "prompt", "split", "seed", "step", "theta", "client"),
    "predicted_error": ("seed", "step", "theta", "client"),
    "chosen_theta": ("scheme", "choice", "seed", "step"),
    "chosen_accuracy": ("scheme", "choice", "seed", "step"),
    "converted_theta": ("seed", "step"),
    "converted_accuracy": ("seed", "step"),
    "zero_shot_accuracy": ("split", "seed", "client"),
}
_MEANINGS = {
    "accuracy": "accuracy of the mixture on a client's images; joint and detached pairs at their own θ",
    "overall_accuracy": "accuracy over all clients' images: the mean over clients weighted by their images",
    "prompt_accuracy": "accuracy of one prompt of the pair by itself",
    "predicted_error": "error of the post-hoc mixture predicted from validation margins (T24)",
    "chosen_theta": "θ by (T24), by the exact validation curve, on the validation grid or on the test grid",
    "chosen_accuracy": "overall test accuracy at the chosen θ",
    "converted_theta": "predicted θ* as √odds/(1 + √odds) for joint training (T21), known not to carry over",
    "converted_accuracy": "overall test accuracy of the joint pair with θ nearest to the converted one",
    "zero_shot_accuracy": "accuracy of the class anchors, without any prompt",
}


def label_study(
    study: ClipStudy,
    bank: FeatureBank,
    splits: ClientSplits,
    records: Mapping[str, Sequence[Record]],
    zero_shot: Float[np.ndarray, "splits seeds clients"],
) -> xr.Dataset:
    """Return the measurements of a study as a labelled dataset.

    Args:
        study: what was run.
        bank: the features it was run on.
        splits: the clients' images.
        records: for each scheme, one `Record` for each recorded round.
        zero_shot: accuracy of the class anchors without any prompt, as a fraction.

    Returns:
        Dimensions scheme, split (validation, test), seed, step, theta, client, prompt (global, local),
        choice. Joint and detached pairs have values at their trained θ only; all other entries are NaN, as are
        variables that a scheme does not define. In a pooled split, "test" is each client's whole pool and
        "validation" the part of it that it did not train on.
    """
    theta = np.asarray(study.theta)
    trained = np.abs(theta[:, None] - np.asarray(study.trained_theta)).argmin(axis=0)
    at = {scheme: slice(None) if scheme == "posthoc" else trained for scheme in study.schemes}
    sizes = {
        "scheme": len(study.schemes),
        "split": len(SPLITS),
        "prompt": len(PROMPTS),
        "seed": study.replicates,
        "step": len(study.record),
        "theta": theta.size,
        "client": study.clients,
        "choice": len(CHOICES),
    }
    values = {name: np.full([sizes[dim] for dim in dims], np.nan) for name, dims in _DIMENSIONS.items()}
    values["zero_shot_accuracy"][:] = zero_shot
    for p, scheme in enumerate(study.schemes):
        for step, record in enumerate(records[scheme]):
            values["accuracy"][p, :, :, step, at[scheme]] = _leading_theta(record.accuracy, at[scheme], 2)
            overall = overall_accuracy(record.accuracy, splits)
            values["overall_accuracy"][p, :, :, step, at[scheme]] = _leading_theta(overall, at[scheme], 2)
            values["prompt_accuracy"][p, :, :, :, step, at[scheme]] = _leading_theta(
                record.prompt_accuracy, at[scheme], 3
            )
            values["chosen_theta"][p, :, :, step] = record.chosen_theta.T
            values["chosen_accuracy"][p, :, :, step] = record.chosen_accuracy.T
            if scheme == "posthoc":
                values["predicted_error"][:, step] = record.predicted_error
    _convert(study, values, trained)
    variables = {
        name: (dims, values[name], {"long_name": _MEANINGS[name], "units": "1"})
        for name, dims in _DIMENSIONS.items()
    }
    rounds = np.asarray(study.record)
    return xr.Dataset(
        variables,
        coords={
            "scheme": ("scheme", list(study.schemes), {"long_name": "how the pair is trained"}),
            "split": ("split", list(SPLITS), {"long_name": "which held-out images"}),
            "prompt": ("prompt", list(PROMPTS)),
            "choice": ("choice", list(CHOICES), {"long_name": "what θ was chosen by"}),
            "seed": ("seed", np.arange(study.replicates), {"long_name": "replicate"}),
            "theta": ("theta", theta, {"long_name": "θ, weight of the local prompt"}),
            "step": ("step", rounds * study.local_steps, {"long_name": "gradient steps", "units": "step"}),
            "round": ("step", rounds, {"long_name": "federated rounds", "units": "round"}),
            "client": ("client", np.arange(study.clients), {"long_name": "client"}),
            "samples": (
                ("split", "seed", "client"),
                sample_counts(splits),
                {"long_name": "held-out images"},
            ),
            "train_samples": (("seed", "client"), splits.train_rows, {"long_name": "n_k, training images"}),
            "reused_samples": (
                ("seed", "client"),
                splits.reused_rows,
                {"long_name": "test images that some client also trained on"},
            ),
        },
        attrs={"study": study.to_json(), **bank.describe(), **provenance(), "numerics": numerics("float32")},
    )


def _leading_theta(values: np.ndarray, index: object, axis: int) -> np.ndarray:
    """NumPy puts the axis of an index ARRAY first where a number stands among the slices, but a slice's
    axis last."""
    return values if isinstance(index, slice) else np.moveaxis(values, axis, 0)


def _convert(study: ClipStudy, values: dict[str, np.ndarray], trained: np.ndarray) -> None:
    """Fill in (T21): √odds/(1 + √odds) of the predicted post-hoc θ*, and the joint accuracy there."""
    if not {"posthoc", "joint"}.issubset(study.schemes):
        return
    theta = values["chosen_theta"][study.schemes.index("posthoc"), CHOICES.index("predicted")]
    with np.errstate(divide="ignore"):
        odds = theta / (1 - theta)  # infinite at θ = 1, which the conversion maps to itself
    converted = np.asarray(joint_mixing(odds))
    nearest = np.abs(converted[..., None] - np.asarray(study.trained_theta)).argmin(axis=-1)
    joint = values["overall_accuracy"][study.schemes.index("joint"), SPLITS.index("test")]
    values["converted_theta"][:] = converted
    values["converted_accuracy"][:] = np.take_along_axis(joint, trained[nearest][..., None], axis=-1)[..., 0]
