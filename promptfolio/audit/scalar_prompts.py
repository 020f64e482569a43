"""Clients in turn whose prompts are one number each: what passes from one to the next can be read off."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from promptfolio.audit.turns import take_turns, train_in_turns

MOMENTUM = 0.9
_STEP = 0.1
_CLIENTS, _ROUNDS = 4, 5


def idle_movement(shared: bool) -> float:
    """Movement of a client without gradient, in units of the step of the client before it.

    Two clients take one turn each: the first has the loss ½ (p − 1)², the second a constant one.

    Args:
        shared: whether one optimizer serves both.
    """
    turns = take_turns(2, shared=shared, learning_rate=_STEP, momentum=MOMENTUM, horizon=math.inf)

    def gradient(first: Array, second: Array, theta: Array, slope: Array) -> tuple[Array, Array]:
        return slope * (first - 1), slope * (second - 1)

    _, local = train_in_turns(turns, gradient, jnp.array([1.0, 0.0]), *_federation(2), rounds=1)
    return float(local[1] / local[0])


def rates(shared: bool) -> np.ndarray:
    """Learning rates of all visits in units of η, from clients whose gradient is always −1; (turns, visits)."""
    horizon = horizon_of(shared, _CLIENTS, _ROUNDS)
    turns = take_turns(_CLIENTS, shared=shared, learning_rate=_STEP, momentum=0.0, horizon=horizon)

    def gradient(first: Array, second: Array, theta: Array, slope: Array) -> tuple[Array, Array]:
        return slope, slope

    def positions(rounds: Array) -> Array:
        slopes = jnp.full(_CLIENTS, -1.0)
        return train_in_turns(turns, gradient, slopes, *_federation(_CLIENTS), rounds=rounds)[1]

    return np.diff(np.asarray(jax.vmap(positions)(jnp.arange(_ROUNDS + 1))), axis=0) / _STEP


def rates_predicted(shared: bool) -> np.ndarray:
    """The schedule's rates after as many steps as each visit's optimizer has made, in units of η; as `rates`."""
    turn, visit = np.mgrid[:_ROUNDS, :_CLIENTS]
    steps = _CLIENTS * turn + visit if shared else turn
    return np.cos(np.pi * steps / horizon_of(shared, _CLIENTS, _ROUNDS) / 2) ** 2


def _federation(clients: int) -> tuple[Array, Array, tuple[Array, Array]]:
    """Equal weights, no mixing, and prompts of one number that start at 0."""
    return jnp.full(clients, 1 / clients), jnp.zeros(()), (jnp.zeros(()), jnp.zeros(clients))


def horizon_of(shared: bool, clients: int, steps: int) -> float:
    """Steps that an optimizer makes in all: the schedule ends with the training, shared or not."""
    return steps * (clients if shared else 1)
