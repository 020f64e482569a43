"""Training in turns: with an optimizer each it is the simulator's own algorithm; shared, what it should not be."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfolio.audit.turns import cosine_rate, measure_in_turns, take_turns, train_in_turns
from simulate.experiment import Experiment
from simulate.running.runner import run

EXPERIMENT = Experiment(
    clients=3,
    samples=(3, 5, 4),
    groups=(0, 1, 0),
    noise_dim=40,
    theta=(0.0, 0.4, 1.0),
    rounds=6,
    record=(6,),
    learning_rate=0.003,
    replicates=2,
)
OPTIONS: dict[str, Any] = {"learning_rate": 0.003, "momentum": 0.8, "horizon": math.inf}


def ratios(experiment: Experiment, **turns) -> np.ndarray:
    """R of the mixture; shape (seeds, trainings, evaluations, clients)."""
    with jax.enable_x64(True):
        options = {**OPTIONS, **turns}
        return np.asarray(measure_in_turns(experiment)(take_turns(3, **options)).mixtures.ratio)


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
@pytest.mark.parametrize("local_steps", [1, 3])
def test_an_optimizer_each_is_the_simulators_algorithm(scheme: str, local_steps: int) -> None:
    experiment = EXPERIMENT.replace(
        scheme=scheme, local_steps=local_steps, optimizer_options=(("momentum", 0.8),)
    )
    own = ratios(experiment, shared=False)
    expected = (
        run(experiment).ratio.sel(predictor="mixture").isel(step=-1).transpose("seed", "theta", "client")
    )
    np.testing.assert_allclose(own.reshape(expected.shape), expected, rtol=1e-9)


def test_order_matters_only_when_shared() -> None:
    own = [ratios(EXPERIMENT, shared=False, reverse=reverse) for reverse in (False, True)]
    np.testing.assert_allclose(own[0], own[1], rtol=1e-12)
    shared = [ratios(EXPERIMENT, shared=True, reverse=reverse) for reverse in (False, True)]
    assert np.abs(shared[0] / shared[1] - 1).max() > 1e-3


def test_sharing_what_has_no_memory_changes_nothing() -> None:
    first, second = (ratios(EXPERIMENT, shared=shared, momentum=0.0) for shared in (True, False))
    np.testing.assert_allclose(first, second, rtol=1e-12)


@settings(max_examples=8, deadline=None)
@given(clients=st.integers(1, 5), rounds=st.integers(1, 4), momentum=st.floats(0, 0.95), shared=st.booleans())
def test_momentum_on_constant_gradients(clients: int, rounds: int, momentum: float, shared: bool) -> None:
    """A visit moves by η Σ μ^j over all steps its optimizer has made, this one included."""

    def gradient(first, second, theta, slope):
        return slope, slope

    with jax.enable_x64(True):
        turns = take_turns(clients, shared=shared, learning_rate=0.5, momentum=momentum, horizon=math.inf)
        _, local = train_in_turns(
            turns,
            gradient,
            jnp.full(clients, -1.0),
            jnp.full(clients, 1 / clients),
            jnp.zeros(()),
            (jnp.zeros(()), jnp.zeros(clients)),
            rounds,
        )
        local = np.asarray(local)
    for client in range(clients):
        made = [turn * clients + client + 1 if shared else turn + 1 for turn in range(rounds)]
        expected = 0.5 * sum(sum(momentum**power for power in range(steps)) for steps in made)
        assert local[client] == pytest.approx(expected, rel=1e-9)


def test_cosine_rate() -> None:
    with jax.enable_x64(True):
        turns = take_turns(2, shared=True, learning_rate=2.0, momentum=0.0, horizon=4)
        rates = cosine_rate(turns, jnp.arange(6))
        constant = cosine_rate(take_turns(2, shared=True, **OPTIONS), jnp.arange(6))
    np.testing.assert_allclose(rates, [2, 1 + math.sqrt(0.5), 1, 1 - math.sqrt(0.5), 0, 0], atol=1e-12)
    np.testing.assert_allclose(constant, 0.003)
