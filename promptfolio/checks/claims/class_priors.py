"""(T27): class priors do not change the law of trained prompts, unless a constant coordinate shows them."""

import numpy as np
import xarray as xr
from scipy.special import ndtr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, binomial_test, compare, t_test, welch_degrees
from promptfolio.checks.optimum import best_theta, mean_of_logarithms
from promptfolio.checks.settings.mixing import theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.federation import federation_of
from simulate.experiment import Experiment
from simulate.model.fresh_samples import count_correct
from simulate.running.runner import run
from theory.extensions.class_priors import log_error_with_bias
from theory.extensions.prediction import predict

CLAIM = Claim(
    name="class_priors",
    equation="T27",
    provenance="derived",
    title="Unequal class priors",
    statement="In the model the law of trained prompts does not depend on the class priors. With a coordinate"
    " that is 1 in every image prompts learn a bias B, and accuracy is π Φ((s+B)/v) + (1−π)"
    " Φ((s−B)/v), v = σ_p ‖H_ξ‖: early on, a skew of one client moves its θ* towards the local prompt,"
    " a skew that all share towards the global one.",
    bound="statistical",
    cost=6,
)

SKEWS = {"own": (0.9, 0.5, 0.5, 0.5), "common": (0.9, 0.9, 0.9, 0.9)}
_SINGLES = ["global", "local"]
_LAWS = ("ratio", "training_loss", "noise_norm_sq")


def collect(scale: Scale) -> xr.Dataset:
    """Small runs for the invariance, a count of fresh samples for the accuracy, larger runs for bias and θ*."""
    quick = scale == "quick"
    law = _invariance(replicates=400 if quick else 800)
    counted = _fresh_samples(200_000 if quick else 600_000)
    # The conditions are those of these runs: the statements on the small ones need none.
    trained, experiment = _mean_field(quick)
    data = xr.merge([law, counted, trained])
    data.attrs = {"experiment": experiment.to_json(), **counted.attrs, **law.attrs, **trained.attrs}
    return assumptions.record(data, experiment)


def _invariance(replicates: int) -> xr.Dataset:
    """The same statistics at π = 1/2 and 0.9 from independent seeds, and at π = 0 and 1 from the same seeds."""
    base = Experiment(
        clients=3,
        samples=(6,),
        groups=(0, 1, 0),
        global_feature_sq=1.0,
        local_feature_sq=2.0,
        noise_dim=50,
        learning_rate=5e-3,
        rounds=20,
        record=(20,),
        replicates=replicates,
    )

    def statistics(prior: float, seed: int) -> xr.Dataset:
        result = run(base.replace(class_prior=(prior,), seed=seed)).isel(step=0, theta=0)
        result = result[list(_LAWS)].sel(predictor="mixture", prompt="global")
        return result.drop_vars(["step", "round", "theta", "predictor", "prompt", "group", "samples"])

    even, skewed = statistics(0.5, 0), statistics(0.9, 1)
    negative, positive = statistics(0.0, 0), statistics(1.0, 0)
    moments = {}
    for name in _LAWS:
        for power in (1, 2):
            pair = [(values[name] ** power).mean("client", skipna=False) for values in (even, skewed)]
            moments[f"{name}, power {power}"] = [
                float(values.mean("seed", skipna=False)) for values in pair
            ] + [float(values.std("seed", ddof=1, skipna=False)) / np.sqrt(replicates) for values in pair]
    table = np.asarray(list(moments.values()))
    return xr.Dataset(
        {
            "law_even": ("moment", table[:, 0]),
            "law_skewed": ("moment", table[:, 1]),
            "law_even_error": ("moment", table[:, 2]),
            "law_skewed_error": ("moment", table[:, 3]),
            "mirrored_negative": (("law", "case"), _flat(negative)),
            "mirrored_positive": (("law", "case"), _flat(positive)),
        },
        coords={"moment": list(moments), "law": list(_LAWS)},
        attrs={"law_seeds": replicates},
    )


def _flat(values: xr.Dataset) -> np.ndarray:
    return np.stack([values[name].transpose("seed", "client").values.ravel() for name in _LAWS])


def _fresh_samples(fresh: int) -> xr.Dataset:
    """Exact accuracy of trained mixtures beside a count over fresh samples with the clients' priors."""
    experiment = Experiment(
        clients=3,
        samples=(8, 12, 5),
        groups=(0, 1, 0),
        class_prior=(0.9, 0.5, 0.2),
        prior_feature_sq=2.0,
        label_noise=0.1,
        global_feature_sq=1.0,
        local_feature_sq=2.0,
        noise_dim=40,
        noise_std=0.8,
        theta=(0.0, 0.4, 1.0),
        learning_rate=4e-3,
        rounds=25,
        record=(25,),
        signal_offset=0.4,
        noise_offset=0.4,
        seed=3,
    )
    result = run(experiment).isel(step=0, seed=0)
    counted = count_correct(experiment, fresh).isel(seed=0)
    parts, risk = _mixture(experiment, result)
    prior = xr.DataArray(np.asarray(experiment.class_prior), dims="client")
    exact = prior * ndtr((parts["signal"] + parts["bias"]) / risk)
    exact = exact + (1 - prior) * ndtr((parts["signal"] - parts["bias"]) / risk)
    recorded = result.accuracy.sel(predictor="mixture")
    variables = {"counted": counted, "accuracy_recorded": recorded, "accuracy_exact": exact}
    data = xr.Dataset({name: values.transpose("theta", "client") for name, values in variables.items()})
    labels = ["step", "round", "predictor", "prompt", "group", "samples", "seed", "client"]
    data = data.drop_vars(labels, errors="ignore").rename(theta="counted_theta", client="counted_client")
    return data.assign_attrs(fresh_samples=counted.attrs["fresh_samples"])


def _mixture(experiment: Experiment, result: xr.Dataset) -> tuple[dict[str, xr.DataArray], xr.DataArray]:
    """Signal s and bias B of every mixture, and its risk v = σ_p ‖H_ξ‖, from those of the prompts."""
    weights = xr.concat(
        [1 - result.theta, result.theta], xr.DataArray(_SINGLES, dims="prompt", name="prompt")
    )
    parts = {name: (weights * result[name]).sum("prompt", skipna=False) for name in ("signal", "bias")}
    squares = result.noise_norm_sq
    norm_sq = (weights**2 * squares).sum("prompt", skipna=False) + 2 * weights.prod(
        "prompt", skipna=False
    ) * result.noise_inner
    return parts, experiment.noise_std * np.sqrt(norm_sq)


def _mean_field(quick: bool) -> tuple[xr.Dataset, Experiment]:
    """Post-hoc mixtures with an own and a common skew, at several times, against T12 and T14 with two types."""
    setting = SymmetricSetting(samples=40, noise_dim=4000 if quick else 8000, strength=0.7)
    steps = (1, 50) if quick else (1, 50, 250)
    experiment = setting.experiment(
        scheme="posthoc",
        theta=theta_grid(0.02),
        rounds=max(steps),
        record=steps,
        prior_feature_sq=0.5 * setting.signal,
        replicates=4 if quick else 6,
        precision="float32",
    )
    parts, results = [], []
    for prior in SKEWS.values():
        skewed = experiment.replace(class_prior=prior)
        result, federation = run(skewed).drop_vars(["round", "group", "samples"]), federation_of(skewed)
        results.append(result)
        found = [
            predict(
                federation,
                "posthoc",
                steps,
                experiment.theta,
                experiment.learning_rate,
                positive_share=shares.values,
            )
            for shares in result.positive_share
        ]
        mixture = result.sel(predictor="mixture", drop=True)
        measured = {"ratio": mixture.ratio, "accuracy": mixture.accuracy}
        measured["bias"] = (result.bias / np.sqrt(result.noise_norm_sq)).sel(
            prompt=_SINGLES
        ) / setting.noise_std
        dims = ("step", "theta", "client")
        own = xr.DataArray(np.asarray(skewed.class_prior), dims="client")
        values, risk = _mixture(skewed, result)
        errors = xr.apply_ufunc(log_error_with_bias, values["signal"] / risk, values["bias"] / risk, own)
        expected = [log_error_with_bias(one.ratio, one.bias, skewed.class_prior) for one in found]
        log_error = mean_of_logarithms(errors, "seed").transpose(*dims)
        log_predicted = mean_of_logarithms(xr.DataArray(np.stack(expected), dims=("seed", *dims)), "seed")
        predicted = {name: np.mean([getattr(one, name) for one in found], axis=0) for name in measured}
        predicted["bias"] = predicted["bias"][:, [0, -1], :]  # θ = 0 and 1: each prompt alone
        kinds = {"ratio": dims, "accuracy": dims, "bias": ("step", "prompt", "client")}
        parts.append(
            xr.Dataset(
                {
                    **{
                        name: values.mean("seed", skipna=False).transpose(*kinds[name])
                        for name, values in measured.items()
                    },
                    **{f"{name}_predicted": (kinds[name], predicted[name]) for name in measured},
                    "log_error": log_error,
                    "log_error_predicted": (dims, log_predicted.values),
                    "positive_share": result.positive_share.mean("seed", skipna=False),
                }
            )
        )
    data = xr.concat(parts, xr.DataArray(list(SKEWS), dims="skew", name="skew"))
    data = data.assign(assumptions.of_runs(*results))
    data["class_prior"] = (("skew", "client"), np.asarray(list(SKEWS.values())))
    return data.assign_attrs(labels=setting.samples * experiment.replicates), experiment


def judge(data: xr.Dataset) -> Finding:
    """The law's moments by t-tests, mirrored runs exactly, counts by binomial tests, the rest by the mean field."""
    seeds, fresh, labels = (data.attrs[name] for name in ("law_seeds", "fresh_samples", "labels"))
    best, expected = (
        {
            "accuracy": best_theta(-data[f"log_error{suffix}"]).theta,
            "ratio": best_theta(data[f"ratio{suffix}"]).theta,
        }
        for suffix in ("", "_predicted")
    )
    moved, expected_move = (side["accuracy"] - side["ratio"] for side in (best, expected))
    first = {"step": 0, "client": 0}
    return Finding(
        CLAIM,
        (
            t_test(
                "moments of ratio, training loss and ‖H_ξ‖² at π = 0.9, against those at π = 0.5",
                data.law_skewed,
                data.law_even,
                standard_error=np.hypot(data.law_even_error, data.law_skewed_error),
                degrees=welch_degrees(data.law_even_error, data.law_skewed_error, seeds),
                sample_size=seeds,
                name="difference of means over independent seeds (Welch)",
            ),
            compare(
                "the same quantities of runs with negative samples only, relative to positive ones only",
                data.mirrored_negative / data.mirrored_positive,
                1,
                bound="exact",
                tolerance=1e-9,
            ),
            binomial_test(
                "accuracy counted on fresh samples with the clients' priors",
                data.counted,
                data.accuracy_exact,
                trials=fresh,
                name="correct answers",
            ),
            compare(
                "accuracy that a run records, against the formula",
                data.accuracy_recorded,
                data.accuracy_exact,
                bound="exact",
                tolerance=1e-12,
            ),
            binomial_test(
                "share of positive training samples of each client",
                data.positive_share.transpose("skew", "client"),
                data.class_prior,
                trials=labels,
                name="positive samples",
            ),
            compare(
                "ratio R of mixtures at every θ and time",
                data.ratio,
                data.ratio_predicted,
                bound="asymptotic",
                tolerance=0.03,
            ),
            compare(
                "bias of each prompt alone, B/v",
                data.bias,
                data.bias_predicted,
                bound="asymptotic",
                tolerance=0.015,
            ),
            compare(
                "accuracy at every θ and time",
                data.accuracy,
                data.accuracy_predicted,
                bound="asymptotic",
                tolerance=0.01,
            ),
            compare(
                "θ* of accuracy", best["accuracy"], expected["accuracy"], bound="asymptotic", tolerance=0.04
            ),
            compare(
                "θ* of accuracy minus θ* of the ratio under a skew of one client, at least half"
                " of the prediction",
                moved.sel(skew="own").isel(first),
                expected_move.sel(skew="own").isel(first) / 2,
                bound="lower",
                tolerance=0,
            ),
            compare(
                "the same under a skew that all clients share, at most half of the (negative) prediction",
                moved.sel(skew="common").isel(step=0).mean("client", skipna=False),
                expected_move.sel(skew="common").isel(step=0).mean("client", skipna=False) / 2,
                bound="upper",
                tolerance=0,
            ),
        ),
        assumptions.measured(
            data, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL, equal_group_sizes=True
        ),
    )
