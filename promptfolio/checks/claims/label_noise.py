"""(T26): wrong training labels scale every ratio by 1−2ε at first, and cost more once they are memorised."""

from typing import Any

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, binomial_test, compare
from promptfolio.checks.optimum import best_theta
from promptfolio.checks.settings.mixing import theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.checks.settings.unequal import ratio_error
from promptfolio.federation import federation_of
from simulate.experiment import Experiment, TrainingScheme
from simulate.running.runner import run
from theory.extensions.label_noise import factor_bounds
from theory.extensions.noisy_clients import leading_mixing
from theory.extensions.prediction import predict
from theory.mixing.leading_order import mixing_from_odds, posthoc_odds
from theory.mixing.tangency import optimal_mixing
from theory.model.federation import Federation

CLAIM = Claim(
    name="label_noise",
    equation="T26",
    provenance="derived",
    title="Label noise",
    statement="Training labels wrong with chance ε multiply every ratio by 1−2ε to leading order and do not"
    " change θ*. Later wrong labels keep the larger residuals: memorising them lowers the ratio"
    " further, down to a bound that noise energy keeps near 1−2ε. The mean field with clean and"
    " flipped samples gives every ratio at every time.",
    bound="asymptotic",
    cost=4,
)

RATES = (0.0, 0.15, 0.3)
THETA = (0.3, 0.6)
_PROMPTS = ["global", "local"]


def collect(scale: Scale) -> xr.Dataset:
    """Signal energy near that of noise (κ_s/κ_n = 0.4): post-hoc at three noise rates, other schemes at one.

    The first step, which all residuals share, is the leading order at any step size. Predictions use the share of
    wrong labels that each client of each seed drew.
    """
    quick = scale == "quick"
    setting = SymmetricSetting(samples=40, noise_dim=4000 if quick else 6000, strength=4.0 if quick else 4.9)
    steps = (1, 20, 200) if quick else (1, 20, 300)
    experiment = setting.experiment(
        theta=theta_grid(0.02),
        scheme="posthoc",
        rounds=max(steps),
        record=steps,
        replicates=2 if quick else 3,
        precision="float32",
    )
    results = [run(experiment.replace(label_noise=rate)) for rate in RATES]
    parts = [_posthoc(setting, experiment, result) for result in results]
    data = xr.concat(parts, xr.DataArray(list(RATES), dims="rate", name="rate"))
    others: tuple[TrainingScheme, ...] = ("joint",) if quick else ("joint", "detached")
    for scheme in others:
        noisy = experiment.replace(scheme=scheme, theta=THETA, label_noise=RATES[-1])
        result = run(noisy)
        results.append(result)
        data[f"{scheme}_ratio"] = _unlabelled(result.ratio.sel(predictor="mixture")).rename(theta="trained")
        data[f"{scheme}_predicted"] = _predicted(noisy, result, THETA).rename(theta="trained")
    data["theta_leading"] = mixing_from_odds(posthoc_odds(setting.equal_clients))
    data = data.assign({**assumptions.of_runs(*results), "noise_dim": setting.noise_dim})
    data.attrs = {
        "experiment": experiment.to_json(),
        "labels": sum(experiment.samples) * experiment.replicates,
    }
    return assumptions.record(data, experiment)


def _unlabelled(values: xr.DataArray) -> xr.DataArray:
    return values.drop_vars(["predictor", "prompt", "round", "group", "samples"], errors="ignore")


def _drawn(experiment: Experiment, result: xr.Dataset) -> list[Federation]:
    """The federation with each seed's shares of wrong labels."""
    return [federation_of(experiment).replace(label_noise=shares.values) for shares in result.flipped_share]


def _predicted(experiment: Experiment, result: xr.Dataset, theta: tuple[float, ...]) -> xr.DataArray:
    """T14 with two types, from every seed's shares of wrong labels."""
    ratios = [
        predict(drawn, experiment.scheme, experiment.record, theta, experiment.learning_rate).ratio
        for drawn in _drawn(experiment, result)
    ]
    coords = {"theta": list(theta), "step": result.step.values}
    return xr.DataArray(np.asarray(ratios), coords, ("seed", "step", "theta", "client"))


def _posthoc(setting: SymmetricSetting, experiment: Experiment, result: xr.Dataset) -> xr.Dataset:
    first = result.isel(step=0)
    pooled = first[["signal", "noise_norm_sq"]].mean(("seed", "client"), skipna=False).sel(prompt=_PROMPTS)
    cross = first.noise_inner.mean(skipna=False)
    mixture = _unlabelled(result.ratio.sel(predictor="mixture"))
    shares = result.flipped_share
    bounds = factor_bounds(setting.equal_clients, shares.values, 1.0)
    best = [leading_mixing(drawn) for drawn in _drawn(experiment, result)]
    ends = (0.0, *THETA, 1.0)
    variables: dict[str, Any] = {
        "flipped_share": shares,
        "ratio": mixture.sel(theta=list(ends)),
        "ratio_predicted": _predicted(experiment, result, ends),
        # the local prompt alone: its ratio over that without label noise, which does not depend on time
        "factor": _unlabelled(result.ratio.sel(predictor="local").isel(theta=0, drop=True))
        / setting.strength,
        "factor_lower": (("seed", "client"), bounds.lower),
        "factor_upper": (("seed", "client"), bounds.upper),
        "theta_pooled": optimal_mixing(
            pooled.signal[0], pooled.signal[1], pooled.noise_norm_sq[0], pooled.noise_norm_sq[1], cross
        ),
        "theta_empirical": best_theta(mixture.isel(step=0, drop=True)).theta,
        "theta_predicted": (("seed", "client"), np.asarray(best)),
    }
    return xr.Dataset(variables).drop_vars(["round", "group", "samples"], errors="ignore")


def judge(data: xr.Dataset) -> Finding:
    """Ratios within 3 % on average, every local prompt between its bounds, θ* where clean labels have it."""
    sampling = ratio_error(int(data.noise_dim), seeds=1)
    everyone = ("seed", "client")
    noisy = data.sel(rate=list(RATES[1:]))
    first = data.factor.isel(step=0)
    kept = (first / first.sel(rate=0.0)).sel(rate=list(RATES[1:]))
    memorised = (noisy.factor.isel(step=-1) / noisy.factor.isel(step=0)).mean(everyone, skipna=False)
    predicted_at_ends = noisy.ratio_predicted.sel(theta=1.0).isel(step=[0, -1]).mean(everyone, skipna=False)
    predicted_loss = predicted_at_ends.isel(step=-1) / predicted_at_ends.isel(step=0)
    labels = data.attrs["labels"]
    ratios = [("post-hoc", data.ratio, data.ratio_predicted)] + [
        (scheme, data[f"{scheme}_ratio"], data[f"{scheme}_predicted"])
        for scheme in ("joint", "detached")
        if f"{scheme}_ratio" in data
    ]
    return Finding(
        CLAIM,
        (
            binomial_test(
                "share of training labels that contradict the true class",
                noisy.flipped_share.mean(everyone, skipna=False),
                noisy.rate,
                trials=labels,
                name="wrong labels",
            ),
            compare(
                "R of the local prompt after one step relative to clean labels, minus 1 − 2ε of"
                " the labels drawn",
                (kept - (1 - 2 * noisy.flipped_share)).mean(everyone, skipna=False),
                0,
                bound="asymptotic",
                tolerance=0.02,
            ),
            *(
                compare(
                    f"R relative to its prediction at every time, {name} training",
                    (measured / predicted).mean(everyone, skipna=False),
                    1,
                    bound="asymptotic",
                    tolerance=0.03,
                )
                for name, measured, predicted in ratios
            ),
            compare(
                "factor on R of every local prompt, at most 1 − 2ε",
                *xr.broadcast(data.factor, data.factor_upper),
                bound="upper",
                tolerance=sampling,
            ),
            compare(
                "factor on R of every local prompt, at least its bound for all times",
                *xr.broadcast(data.factor, data.factor_lower),
                bound="lower",
                tolerance=sampling,
            ),
            compare(
                "further factor on R of the local prompt as wrong labels are memorised",
                *xr.broadcast(memorised, predicted_loss.drop_vars("theta")),
                bound="asymptotic",
                tolerance=0.03,
            ),
            compare(
                "θ* from moments pooled over clients, after one step",
                data.theta_pooled,
                data.theta_leading,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "θ* of each client, given its share of wrong labels",
                *xr.broadcast(data.theta_empirical, data.theta_predicted),
                bound="asymptotic",
                tolerance=0.06,
            ),
        ),
        assumptions.measured(
            data, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL, equal_group_sizes=True
        ),
    )
