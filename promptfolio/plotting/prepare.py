"""One result made ready for pictures: best θ found, predictions beside measurements, its setting in words."""

import dataclasses
import json
from typing import Any

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions, departures
from promptfolio.checks.optimum import best_theta, theta_interval
from promptfolio.checks.settings.mixing import ROUNDING_STEPS
from promptfolio.federation import federation_of
from promptfolio.sweep.cell import shown
from simulate.experiment import Experiment
from simulate.results.notices import notices_of
from theory.dynamics import round_recursion
from theory.dynamics.symmetric_ratio import symmetric_tau
from theory.dynamics.trajectories import global_coefficients, local_coefficients
from theory.extensions.prediction import predict
from theory.model.federation import EqualClients
from theory.model.schemes import TrainingScheme

MOST_STEPS = 100_000
"""Gradient steps up to which the mean field is followed step by step for a picture."""
_COEFFICIENTS = ("beta", "gamma_own", "phi_norm")


def prepared(data: xr.Dataset) -> xr.Dataset:
    """A result with what pictures show beside its numbers.

    A result of `simulate.run` gets predictions of ratio and accuracy (T14, with T26 and T27) and, for equal
    clients, of coefficients (T9, T13), unless it holds some already or breaks what they assume, and with three or
    more θ the best θ, measured and predicted, of all clients together and of each. A study on CLIP features is
    brought into the form of a comparison, in which the predicted θ is that of (T24). Comparisons of
    `promptfolio mixing` hold all of this. The attribute `described` has setting and notices in words.
    """
    if "study" in data.attrs:
        from figures.clip_mixing import comparison

        return comparison(data)
    experiment = _experiment_of(data)
    if experiment is None:
        return data
    if "accuracy" in data and "predictor" in data.accuracy.dims:
        data = _with_predictions(data, experiment)
        data = _with_optima(data, experiment)
    return data.assign_attrs(described=_described(experiment, data))


def _experiment_of(data: xr.Dataset) -> Experiment | None:
    text = data.attrs.get("experiment")
    return Experiment.from_json(text) if isinstance(text, str) else None


def _described(experiment: Experiment, data: xr.Dataset) -> str:
    """The fields that were set, and the notices, as sentences."""
    default = dataclasses.asdict(Experiment())
    hidden = {"theta", "record", "prompt_dim", "replicates", "engine"}
    plain = Experiment(clients=experiment.clients)
    said = []
    for name, value in dataclasses.asdict(experiment).items():
        if isinstance(value, tuple) and value and len(set(value)) == 1:
            value = value[:1]
        unlike = value not in (default[name], default[name][:1] if isinstance(default[name], tuple) else None)
        if name not in hidden and unlike and value != getattr(plain, name):
            said.append(f"{name} = {shown(value)}")
    seeds = f"{experiment.replicates} seed" + ("s" if experiment.replicates > 1 else "")
    sentences = [", ".join([*said, seeds]), *(f"note: {notice}" for notice in notices_of(data.attrs))]
    return " ".join(f"{sentence}." for sentence in sentences)


def _covered(data: xr.Dataset, experiment: Experiment) -> bool:
    """Whether a run keeps what the mean field assumes: linear band, nearly orthogonal noise, plain steps."""
    linear = experiment.activation in ("relu", "leaky_relu")
    plain = experiment.optimizer == "sgd" and not experiment.optimizer_options and experiment.init_std == 0
    if not (linear and plain and experiment.participation == 1 and experiment.clients > 1):
        return False
    if experiment.scheme not in ("joint", "posthoc", "detached"):
        return False
    found = assumptions.conditions(data, experiment)
    return (
        found["band_occupancy_worst"] < 1
        and found["noise_overlap_worst"] <= assumptions.NEAR_ORTHOGONAL
        and found["sample_load"] <= departures.LARGEST_LOAD
        and experiment.record[-1] * experiment.local_steps <= MOST_STEPS
    )


def _with_predictions(data: xr.Dataset, experiment: Experiment) -> xr.Dataset:
    there = any(f"predicted_{name}" in data or f"{name}_predicted" in data for name in ("ratio", "accuracy"))
    if there or not _covered(data, experiment):
        return data
    federation = federation_of(experiment)
    found = predict(
        federation,
        experiment.scheme,
        list(experiment.record),
        list(experiment.theta),
        experiment.learning_rate,
        experiment.local_steps,
    )
    dims, tag = ("step", "theta", "client"), "mean field (T12, T14)"
    meanings = {"ratio": f"ratio of the mixture by the {tag}", "accuracy": f"Φ of the ratio by the {tag}"}
    if experiment.prior_feature_sq > 0:
        meanings["accuracy"] = f"accuracy by the {tag} with a bias (T27)"
    predicted: dict[str, Any] = {
        f"predicted_{name}": (dims, getattr(found, name), {"long_name": meaning, "units": "1"})
        for name, meaning in meanings.items()
    }
    return data.assign(predicted).assign(_coefficients(data, experiment))


def _coefficients(data: xr.Dataset, experiment: Experiment) -> dict[str, Any]:
    """Coefficients of equal clients: (T9) with one local step, (T13) of a global prompt of its own with several."""
    plain = experiment.label_noise == 0 and experiment.prior_feature_sq == 0
    try:
        equal = federation_of(experiment).equal_clients()
    except ValueError:
        return {}
    if not plain or experiment.scheme == "detached":
        return {}
    if assumptions.conditions(data, experiment)["scaled_step"] > departures.SMALL_STEP:
        return {}  # they are in continuous time
    posthoc = experiment.scheme == "posthoc"
    thetas = (0.5,) if posthoc else experiment.theta
    if experiment.local_steps > 1 and not posthoc:
        return {}
    pairs = [_pair(equal, experiment, theta) for theta in thetas]  # (thetas, prompts, coefficients, steps)
    values = np.moveaxis(np.asarray(pairs, dtype=float), -1, 0)  # (steps, thetas, prompts, coefficients)
    dims = ("step", "prompt") if posthoc else ("step", "theta", "prompt")
    values = values[:, 0] if posthoc else values
    tag = "closed form (T9), with local steps recursion over rounds (T13)"
    return {
        f"predicted_{name}": (dims, values[..., index], {"long_name": tag, "units": "1"})
        for index, name in enumerate(_COEFFICIENTS)
        if f"predicted_{name}" not in data
    }


def _pair(equal: EqualClients, experiment: Experiment, theta: float) -> list[list[np.ndarray]]:
    """Coefficients of the global and the local prompt at the recorded times."""
    rounds, eta, steps = np.asarray(experiment.record), experiment.learning_rate, experiment.local_steps
    scheme: TrainingScheme = experiment.scheme
    tau_global, tau_local = symmetric_tau(equal, scheme, theta, rounds * steps, eta)
    if steps > 1:
        tau_global = round_recursion.accumulated(equal, rounds, eta, steps)
    weights = (1.0, 1.0) if scheme == "posthoc" else (1 - theta, theta)
    prompts = (
        global_coefficients(equal, weights[0], tau_global),
        local_coefficients(equal, weights[1], tau_local),
    )
    return [[np.broadcast_to(values, rounds.shape) for values in prompt] for prompt in prompts]


def _with_optima(data: xr.Dataset, experiment: Experiment) -> xr.Dataset:
    """The best θ of the mean over clients and of every client; those of predicted ratios beside them."""
    if data.sizes["theta"] < 3 or not {0.0, 1.0} <= set(data.theta.values.tolist()):
        return data
    scheme, time = experiment.scheme, "step"
    rounding = ROUNDING_STEPS * float(np.finfo(experiment.precision).eps)
    trained = data.isel({time: (data[time] > 0).values})
    ratio = trained.ratio.sel(predictor="mixture", drop=True)
    if not np.isfinite(ratio).all():
        return data
    over = ratio.mean("client", skipna=False)
    best = best_theta(over.mean("seed", skipna=False), scheme, rounding=rounding).theta
    by_client = ratio.mean("seed", skipna=False)
    found = {
        "theta_empirical": (best, "θ* with the largest ratio, mean over clients and seeds"),
        "client_theta_empirical": (
            best_theta(by_client, scheme, rounding=rounding).theta,
            "θ* of the client with the largest ratio, mean over seeds",
        ),
    }
    if data.sizes["seed"] > 1:
        interval = theta_interval(over, scheme, rounding=rounding)
        found["theta_low"] = interval.low, "lower end of the 95 % interval of θ*, jackknife over seeds"
        found["theta_high"] = interval.high, "upper end of the 95 % interval of θ*, jackknife over seeds"
        each = best_theta(ratio, scheme, rounding=rounding).theta
        found["client_theta_by_seed"] = each, "θ* of the client with the largest ratio, of each seed"
    predicted = data.get("predicted_ratio")
    if predicted is not None and "theta" in predicted.dims and experiment.prior_feature_sq == 0:
        curves = predicted.isel({time: (data[time] > 0).values})
        if "predictor" in curves.dims:
            curves = curves.sel(predictor="mixture", drop=True)
        of_all = best_theta(curves.mean("client", skipna=False), scheme).theta
        tag = "θ* of the predicted ratio"
        found["theta_predicted"] = of_all, f"{tag}, mean over clients: {_source(predicted)}"
        found["client_theta_predicted"] = (
            best_theta(curves, scheme).theta,
            f"{tag} of the client: {_source(predicted)}",
        )
    described = {
        name: values.drop_vars(["predictor"], errors="ignore").assign_attrs(long_name=meaning, units="1")
        for name, (values, meaning) in found.items()
        if name not in data
    }
    return data.assign({name: values.reindex({time: data[time]}) for name, values in described.items()})


def _source(predicted: xr.DataArray) -> str:
    return str(predicted.attrs.get("long_name", predicted.name))


def varied_fields(data: xr.Dataset) -> dict[str, Any]:
    """The fields that tell a result from others: those of its setting where it has one, else of its experiment."""
    if "setting" in data.attrs:
        fields = dict(json.loads(data.attrs["setting"]))
        experiment = json.loads(data.attrs.get("experiment", "{}"))
        return fields | {name: experiment[name] for name in ("scheme", "seed") if name in experiment}
    return dict(json.loads(data.attrs.get("experiment", "{}")))
