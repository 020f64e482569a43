"""Training in R^d, read again as loops over rounds, clients and steps, with optimizers written out."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import pytest
from scipy.special import expit

from simulate import Experiment, run
from simulate.engines.choice import row_engine
from simulate.running.prepared import prepare
from tests.tolerances import RELATIVE, assert_agree

UNEQUAL = Experiment(
    clients=4,
    samples=(2, 6, 3, 1),
    groups=(0, 1, 0, 2),
    noise_dim=20,
    noise_std=0.7,
    noise_feature_sq=1.7,
    rounds=7,
    participation=0.5,
    local_steps=3,
    learning_rate=1e-2,
    init_std=0.1,
    label_noise=0.3,
    theta=(0.3,),
)
THETA = 0.3


class Reference(NamedTuple):
    """What the loops lead to: moves z − z(0) of all rows, and each client's margins on its own samples."""

    moved_global: np.ndarray  # (rows,)
    moved_local: np.ndarray  # (clients, rows)
    margins: list[np.ndarray]  # of each client: (global, local, mixture) × samples


Step = Callable[[np.ndarray, np.ndarray, dict[str, np.ndarray]], np.ndarray]
"""(gradient, prompt, state that it changes) -> the change of the prompt."""


def heavy_ball(rate: float, momentum: float, nesterov: bool = False) -> Step:
    def step(gradient: np.ndarray, _: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        state["velocity"] = gradient + momentum * state.get("velocity", np.zeros_like(gradient))
        return -rate * (gradient + momentum * state["velocity"] if nesterov else state["velocity"])

    return step


def adam_with_decay(rate: float, decay: float) -> Step:
    def step(gradient: np.ndarray, prompt: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
        state["count"] = state.get("count", np.zeros(())) + 1
        state["mean"] = 0.9 * state.get("mean", 0 * gradient) + 0.1 * gradient
        state["square"] = 0.999 * state.get("square", 0 * gradient) + 0.001 * gradient**2
        mean = state["mean"] / (1 - 0.9 ** state["count"])
        square = state["square"] / (1 - 0.999 ** state["count"])
        return -rate * (mean / (np.sqrt(square) + 1e-8) + decay * prompt)

    return step


def participants(experiment: Experiment) -> np.ndarray:
    """Who took part in each round, seen from which local prompts moved; shape (rounds, clients)."""
    seen = run(experiment.replace(optimizer="sgd", optimizer_options=(), engine="coefficient", init_std=0.0))
    lengths = seen.phi_norm.sel(prompt="local").isel(seed=0, theta=0).transpose("step", "client")
    return np.diff(lengths.values, axis=0) != 0


def literal(experiment: Experiment, step: Step) -> Reference:
    """Joint training of the first replicate at `THETA`, in ReLU's linear band."""
    with jax.enable_x64(True):
        named = experiment.replace(engine="prompt")
        world = jax.tree.map(
            lambda leaf: np.asarray(leaf[0]), prepare(named, engine=row_engine(named)).worlds
        )
    weights, server, local = world.weights, world.initial_global.copy(), world.initial_local.copy()
    counts, data = np.asarray(experiment.samples), world.data
    states: list[list[dict[str, np.ndarray]]] = [[{}, {}] for _ in counts]

    def samples(client: int) -> tuple[np.ndarray, np.ndarray]:
        return data.labels[client, : counts[client]], data.features[client, : counts[client]]

    for present in participants(experiment):
        uploads, shares = [], []
        for client in np.flatnonzero(present).tolist():
            labels, features = samples(client)
            mine = server.copy()
            for _ in range(experiment.local_steps):
                mixed = 2 * weights @ ((1 - THETA) * mine + THETA * local[client])
                residuals = expit(-labels * (features @ mixed)) * labels
                pull = -2 * weights.T @ (residuals @ features) / counts[client]
                change = step((1 - THETA) * pull, mine, states[client][0])
                local[client] += step(THETA * pull, local[client], states[client][1])
                mine += change
            uploads.append(mine)
            shares.append(counts[client])
        server = np.average(uploads, axis=0, weights=shares)

    margins = []
    for client in range(experiment.clients):
        labels, features = samples(client)
        alone = [labels * (features @ (2 * weights @ prompt)) for prompt in (server, local[client])]
        margins.append(np.stack([*alone, (1 - THETA) * alone[0] + THETA * alone[1]]))
    return Reference(
        weights @ (server - world.initial_global), (local - world.initial_local) @ weights.T, margins
    )


def check(experiment: Experiment, reference: Reference) -> None:
    """Every recorded number that training determines, after the last round."""
    result = run(experiment).isel(seed=0, theta=0, step=-1)
    own, tasks = np.asarray(experiment.groups), 1 + experiment.group_count
    moves = np.stack(
        [np.broadcast_to(reference.moved_global, reference.moved_local.shape), reference.moved_local]
    )
    gamma, noise = moves[..., 1:tasks], moves[..., tasks:]
    others = [np.delete(gamma[:, client], own[client], axis=-1).mean(axis=-1) for client in range(len(own))]
    expected = {
        "beta": moves[..., 0].T,
        "gamma_own": gamma[:, np.arange(len(own)), own].T,
        "gamma_other": np.stack(others),
        "phi_norm": np.linalg.norm(noise, axis=-1).T,
        "phi_max": np.abs(noise).max(axis=-1).T,
        "training_loss": np.stack([np.logaddexp(0, -one).mean(axis=-1) for one in reference.margins]),
        "margin_mean": np.stack([one.mean(axis=-1) for one in reference.margins]),
        "margin_spread": np.stack([np.ptp(one, axis=-1) for one in reference.margins]),
    }
    for name, values in expected.items():
        assert_agree(result[name], values, RELATIVE["float64"], name)


@pytest.mark.parametrize("engine", ["coefficient", "gram", "prompt"])
@pytest.mark.parametrize(
    ("options", "step"),
    [
        ((), heavy_ball(1e-2, 0.0)),
        ((("momentum", 0.8),), heavy_ball(1e-2, 0.8)),
        ((("momentum", 0.8), ("nesterov", 1)), heavy_ball(1e-2, 0.8, nesterov=True)),
    ],
    ids=["plain", "momentum", "nesterov"],
)
def test_gradient_descent_with_unequal_clients_of_whom_half_take_part(
    engine: str, options: tuple[tuple[str, float], ...], step: Step
) -> None:
    experiment = UNEQUAL.replace(engine=engine, optimizer_options=options, record=(UNEQUAL.rounds,))
    check(experiment, literal(UNEQUAL, step))


def test_adam_with_weight_decay() -> None:
    experiment = UNEQUAL.replace(
        optimizer="adamw", optimizer_options=(("weight_decay", 0.3),), record=(UNEQUAL.rounds,)
    )
    reference = literal(UNEQUAL, adam_with_decay(1e-2, 0.3))
    with jax.numpy_dtype_promotion("standard"):  # Optax divides floats by integers
        check(experiment, reference)


def test_rounds_and_replicates_draw_their_participants_anew() -> None:
    eight = Experiment(
        clients=8, samples=(2,), noise_dim=20, rounds=40, participation=0.5, learning_rate=1e-2, theta=(0.3,)
    )
    first = participants(eight)
    assert (first.sum(axis=1) == 4).all()
    # A client takes part in half of 40 rounds: five standard errors.
    assert (abs(first.mean(axis=0) - 0.5) < 5 * 0.5 / 40**0.5).all()
    together = np.corrcoef(first.T) + np.eye(8)
    assert len(np.unique(first, axis=0)) > 20
    assert (together[~np.eye(8, dtype=bool)] < 0.7).all()
    assert (participants(eight.replace(seed=1)) != first).any()
