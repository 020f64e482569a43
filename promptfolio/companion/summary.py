"""Summary of a study: means and standard deviations over seeds at each recorded round, for a report or as JSON."""

from typing import Any

import numpy as np
import xarray as xr


def summarise(dataset: xr.Dataset) -> dict[str, Any]:
    """Means and standard deviations over seeds of a study's main numbers.

    Accuracies are overall test accuracies (all clients' images together), as fractions; differences are in
    accuracy points.

    Args:
        dataset: from `promptfolio.companion.study.run_study`.

    Returns:
        bank, backbone, synthetic (1 or 0), seeds, zero_shot, reused (share of the test images that some client
        also trained on: 0 unless the study pooled the splits), and `rounds`: for every recorded round a
        dictionary with `round` and the following, each as {"mean", "std"} and only where the study ran the
        schemes that it needs:

        - global, local: the separately trained prompts alone;
        - posthoc_predicted, posthoc_exact, posthoc_validation, posthoc_best: mixture at the θ of each
          choice, and theta_… that θ; only "best" is chosen on test images;
        - posthoc_regret: points that the best θ on the test grid gains over the predicted one;
        - posthoc_gain: points of the mixture at the predicted θ above the better single prompt;
        - joint_validation, joint_best, detached_validation, detached_best, and theta_…: pairs trained at
          the θ with the best accuracy on validation, or test, images; joint_deficit, detached_deficit: points
          by which the former is below posthoc_validation;
        - joint_converted, theta_joint_converted: the joint pair nearest to the (T21) conversion of the
          predicted θ.

        The standard deviation is the sample's (n − 1), and None for a single seed.
    """
    attributes = dataset.attrs
    summary: dict[str, Any] = {name: attributes[name] for name in ("bank", "backbone", "synthetic")}
    summary["seeds"] = int(dataset.sizes["seed"])
    weights = dataset.samples.sel(split="test")
    zero_shot = dataset.zero_shot_accuracy.sel(split="test").weighted(weights).mean("client")
    summary["zero_shot"] = _spread(zero_shot.values)
    summary["reused"] = _spread((dataset.reused_samples.sum("client") / weights.sum("client")).values)
    summary["rounds"] = [
        {"round": int(dataset["round"][index])}
        | {name: _spread(values) for name, values in _numbers(dataset.isel(step=index)).items()}
        for index in range(dataset.sizes["step"])
    ]
    return summary


def _numbers(record: xr.Dataset) -> dict[str, np.ndarray]:
    """Every number of one recorded round, per seed."""
    numbers: dict[str, np.ndarray] = {}
    overall = record.overall_accuracy.sel(split="test")
    schemes = [str(name) for name in record.scheme.values]
    if "posthoc" in schemes:
        curve = overall.sel(scheme="posthoc")
        numbers["global"] = curve.isel(theta=0).values
        numbers["local"] = curve.isel(theta=-1).values
    for scheme in schemes:
        chosen = record.sel(scheme=scheme)
        for choice in (str(name) for name in record.choice.values):
            accuracy = chosen.chosen_accuracy.sel(choice=choice).values
            if not np.isnan(accuracy).any():
                numbers[f"{scheme}_{choice}"] = accuracy
                numbers[f"theta_{scheme}_{choice}"] = chosen.chosen_theta.sel(choice=choice).values
    if "posthoc" in schemes:
        best_single = np.maximum(numbers["global"], numbers["local"])
        numbers["posthoc_regret"] = 100 * (numbers["posthoc_best"] - numbers["posthoc_predicted"])
        numbers["posthoc_gain"] = 100 * (numbers["posthoc_predicted"] - best_single)
        for scheme in (each for each in schemes if each != "posthoc"):
            numbers[f"{scheme}_deficit"] = 100 * (
                numbers["posthoc_validation"] - numbers[f"{scheme}_validation"]
            )
    if {"posthoc", "joint"}.issubset(schemes):
        numbers["joint_converted"] = record.converted_accuracy.values
        numbers["theta_joint_converted"] = record.converted_theta.values
    return numbers


def _spread(values: np.ndarray) -> dict[str, float | None]:
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if values.size > 1 else None,
    }
