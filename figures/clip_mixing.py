"""Accuracy against θ on CLIP features, and θ* against training time."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from figures.style import DASHES, GLOBAL, LOCAL, MARKERS, MIXTURE, TEXT_WIDTH, letter, panels, require_finite


def comparison(data: xr.Dataset) -> xr.Dataset:
    """A study in the form of a comparison: test accuracies over θ, with the predicted and the best θ.

    Args:
        data: as in `draw`. Intervals are there where the replicates are different runs.

    Returns:
        accuracy (scheme, seed, step, theta), theta_predicted (T24) and theta_empirical (scheme, step), and
        theta_low and theta_high, the mean ∓ one standard error over seeds.
    """
    chosen = data.chosen_theta
    theta = {name: chosen.sel(choice=name, drop=True) for name in ("predicted", "best")}
    mean = {name: values.mean("seed", skipna=False) for name, values in theta.items()}
    found = {
        "accuracy": (data.overall_accuracy.sel(split="test", drop=True), "test accuracy of the mixture"),
        "theta_predicted": (mean["predicted"], "θ* predicted from validation margins (T24), mean over seeds"),
        "theta_empirical": (mean["best"], "θ with the best accuracy on test images, mean over seeds"),
    }
    if data.attrs["distinct_replicates"] > 1:
        error = theta["best"].std("seed", ddof=1, skipna=False) / np.sqrt(data.sizes["seed"])
        found["theta_low"] = mean["best"] - error, "mean θ minus its standard error over seeds"
        found["theta_high"] = mean["best"] + error, "mean θ plus its standard error over seeds"
    described = {
        name: values.assign_attrs(long_name=meaning, units="1") for name, (values, meaning) in found.items()
    }
    bank = "SYNTHETIC bank" if data.attrs["synthetic"] else f"features {data.attrs['bank']}"
    return xr.Dataset(described).assign_attrs(described=f"{bank}.")


def draw(data: xr.Dataset) -> Figure:
    """Draw accuracy against θ at a study's last round (left), and θ* against training time (right).

    Args:
        data: from `promptfolio.companion.run_study`, with the posthoc scheme among those run. Spreads over seeds
            are drawn where the replicates are different runs.

    Raises:
        ValueError: a number to be drawn is not finite.
    """
    spread_known = data.attrs["distinct_replicates"] > 1
    figure, (left, right) = panels(2, TEXT_WIDTH, 2.9)
    overall = data.overall_accuracy.sel(split="test").isel(step=-1)
    styles = {"posthoc": (GLOBAL, "post-hoc"), "joint": (LOCAL, "joint"), "detached": (MIXTURE, "detached")}
    for index, scheme in enumerate(str(name) for name in data.scheme.values):
        colour, label = styles[scheme]
        curve = overall.sel(scheme=scheme).dropna("theta", how="all")
        mean = curve.mean("seed", skipna=False)
        if spread_known:
            spread = curve.std("seed", ddof=1, skipna=False)
            left.fill_between(curve.theta, mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)
        marker = "" if scheme == "posthoc" else MARKERS[index]
        left.plot(curve.theta, mean, color=colour, ls=DASHES[index], marker=marker, label=label)
    chosen = data.sel(scheme="posthoc")
    last = chosen[["chosen_theta", "chosen_accuracy"]].isel(step=-1).mean("seed", skipna=False)
    for choice, marker, face, label in (
        ("predicted", "^", GLOBAL, "predicted θ* (T24)"),
        ("best", "o", "white", "best θ on test"),
    ):
        at = last.sel(choice=choice)
        left.plot(
            at.chosen_theta, at.chosen_accuracy, marker=marker, mfc=face, mec=GLOBAL, ms=6, ls="", label=label
        )
        theta = chosen.chosen_theta.sel(choice=choice)
        error = (
            theta.std("seed", ddof=1, skipna=False) / np.sqrt(theta.sizes["seed"]) if spread_known else None
        )
        right.errorbar(
            data["round"],
            theta.mean("seed", skipna=False),
            error,
            color=GLOBAL,
            mfc=face,
            marker=marker,
            elinewidth=0.8,
            ls="-" if choice == "predicted" else DASHES[1],
        )
    left.set(xlabel="θ  (0: global prompt only, 1: local prompt only)", ylabel="test accuracy")
    right.set(xlabel="federated rounds", ylabel="θ", ylim=(-0.03, 1.03))
    right.set_xscale("log")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    name = "SYNTHETIC bank" if data.attrs["synthetic"] else str(data.attrs["bank"])
    rounds = int(data["round"][-1])
    letter((left, right), [f"{name}, after {rounds} rounds", "post-hoc θ over training"])
    require_finite(figure)
    return figure
