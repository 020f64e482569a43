"""Summary of a study: means and standard deviations over seeds at each recorded round, for a report or as JSON."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from simulate.results.notices import notices_of

_ATTRIBUTES = (
    "bank",
    "bank_sha256",
    "backbone",
    "synthetic",
    "text_features",
    "train_split",
    "validation_split",
    "test_split",
    "dropped_images",
    "label_conflicts",
)
Numbers = dict[str, np.ndarray]


def summarise(dataset: xr.Dataset) -> dict[str, Any]:
    """Means and standard deviations over seeds of a study's main numbers.

    Accuracies are test accuracies as fractions; differences are in accuracy points.

    Args:
        dataset: from `promptfolio.companion.study.run_study`.

    Returns:
        - bank, bank_sha256, backbone, synthetic and text_features (1 or 0): what the study was run on;
        - train_split, validation_split, test_split: the splits of the bank that were used; train_images,
          validation_images and test_images: how many of their images, mean over seeds; dropped_images and
          label_conflicts: images that repeat another one, and how many contradict its label;
        - notices: sentences on choices that were made for the user and on what limits the numbers;
        - seeds, and distinct_replicates: how many of them are different runs;
        - baseline: the class anchors without any prompt, {"name", …} with the numbers below; the name is
          "zero-shot" where the bank has class texts, and says otherwise of how many images the anchors are made.
          zero_shot: the same accuracy under this key, with class texts only;
        - reused: share of the test images that some client also trained on: 0 unless the study pooled the splits;
        - rounds: for every recorded round a dictionary with `round` and the following, each as {"mean", "std"} and
          only where the study ran the schemes that it needs:

          - global, local: the separately trained prompts alone;
          - posthoc_predicted, posthoc_exact, posthoc_validation, posthoc_best: mixture at the θ of each
            choice, and theta_… that θ; theta_…_low and theta_…_high the first and last θ that are as good; only
            "best" is chosen on test images;
          - posthoc_regret: points that the best θ on the test grid gains over the predicted one;
          - posthoc_gain: points of the mixture at the predicted θ above the better single prompt;
          - joint_validation, joint_best, detached_validation, detached_best, and theta_…: pairs trained at
            the θ with the best accuracy on validation, or test, images; joint_deficit, detached_deficit: points
            by which the former is below posthoc_validation;
          - joint_converted, theta_joint_converted: the joint pair nearest to the (T21) conversion of the
            predicted θ;
          - generalisation_local, generalisation_local_worst: each client's local prompt on ALL clients' test
            images, mean and least over clients. The global prompt there is global.

        An accuracy NAME is over all clients' test images together, so that clients count by their images. Beside it
        are NAME_client_mean, in which all clients count alike, NAME_client_std, the standard deviation over
        clients, and NAME_worst_client. Where test images are of classes without training images there are also
        NAME_trained and NAME_untrained, over the images of classes with and without, and NAME_harmonic, their
        harmonic mean.

        The standard deviation is the sample's (n − 1), and None for a single seed and for replicates that are all
        the same run.
    """
    attributes = dataset.attrs
    summary: dict[str, Any] = {name: attributes[name] for name in _ATTRIBUTES}
    distinct = int(attributes["distinct_replicates"])
    summary["notices"] = notices_of(attributes)
    summary["train_images"] = float(dataset.train_samples.sum("client", skipna=False).mean())
    for split in ("validation", "test"):
        images = dataset.samples.sel(split=split).sum("client", skipna=False)
        summary[f"{split}_images"] = float(images.mean())
    summary["seeds"], summary["distinct_replicates"] = int(dataset.sizes["seed"]), distinct
    weights = dataset.samples.sel(split="test")

    def spread(numbers: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return {name: _spread(values, distinct) for name, values in numbers.items()}

    by_client = dataset.baseline_accuracy.sel(split="test")
    overall = ((by_client * weights).sum("client", skipna=False) / weights.sum("client", skipna=False)).values
    groups = (
        dataset.baseline_group_accuracy.transpose("group", "seed").values if _has_untrained(dataset) else None
    )
    baseline = spread(_with_relatives("", overall, by_client.transpose("seed", "client").values, groups))
    summary["baseline"] = {"name": attributes["baseline"], **baseline.pop(""), **baseline}
    if attributes["text_features"]:
        summary["zero_shot"] = _spread(overall, distinct)
    reused = (dataset.reused_samples.sum("client", skipna=False) / weights.sum("client", skipna=False)).values
    summary["reused"] = _spread(reused, distinct)
    summary["rounds"] = [
        {"round": int(dataset["round"][index])} | spread(_numbers(dataset.isel(step=index)))
        for index in range(dataset.sizes["step"])
    ]
    return summary


def _numbers(record: xr.Dataset) -> Numbers:
    """Every number of one recorded round, per seed."""
    numbers: Numbers = {}
    grouped = _has_untrained(record)
    schemes = [str(name) for name in record.scheme.values]
    if "posthoc" in schemes:
        single = record.sel(scheme="posthoc")
        for name, theta in (("global", 0), ("local", -1)):
            at = single.isel(theta=theta)
            numbers |= _with_relatives(
                name,
                at.overall_accuracy.sel(split="test").values,
                at.accuracy.sel(split="test").transpose("seed", "client").values,
                at.group_accuracy.transpose("group", "seed").values if grouped else None,
            )
    for scheme in schemes:
        for choice in (str(name) for name in record.choice.values):
            chosen = record.sel(scheme=scheme, choice=choice)
            if np.isnan(chosen.chosen_theta.values).all():  # not a choice of this scheme
                continue
            numbers |= _with_relatives(
                f"{scheme}_{choice}",
                chosen.chosen_accuracy.values,
                chosen.chosen_client_accuracy.transpose("seed", "client").values,
                chosen.chosen_group_accuracy.transpose("group", "seed").values if grouped else None,
            )
            numbers[f"theta_{scheme}_{choice}"] = chosen.chosen_theta.values
            for end in ("low", "high"):
                numbers[f"theta_{scheme}_{choice}_{end}"] = chosen[f"tied_{end}"].values
    if "posthoc" in schemes:
        best_single = np.maximum(numbers["global"], numbers["local"])
        numbers["posthoc_regret"] = 100 * (numbers["posthoc_best"] - numbers["posthoc_predicted"])
        numbers["posthoc_gain"] = 100 * (numbers["posthoc_predicted"] - best_single)
        for scheme in (each for each in schemes if each != "posthoc"):
            numbers[f"{scheme}_deficit"] = 100 * (
                numbers["posthoc_validation"] - numbers[f"{scheme}_validation"]
            )
        everywhere = record.generalisation.sel(prompt="local").transpose("seed", "client").values
        numbers["generalisation_local"] = everywhere.mean(axis=1)
        numbers["generalisation_local_worst"] = everywhere.min(axis=1)
    if {"posthoc", "joint"}.issubset(schemes):
        numbers["joint_converted"] = record.converted_accuracy.values
        numbers["theta_joint_converted"] = record.converted_theta.values
    return numbers


def _has_untrained(dataset: xr.Dataset) -> bool:
    return bool((dataset.group_samples > 0).all())


def _with_relatives(
    name: str, overall: np.ndarray, clients: np.ndarray, groups: np.ndarray | None
) -> Numbers:
    """An accuracy over all images, and beside it those by clients, of shape (seeds, clients), and by groups of
    classes, of shape (groups, seeds)."""
    start = f"{name}_" if name else ""
    numbers = {
        name: overall,
        f"{start}client_mean": clients.mean(axis=1),
        f"{start}client_std": clients.std(axis=1, ddof=1),
        f"{start}worst_client": clients.min(axis=1),
    }
    if groups is not None:
        trained, untrained = groups
        numbers[f"{start}trained"], numbers[f"{start}untrained"] = trained, untrained
        total = trained + untrained
        numbers[f"{start}harmonic"] = 2 * trained * untrained / np.where(total == 0, 1, total)
    return numbers


def _spread(values: np.ndarray, distinct: int) -> dict[str, float | None]:
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if distinct > 1 else None,
    }
