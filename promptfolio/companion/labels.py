"""Put the measurements of a study into one `xarray.Dataset` with named dimensions, units and descriptions."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.client_splits import ClientSplits
from promptfolio.companion.evaluate import (
    CHOICES,
    GROUPS,
    SPLITS,
    Record,
    choosing_images,
    group_images,
    overall_accuracy,
    sample_counts,
)
from promptfolio.companion.study_config import ClipStudy
from promptfolio.naming import content_name
from simulate.results.finiteness import NonFiniteError
from simulate.results.provenance import provenance
from simulate.running.arithmetic import numerics
from theory.mixing.joint_law import joint_mixing

PROMPTS = ("global", "local")

_DIMENSIONS = {
    "accuracy": ("scheme", "split", "seed", "step", "theta", "client"),
    "overall_accuracy": ("scheme", "split", "seed", "step", "theta"),
    "group_accuracy": ("scheme", "group", "seed", "step", "theta"),
    "prompt_accuracy": ("scheme", "prompt", "split", "seed", "step", "theta", "client"),
    "generalisation": ("prompt", "seed", "step", "client"),
    "predicted_error": ("seed", "step", "theta", "client"),
    "chosen_theta": ("scheme", "choice", "seed", "step"),
    "tied_low": ("scheme", "choice", "seed", "step"),
    "tied_high": ("scheme", "choice", "seed", "step"),
    "chosen_accuracy": ("scheme", "choice", "seed", "step"),
    "chosen_group_accuracy": ("scheme", "group", "choice", "seed", "step"),
    "chosen_client_accuracy": ("scheme", "choice", "seed", "step", "client"),
    "converted_theta": ("seed", "step"),
    "converted_accuracy": ("seed", "step"),
    "baseline_accuracy": ("split", "seed", "client"),
    "baseline_group_accuracy": ("group", "seed"),
}
_MEANINGS = {
    "accuracy": "accuracy of the mixture on a client's images; joint and detached pairs at their own θ",
    "overall_accuracy": "accuracy over all clients' images: the mean over clients weighted by their images",
    "group_accuracy": "accuracy over all clients' test images of classes with, or without, training images",
    "prompt_accuracy": "accuracy of one prompt of the pair by itself",
    "generalisation": "accuracy of a separately trained prompt, for local ones the client's, on ALL clients' test"
    " images",
    "predicted_error": "error of the post-hoc mixture predicted from validation margins (T24)",
    "chosen_theta": "θ by (T24), by the exact validation curve, on the validation grid or on the test grid",
    "tied_low": "first θ that is as good as the chosen one, by what it was chosen by",
    "tied_high": "last θ that is as good as the chosen one",
    "chosen_accuracy": "overall test accuracy at the chosen θ",
    "chosen_group_accuracy": "group_accuracy at the chosen θ",
    "chosen_client_accuracy": "accuracy at the chosen θ on a client's own test images",
    "converted_theta": "predicted θ* as √odds/(1 + √odds) for joint training (T21), known not to carry over",
    "converted_accuracy": "overall test accuracy of the joint pair with θ nearest to the converted one",
    "baseline_accuracy": "accuracy of the class anchors, without any prompt",
    "baseline_group_accuracy": "the same over test images of classes with, or without, training images",
}


def label_study(
    study: ClipStudy,
    bank: FeatureBank,
    splits: ClientSplits,
    records: Mapping[str, Sequence[Record]],
    baseline: tuple[Float[np.ndarray, "splits seeds clients"], Float[np.ndarray, "groups seeds"]],
) -> xr.Dataset:
    """Return the measurements of a study as a labelled dataset.

    Args:
        study: what was run, with the names of its splits resolved.
        bank: the features it was run on.
        splits: the clients' images.
        records: for each scheme, one `Record` for each recorded round.
        baseline: accuracy of the class anchors without any prompt, as a fraction, by splits and by groups of
            classes.

    Returns:
        Dimensions scheme, split (validation, test), seed, step, theta, client, prompt (global, local), choice and
        group (trained, untrained: of classes with and without training images). Joint and detached pairs have
        values at their trained θ only; all other entries are NaN, as are variables that a scheme does not define.
        In a pooled split, "test" is each client's whole pool and "validation" the part of it that it did not train
        on.

    Raises:
        NonFiniteError: when a number that these schemes define is not finite.
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
        "group": len(GROUPS),
    }
    values = {name: np.full([sizes[dim] for dim in dims], np.nan) for name, dims in _DIMENSIONS.items()}
    values["baseline_accuracy"][:], values["baseline_group_accuracy"][:] = baseline
    for p, scheme in enumerate(study.schemes):
        for step, record in enumerate(records[scheme]):
            _require_finite(scheme, study.record[step], record, splits)
            trained_at = at[scheme]
            values["accuracy"][p, :, :, step, trained_at] = _leading_theta(record.accuracy, trained_at, 2)
            overall = overall_accuracy(record.accuracy, splits)
            values["overall_accuracy"][p, :, :, step, trained_at] = _leading_theta(overall, trained_at, 2)
            groups = _leading_theta(record.group_accuracy, trained_at, 2)
            values["group_accuracy"][p, :, :, step, trained_at] = groups
            values["prompt_accuracy"][p, :, :, :, step, trained_at] = _leading_theta(
                record.prompt_accuracy, trained_at, 3
            )
            for name in ("chosen_theta", "tied_low", "tied_high", "chosen_accuracy"):
                values[name][p, :, :, step] = getattr(record, name).T
            values["chosen_group_accuracy"][p, ..., step] = record.chosen_group_accuracy.swapaxes(1, 2)
            values["chosen_client_accuracy"][p, :, :, step] = record.chosen_client_accuracy.swapaxes(0, 1)
            if scheme == "posthoc":
                values["predicted_error"][:, step] = record.predicted_error
                values["generalisation"][:, :, step] = record.generalisation
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
            "group": ("group", list(GROUPS), {"long_name": "classes with and without training images"}),
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
            "group_samples": (
                ("group", "seed"),
                group_images(splits).sum(axis=(2, 3)),
                {"long_name": "test images of classes with and without training images"},
            ),
        },
        attrs={
            "study": study.to_json(),
            **bank.describe(),
            **splits.roles.describe(),
            "baseline": splits.baseline,
            **provenance(),
            "numerics": numerics("float32"),
        },
    )


def study_name(attributes: Mapping[str, Any]) -> str:
    """Name of a study's files, without their endings: the bank's name, and a hash of the resolved study and of the
    bank's content.

    Args:
        attributes: of the study's dataset.
    """
    content = {"study": json.loads(attributes["study"]), "bank": attributes["bank_sha256"]}
    return content_name(f"clip-{pathlib.PurePath(attributes['bank']).stem}", content)


def _require_finite(scheme: str, rounds: int, record: Record, splits: ClientSplits) -> None:
    """Refuse a record with an undefined number among those that its scheme defines."""
    chosen = slice(None) if scheme == "posthoc" else [CHOICES.index("validation"), CHOICES.index("best")]
    numbers = {
        "accuracy": record.accuracy.swapaxes(0, 1),
        "accuracy of a prompt": record.prompt_accuracy.swapaxes(0, 2),
        "chosen θ": record.chosen_theta[:, chosen],
        "accuracy at the chosen θ": record.chosen_accuracy[:, chosen],
        "clients' accuracy at the chosen θ": record.chosen_client_accuracy[:, chosen],
    }
    if scheme == "posthoc":
        numbers["generalisation"] = record.generalisation.swapaxes(0, 1)
        validated = (choosing_images(splits).sum(axis=2) > 0)[:, None]
        numbers["predicted error"] = np.where(validated, record.predicted_error, 0)
    for name, values in numbers.items():
        for seed, each in enumerate(values):
            if not np.isfinite(each).all():
                raise NonFiniteError(
                    f"{name} = nan under scheme {scheme}",
                    seed,
                    rounds,
                    "a client without images to average over",
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
