"""(T31): fine-tuning from the global prompt passes through the best mixture, and beats it at finite N/L."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.mixing import theta_grid
from simulate.experiment import Experiment
from simulate.running.portfolio import train_portfolio
from simulate.running.runner import run
from theory.dynamics.margin_rate import local_rate
from theory.extensions import fine_tuned_clients, fine_tuning
from theory.model.accuracy import accuracy
from theory.model.federation import EqualClients

CLAIM = Claim(
    name="fine_tuning",
    equation="T31",
    provenance="derived",
    title="Fine-tuning from the global prompt",
    statement="A client that goes on alone from the global prompt passes through every mixture and reaches the best"
    " one after s* steps; where N is comparable to L it gets farther than any mixture of prompts trained apart.",
    bound="asymptotic",
    cost=4,
)

# Of the specification: K = 10 clients alone in their groups with n = 20 samples each, ηκ_L = 1.
ALMOST_ORTHOGONAL = EqualClients(
    global_feature_sq=3, local_feature_sq=9, noise_dim=20000, clients=10, samples=20
)
NARROW = ALMOST_ORTHOGONAL.replace(global_feature_sq=0.5, local_feature_sq=1.5, noise_dim=150)
SMALLER = ALMOST_ORTHOGONAL.replace(global_feature_sq=1.5, local_feature_sq=4.5, noise_dim=5000)
LOCAL_ROUNDS = (1, 5, 20, 100, 400, 1600)
"""Training times of the local prompt that a mixture may choose from."""
_GAIN = {20: 0.003, 50: 0.0041, 200: 0.0033}
"""Gain of fine-tuning at N/L = 1.33 after t rounds, of an independent program with 16 other seeds."""
_OTHER_DRAWS = 0.001
"""How far other seeds, and times of the local prompt, may take a gain: five of that program's intervals."""


def experiment(
    equal: EqualClients, rounds: int, steps: int, replicates: int, **changes: object
) -> Experiment:
    """Fine-tuning of equal clients, recorded at its start and after every step of its own."""
    fields = {
        "clients": int(equal.clients),
        "samples": (int(equal.samples),),
        "global_feature_sq": float(equal.global_feature_sq),
        "local_feature_sq": float(equal.local_feature_sq),
        "noise_dim": int(equal.noise_dim),
        "learning_rate": 1 / float(local_rate(equal)),
        "rounds": rounds,
        "replicates": replicates,
        "scheme": "finetuned",
        "finetune_steps": steps,
        "record": tuple(range(rounds, rounds + steps + 1)),
        "theta": (1.0,),
    }
    return Experiment(**fields | changes)  # type: ignore[arg-type]


def collect(scale: Scale) -> xr.Dataset:
    """Nearly orthogonal noise after 10 and 20 rounds, whose conditions count, and N/L = 1.33 after up to 200."""
    quick = scale == "quick"
    equal = SMALLER if quick else ALMOST_ORTHOGONAL
    parts = [_orthogonal(equal, rounds, 2 if quick else 4) for rounds in (10, 20)]
    late = [_narrow(rounds, 8 if quick else 16) for rounds in ((20,) if quick else (20, 50, 200))]
    data = xr.merge(
        [
            xr.concat([each[0] for each in parts], "rounds"),
            xr.concat([each[0] for each in late], "late_rounds"),
        ]
    )
    runs = [each[1] for each in (*parts, *late)]
    data = data.assign(assumptions.of_runs(*runs[:2])).assign_attrs(runs[0].attrs)
    return assumptions.record(data, experiment(equal, 10, 60, 1))


def _orthogonal(equal: EqualClients, rounds: int, replicates: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Where the mean ratio of fine-tuning is largest, and its accuracy beside that of the best mixture."""
    steps = 16 if rounds == 10 else 48
    tuned = experiment(equal, rounds, steps, replicates, precision="float32")
    result = run(tuned)
    mixtures = run(
        tuned.replace(scheme="posthoc", finetune_steps=0, record=(rounds,), theta=theta_grid(0.02))
    )
    ratio = result.ratio.sel(predictor="mixture").isel(theta=0).mean(("seed", "client"), skipna=False)
    # The curve is flat at its top: a parabola in log(1+s) through the points above 1 − 1/200 of the largest.
    taken = result.finetune_step.values.astype(float)
    top = ratio.values > ratio.values.max() * (1 - 1 / 200)
    curve = np.polynomial.Polynomial.fit(np.log1p(taken[top]), ratio.values[top], 2)
    best = float(np.expm1(curve.deriv().roots()[0]))
    predicted = fine_tuned_clients.stopping(equal.federation(), rounds, tuned.learning_rate)
    closed = float(fine_tuning.stopping(equal, rounds, tuned.learning_rate).step)
    of_tuning, of_mixture = (
        each.accuracy.sel(predictor="mixture").mean(("seed", "client"), skipna=False)
        for each in (result, mixtures)
    )
    data = xr.Dataset(
        {
            "stopping": best,
            "stopping_predicted": float(predicted.step[0]),
            "stopping_continuous": closed,
            "accuracy": float(of_tuning.max(skipna=False)),
            "accuracy_of_mixture": float(of_mixture.max(skipna=False)),
        }
    ).assign_coords(rounds=rounds)
    return data, result


def _narrow(rounds: int, replicates: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Accuracy of every seed at the best number of steps, and at the best θ and time of the local prompt.

    Both choices are those that are best on the mean over seeds: neither side profits from a seed's own luck.
    """
    tuned = experiment(NARROW, rounds, 200, replicates, engine="gram")
    result = run(tuned)
    by_step = result.accuracy.sel(predictor="mixture").isel(theta=0).mean("client", skipna=False)
    fine = by_step.isel(step=int(by_step.mean("seed", skipna=False).argmax("step", skipna=False)))
    apart = {"scheme": "posthoc", "finetune_steps": 0, "record": (), "engine": "coefficient"}
    trained = {
        time: train_portfolio(tuned.replace(**apart, rounds=time)) for time in sorted({rounds, *LOCAL_ROUNDS})
    }
    server = trained[rounds].feature_global[:, 0][:, None]
    theta = np.asarray(theta_grid(0.02))[:, None, None, None]
    own = np.arange(tuned.clients)
    found = []
    for portfolio in trained.values():
        mixed = (1 - theta) * server + theta * portfolio.feature_local[:, 0]
        signal = mixed[..., 0] + mixed[..., own, 1 + own]
        ratio = signal / np.linalg.norm(mixed[..., 1 + tuned.clients :], axis=-1)
        found.append(np.asarray(accuracy(ratio)).mean(axis=-1))  # (thetas, seeds)
    choices = np.concatenate(found)
    mixture = choices[int(choices.mean(axis=1).argmax())]
    data = xr.Dataset({"fine_tuned": ("seed", fine.values), "mixture": ("seed", mixture)})
    return data.assign_coords(late_rounds=rounds), result


def judge(data: xr.Dataset) -> Finding:
    """s* within 10 % and one step, accuracy as of the best mixture; at N/L = 1.33 a gain in every paired seed."""
    gain = data.fine_tuned - data.mixture
    seeds = gain.sizes["seed"]
    error = gain.std("seed", ddof=1, skipna=False) / np.sqrt(seeds)
    recorded = np.asarray([_GAIN[int(rounds)] for rounds in data.late_rounds])
    return Finding(
        CLAIM,
        (
            compare(
                "steps of fine-tuning with the largest ratio, as they are taken",
                data.stopping,
                data.stopping_predicted,
                bound="asymptotic",
                tolerance=1 + 0.1 * data.stopping_predicted,
            ),
            compare(
                "the same, T31 in continuous time at ηκ_L = 1",
                data.stopping,
                data.stopping_continuous,
                bound="asymptotic",
                tolerance=1 + 0.2 * data.stopping_continuous,
            ),
            compare(
                "accuracy there, and of the best mixture of the prompts trained apart as long",
                data.accuracy,
                data.accuracy_of_mixture,
                bound="asymptotic",
                # of order N/L: 0.0002 at 0.1, and less beyond
                tolerance=3e-4,
            ),
            compare(
                "gain over the best mixture at N/L = 1.33, of an independent program",
                gain.mean("seed", skipna=False),
                recorded,
                bound="asymptotic",
                tolerance=_OTHER_DRAWS,
            ),
            compare(
                "gain less 5 of its standard errors (paired over seeds)",
                gain.mean("seed", skipna=False) - 5 * error,
                0,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(data, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL),
    )
