"""One optimizer serves all clients: momentum and schedule pass from one to the next.

Set up anew, in two ways. On prompts of one number: a client without any gradient, and the learning rate that each
visit meets. On the synthetic model: what sharing the optimizer does to θ* and to each prompt, and whether the order
of the clients matters.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from promptfolio.audit.numbers import points
from promptfolio.audit.observation import Table
from promptfolio.audit.scalar_prompts import MOMENTUM, horizon_of, idle_movement, rates, rates_predicted
from promptfolio.audit.setting import Setting
from promptfolio.audit.turns import Turns, measure_in_turns, take_turns
from promptfolio.checks.claim import Claim, Finding, compare
from promptfolio.checks.largest import largest
from promptfolio.checks.optimum import best_theta
from simulate.experiment import Experiment
from simulate.running.arithmetic import arithmetic

ORDER = 4
OBSERVATION = Claim(
    name="shared_optimizer",
    equation="T5",
    provenance="code",
    title="All clients share one optimizer",
    statement="In the released code one optimizer with momentum and one learning-rate schedule serve all clients in"
    " turn: a client moves by its predecessors' gradients too, and clients of one round train at different rates.",
    bound="exact",
)
CHANGES = "what a local prompt has seen, the best θ, and the role of the clients' order"

STATES = ("shared", "own")


class Variant(NamedTuple):
    """What the clients' optimizer is: with momentum, with a cosine schedule, and its steps a visit."""

    momentum: bool
    schedule: bool
    local_steps: int


VARIANTS = {
    "momentum": Variant(True, False, 1),
    "schedule": Variant(False, True, 1),
    "both": Variant(True, True, 1),
    "both, 10 steps a visit": Variant(True, True, 10),
}

# Sums over clients in another order.
_ROUNDING = 1e-9
# Effects on a ratio or an accuracy, and on a rate or a θ, below which nothing is claimed.
_LEAST_CHANGE = 0.001
_LEAST_SPREAD = 0.1


def demonstrate(setting: Setting) -> xr.Dataset:
    """Both demonstrations, with a shared optimizer and with one for each client; the model trains jointly."""
    with arithmetic("float64"):
        parts = [_scalar_dataset(), _model_dataset(setting.experiment)]
    return xr.merge(parts).assign_attrs(experiment=setting.experiment.to_json())


def _scalar_dataset() -> xr.Dataset:
    shared = (True, False)
    described = {
        "idle": (
            ("state",),
            [idle_movement(each) for each in shared],
            "movement of a client without gradient, in units of the first step of the client before it",
        ),
        "rate": (
            ("state", "turn", "visit"),
            [rates(each) for each in shared],
            "learning rate of a visit / η",
        ),
        "rate_predicted": (
            ("state", "turn", "visit"),
            [rates_predicted(each) for each in shared],
            "the schedule's rate after as many steps as its optimizer has made / η",
        ),
    }
    return _dataset(described, {"state": list(STATES)})


def _model_dataset(experiment: Experiment) -> xr.Dataset:
    curves, ratios, differences = [], [], []
    for variant in VARIANTS.values():
        # As many gradient steps in all, whatever a visit's.
        rounds = experiment.rounds // variant.local_steps
        run = experiment.replace(rounds=rounds, record=(rounds,), local_steps=variant.local_steps)
        measure = measure_in_turns(run)
        for shared in (True, False):
            forward, backward = (
                measure(_turns(run, variant, shared, reverse)).mixtures for reverse in (False, True)
            )
            # Each training is measured at its own θ alone.
            curves.append(np.asarray(forward.accuracy[:, :, 0]).mean(axis=(0, 2)))
            ratios.append(np.asarray(forward.ratio[:, :, 0]).mean(axis=(0, 2)))
            differences.append(np.max(np.abs(np.asarray(backward.ratio / forward.ratio) - 1)))
    shape = (len(VARIANTS), len(STATES))
    described = {
        "accuracy": (
            ("variant", "state", "theta"),
            np.reshape(curves, (*shape, -1)),
            "test accuracy of the mixture, mean over clients and seeds",
        ),
        "ratio": (
            ("variant", "state", "theta"),
            np.reshape(ratios, (*shape, -1)),
            "signal-to-noise ratio of the mixture, mean over clients and seeds",
        ),
        "order_difference": (
            ("variant", "state"),
            np.reshape(differences, shape),
            "largest relative change of any client's R when the clients' order is reversed",
        ),
    }
    coordinates = {"variant": list(VARIANTS), "state": list(STATES), "theta": list(experiment.theta)}
    return _dataset(described, coordinates)


def _turns(experiment: Experiment, variant: Variant, shared: bool, reverse: bool) -> Turns:
    steps = experiment.rounds * variant.local_steps
    return take_turns(
        experiment.clients,
        shared=shared,
        reverse=reverse,
        learning_rate=experiment.learning_rate,
        momentum=MOMENTUM if variant.momentum else 0.0,
        horizon=horizon_of(shared, experiment.clients, steps) if variant.schedule else math.inf,
    )


def _dataset(described: Mapping[str, tuple[Any, Any, str]], coordinates: Mapping[str, Any]) -> xr.Dataset:
    return xr.Dataset(
        {
            name: (dims, values, {"long_name": text, "units": "1"})
            for name, (dims, values, text) in described.items()
        },
        coords=coordinates,
    )


def judge(data: xr.Dataset) -> Finding:
    """Whether clients meet their predecessors' momentum and schedule, and what it moves."""
    shared, own = (data.sel(state=state) for state in STATES)
    momentum = data.sel(variant="momentum")
    best, theta = momentum.accuracy.max("theta", skipna=False), best_theta(momentum.ratio, "joint").theta
    return Finding(
        OBSERVATION,
        (
            compare(
                "movement of a client without gradient relative to its predecessor's step, shared (predicted: μ)",
                shared.idle,
                MOMENTUM,
                bound="exact",
                tolerance=_ROUNDING,
            ),
            compare(
                "movement of a client without gradient, own optimizers",
                own.idle,
                0.0,
                bound="exact",
                tolerance=0.0,
            ),
            compare(
                "learning rate of each visit, shared (predicted: after all visits before it) and own (after the"
                " client's own)",
                data.rate,
                data.rate_predicted,
                bound="exact",
                tolerance=_ROUNDING,
            ),
            compare(
                "largest spread of the learning rate within a round, shared",
                largest(shared.rate.max("visit", skipna=False) - shared.rate.min("visit", skipna=False)),
                _LEAST_SPREAD,
                bound="lower",
                tolerance=0.0,
            ),
            compare(
                "relative change of R when the clients' order is reversed, shared optimizer",
                shared.order_difference,
                _LEAST_CHANGE,
                bound="lower",
                tolerance=0.0,
            ),
            compare(
                "relative change of R when the clients' order is reversed, own optimizers",
                own.order_difference,
                0.0,
                bound="exact",
                tolerance=_ROUNDING,
            ),
            compare(
                "accuracy of the best mixture, own − shared, with momentum",
                best.sel(state="own") - best.sel(state="shared"),
                _LEAST_CHANGE,
                bound="lower",
                tolerance=0.0,
            ),
            compare(
                "best θ, |shared − own|, with momentum",
                abs(theta.sel(state="shared") - theta.sel(state="own")),
                _LEAST_SPREAD,
                bound="lower",
                tolerance=0.0,
            ),
        ),
    )


def effect(data: xr.Dataset) -> str:
    """What momentum does to a client without gradient, to the mixture and to θ*."""
    at = data.sel(variant="momentum")
    theta, best = best_theta(at.ratio, "joint").theta, at.accuracy.max("theta", skipna=False)
    order = largest(data.order_difference.sel(state="shared"))
    return (
        f"a client without gradient moves by {float(data.idle.sel(state='shared')):.2f} of its predecessor's step;"
        f" synthetic model with momentum: best mixture {points(best.sel(state='shared') - best.sel(state='own'))}"
        f" points, best θ {float(theta.sel(state='shared')):.2f} instead of {float(theta.sel(state='own')):.2f};"
        f" reversing the clients' order changes R by up to {order:.1%}"
    )


def tables(data: xr.Dataset) -> tuple[Table, ...]:
    """Learning rates of prompts of one number, and the model's accuracies."""
    visits = range(data.sizes["visit"])
    rates = Table(
        f"Learning rate of each visit in units of η, for a cosine over {data.sizes['turn']} rounds of"
        f" {len(visits)} clients.",
        ("optimizer", ">round", *(f">visit {visit + 1}" for visit in visits)),
        tuple(
            (
                state,
                str(turn + 1),
                *(f"{float(rate):.3f}" for rate in data.rate.sel(state=state).isel(turn=turn)),
            )
            for state in STATES
            for turn in range(data.sizes["turn"])
        ),
    )
    columns = ("with", "optimizer", ">global", ">local", ">best mixture", ">best θ", ">order changes R by")
    model = Table(
        f"Synthetic model, joint training, full batches, momentum {MOMENTUM}: accuracies in %, mean over clients"
        " and seeds; as many gradient steps in every line.",
        columns,
        tuple(_model_row(data.sel(variant=variant, state=state)) for variant in VARIANTS for state in STATES),
    )
    return rates, model


def _model_row(at: xr.Dataset) -> tuple[str, ...]:
    accuracies = (at.accuracy.isel(theta=0), at.accuracy.isel(theta=-1), largest(at.accuracy))
    return (
        *(str(at[name].item()) for name in ("variant", "state")),
        *(f"{100 * float(accuracy):.2f}" for accuracy in accuracies),
        f"{float(best_theta(at.ratio, 'joint').theta):.2f}",
        f"{float(at.order_difference):.1%}",
    )
