"""(T32): at a finite load N/L the mean field gives every client's accuracy, whatever the clients and the scheme."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.federation import federation_of
from simulate.experiment import Experiment, TrainingScheme
from simulate.running.runner import run
from theory.extensions.prediction import predict
from theory.late_time.population_ratio import population_ratio
from theory.model.accuracy import accuracy

CLAIM = Claim(
    name="any_federation",
    equation="T32",
    provenance="derived",
    title="Any federation at a finite load N/L",
    statement="Where samples are as many as noise coordinates, unequal clients with groups, wrong labels and"
    " several local steps have the accuracies of the dynamical mean field, under every scheme and at every"
    " time; the limit of few samples (T12, T14) misses what training gains.",
    bound="asymptotic",
    cost=3,
)

SAMPLES = (10, 10, 20, 20, 40, 40, 60, 60)
GROUPS = (0, 1, 2, 3, 0, 1, 2, 3)
THETA = (0.0, 0.3, 0.6, 1.0)


def collect(scale: Scale) -> xr.Dataset:
    """N/L = 1/2 with a tenth of the labels wrong and E = 3; predictions use the labels that were drawn."""
    quick = scale == "quick"
    schemes: tuple[TrainingScheme, ...] = ("joint",) if quick else ("joint", "posthoc", "detached")
    parts, results = [], []
    for scheme in schemes:
        experiment = _experiment(scheme, replicates=4 if quick else 8)
        result = run(experiment)
        results.append(result)
        parts.append(_beside(experiment, result))
    data = xr.concat(parts, xr.DataArray(list(schemes), dims="scheme", name="scheme"))
    data = data.assign(assumptions.of_runs(*results))
    data.attrs = {"experiment": experiment.to_json()}
    return assumptions.record(data, experiment)


def _experiment(scheme: TrainingScheme, replicates: int) -> Experiment:
    noise_dim = 2 * sum(SAMPLES)
    return Experiment(
        scheme=scheme,
        clients=len(SAMPLES),
        samples=SAMPLES,
        groups=GROUPS,
        global_feature_sq=0.5,
        local_feature_sq=1.5,
        noise_dim=noise_dim,
        label_noise=0.1,
        theta=THETA,
        local_steps=3,
        learning_rate=0.5 / (4 * noise_dim / min(SAMPLES)),
        rounds=100,
        record=(1, 10, 100),
        replicates=replicates,
        precision="float64",
    )


def _beside(experiment: Experiment, result: xr.Dataset) -> xr.Dataset:
    """Accuracies measured, by T32 and by T14, means over seeds."""
    mixture = result.sel(predictor="mixture").drop_vars(
        ["predictor", "round", "group", "samples"], errors="ignore"
    )
    at_load, at_none = [], []
    for shares in result.flipped_share.transpose("seed", "client").values:
        federation = federation_of(experiment).replace(label_noise=shares)
        ratio = population_ratio(
            federation,
            experiment.scheme,
            THETA,
            experiment.record,
            learning_rate=experiment.learning_rate,
            local_steps=experiment.local_steps,
        )
        at_load.append(accuracy(ratio))
        few = predict(
            federation,
            experiment.scheme,
            experiment.record,
            THETA,
            experiment.learning_rate,
            experiment.local_steps,
        )
        at_none.append(few.accuracy)
    dims = ("step", "theta", "client")
    return xr.Dataset(
        {
            "accuracy": mixture.accuracy.mean("seed", skipna=False).transpose(*dims),
            "accuracy_predicted": (dims, np.mean(at_load, axis=0)),
            "accuracy_few_samples": (dims, np.mean(at_none, axis=0)),
        }
    )


def judge(data: xr.Dataset) -> Finding:
    """Within 0.01 on average over clients, 0.02 for each; the gain over T14 has at least half its size."""
    mean = data.mean("client", skipna=False).transpose("scheme", "step", "theta")
    end = mean.isel(step=-1).sel(theta=[0.0, 0.3])
    return Finding(
        CLAIM,
        (
            compare(
                "accuracy, mean over clients, at every θ and time",
                mean.accuracy,
                mean.accuracy_predicted,
                bound="asymptotic",
                tolerance=0.01,
            ),
            compare(
                "accuracy of each client, at every θ and time",
                *xr.broadcast(data.accuracy, data.accuracy_predicted),
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "gain over the accuracy for few samples (T14) at the last time, θ = 0 and 0.3",
                end.accuracy - end.accuracy_few_samples,
                (end.accuracy_predicted - end.accuracy_few_samples) / 2,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(data, linear_band=True),
    )
