"""(T7): test accuracy is exactly Φ of the ratio, for every prompt, θ, time and activation."""

import itertools

import xarray as xr
from scipy.stats import norm

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, binomial_test, compare
from simulate.experiment import Activation, Experiment
from simulate.model.fresh_samples import count_correct
from simulate.running.runner import run

CLAIM = Claim(
    name="accuracy",
    equation="T7",
    provenance="paper",
    title="Accuracy is Φ(ratio)",
    statement="Performance is governed by the ratio of task-relevant to task-irrelevant coefficients"
    " (the paper's abstract); exactly, in this model: a client's test accuracy is Φ(R_k).",
    bound="statistical",
    figure="accuracy_collapse",
    bears_on=("ratio",),
    cost=10,
)

FRESH_SAMPLES = 1_000_000

_ACTIVATIONS: tuple[Activation, ...] = ("relu", "leaky_relu", "tanh", "softplus", "relu_power")


def collect(scale: Scale) -> xr.Dataset:
    """Runs at several times and activations, their exact accuracy beside a count over fresh samples."""
    base = Experiment(
        clients=3,
        samples=(8, 12, 5),
        groups=(0, 1, 0),
        global_feature_sq=0.4,
        local_feature_sq=0.8,
        noise_dim=8,  # drawing the noise of fresh samples takes most of the time; (T7) holds at any L
        noise_std=1.2,
        init_std=0.06,
        theta=(0.0, 0.4, 0.7, 1.0),
        learning_rate=8e-3,
        signal_offset=0.4,
        noise_offset=0.4,
        activation_parameter=1.0,
    )
    cases = itertools.product(_ACTIVATIONS[:1] if scale == "quick" else _ACTIVATIONS, (3, 25, 120))
    runs = [
        base.replace(
            activation=activation,
            activation_parameter=2.0 if activation == "relu_power" else 0.3,
            rounds=rounds,
            record=(rounds,),
            # Fresh samples come from the seed: with the same one, the runs' counts would not be independent.
            seed=seed,
        )
        for seed, (activation, rounds) in enumerate(cases)
    ]
    parts = []
    exact_runs = [run(experiment) for experiment in runs]
    for experiment, result in zip(runs, exact_runs, strict=True):
        exact = result.sel(predictor="mixture").isel(step=0)
        counted = count_correct(experiment, FRESH_SAMPLES)
        parts.append(
            xr.Dataset({"counted": counted, "accuracy": exact.accuracy, "ratio": exact.ratio})
            .drop_vars(["step", "round", "predictor", "group", "samples"])
            .stack(point=("seed", "theta", "client"))
            .reset_index("point")
            .assign_coords(activation=("point", [experiment.activation] * counted.size))
            .assign_coords(rounds=("point", [experiment.rounds] * counted.size))
        )
    data = xr.concat(parts, "point")
    data = data.assign(assumptions.of_runs(*exact_runs))
    data.attrs = {"experiment": base.to_json(), "fresh_samples": counted.attrs["fresh_samples"]}
    data.ratio.attrs = {"long_name": "ratio R of learned signal to memorised noise", "units": "1"}
    data.counted.attrs = {"long_name": "accuracy counted on fresh samples", "units": "1"}
    return assumptions.record(data, *runs)


def judge(data: xr.Dataset) -> Finding:
    """Counted against Φ(R) at every point; the recorded accuracy is Φ(R) itself."""
    exact = norm.cdf(data.ratio)
    return Finding(
        CLAIM,
        (
            binomial_test(
                "accuracy counted on fresh samples, against Φ(R)",
                data.counted,
                exact,
                trials=data.attrs["fresh_samples"],
                name="correct answers",
            ),
            compare(
                "accuracy that a run records, against Φ(R)",
                data.accuracy,
                exact,
                bound="exact",
                tolerance=1e-12,
            ),
        ),
        assumptions.measured(data),
    )
