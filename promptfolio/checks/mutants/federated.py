"""Faults to plant in the federated loop: who takes part, what is averaged, and how often."""

from typing import Any

import jax
import jax.numpy as jnp

from promptfolio.checks.mutant import Edited, Mutant, Replaced

_FEDERATED = "simulate.model.federated"
_LITERAL = (
    "tests/simulate/test_literal_training.py::test_gradient_descent_with_unequal_clients_of_whom_half_take_part",
)


def sums_clients(original: Any) -> Any:
    """A server that adds up what clients send; for any engine's `participants_of_round`."""

    def participants_of_round(federation: Any, key: Any, completed_rounds: Any) -> Any:
        weights, participating = original(federation, key, completed_rounds)
        return jnp.ones_like(weights), participating

    return participants_of_round


def _equal_weights(original: Any) -> Any:
    return property(lambda self: jnp.ones_like(self.sample_counts) / self.sample_counts.size)


def _one_round_more(original: Any) -> Any:
    def train(*arguments: Any) -> Any:
        return original(*arguments[:-1], arguments[-1] + 1)

    return train


def _one_local_step_more(original: Any) -> Any:
    def federated_round(federation: Any, *others: Any) -> Any:
        more = federation.local_steps + (federation.local_steps > 1)
        return original(federation._replace(local_steps=more), *others)

    return federated_round


def _half_the_prompt_in_odd_rounds(original: Any) -> Any:
    def federated_round(*arguments: Any) -> Any:
        state, odd = arguments[-1], arguments[-1].round % 2 == 1
        older = jax.tree.map(lambda leaf: jnp.where(odd, 0.5 * leaf, leaf), state.global_prompt)
        return original(*arguments[:-1], state._replace(global_prompt=older))

    return federated_round


def _local_prompts_averaged(original: Any) -> Any:
    def federated_round(*arguments: Any) -> Any:
        state = original(*arguments)
        averaged = jax.tree.map(
            lambda leaf: jnp.broadcast_to(jnp.mean(leaf, axis=0), leaf.shape), state.local_prompts
        )
        return state._replace(local_prompts=averaged)

    return federated_round


def _absent_clients_keep_what_is_new(original: Any) -> Any:
    return lambda clients, new, old: new


def _weights_of_all_clients(original: Any) -> Any:
    def participants_of_round(federation: Any, key: Any, completed_rounds: Any) -> Any:
        _, participating = original(federation, key, completed_rounds)
        return jnp.where(participating, federation.client_weights, 0), participating

    return participants_of_round


def _always_the_first_round(original: Any) -> Any:
    return lambda federation, key, completed_rounds: original(federation, key, 0 * completed_rounds)


MUTANTS: tuple[Mutant, ...] = (
    Replaced(
        "fedavg_sums",
        _FEDERATED,
        "FedAvg sums the clients' prompts instead of averaging them",
        ("aggregation", "update_rule"),
        "participants_of_round",
        sums_clients,
    ),
    Replaced(
        "client_weights_dropped",
        "simulate.model.program",
        "FedAvg ignores the clients' numbers of samples",
        ("update_rule", "per_client"),
        "Parameters.client_weights",
        _equal_weights,
    ),
    Replaced(
        "round_too_many",
        _FEDERATED,
        "one round too many before each record",
        ("sandwich", "update_rule"),
        "train",
        _one_round_more,
    ),
    Replaced(
        "local_step_too_many",
        _FEDERATED,
        "one local step too many in a round of several",
        ("round_recursion",),
        "federated_round",
        _one_local_step_more,
    ),
    Replaced(
        "stale_global_prompt",
        _FEDERATED,
        "clients start every second round from an older global prompt",
        ("trajectories",),
        "federated_round",
        _half_the_prompt_in_odd_rounds,
    ),
    Replaced(
        "local_prompts_averaged",
        _FEDERATED,
        "the local prompts are averaged too",
        ("trajectories", "aggregation"),
        "federated_round",
        _local_prompts_averaged,
    ),
    Replaced(
        "absent_clients_train",
        _FEDERATED,
        "absent clients train their local prompts",
        ("participation",),
        "_where",
        _absent_clients_keep_what_is_new,
    ),
    Replaced(
        "participants_not_renormalised",
        _FEDERATED,
        "the average over participants is not divided by their weight",
        ("participation",),
        "participants_of_round",
        _weights_of_all_clients,
    ),
    Replaced(
        "same_clients_every_round",
        _FEDERATED,
        "the same clients take part in every round",
        ("participation",),
        "participants_of_round",
        _always_the_first_round,
    ),
    Edited(
        "turns_unweighted",
        "simulate.model.federated",
        "clients that work in turn are averaged with equal weights",
        ("per_client",),
        "lambda before, leaf: before + weight * leaf",
        "lambda before, leaf: before + leaf / federation_weights.size",
    ),
    Edited(
        "participants_averaged_alike",
        _FEDERATED,
        "the clients that take part are averaged without their numbers of samples",
        _LITERAL,
        "masked = jnp.where(participating, weights, 0)",
        "masked = jnp.where(participating, jnp.ones_like(weights), 0)",
    ),
    Edited(
        "momentum_halved",
        "simulate.model.optimizer",
        "every engine trains with half of the momentum asked for",
        _LITERAL,
        "return getattr(optax, name)(learning_rate, **dict(options))",
        'halved = {key: value / 2 if key == "momentum" else value for key, value in options}\n'
        "    return getattr(optax, name)(learning_rate, **halved)",
    ),
    Edited(
        "absent_optimizers_go_on",
        _FEDERATED,
        "the optimizer of an absent client takes its steps all the same",
        _LITERAL,
        "optimizer_states = _where(participating, optimizer_states, state.optimizer_states)",
        "optimizer_states = _where(jnp.ones_like(participating), optimizer_states, state.optimizer_states)",
    ),
    Edited(
        "optimizer_restarts_each_round",
        _FEDERATED,
        "clients' optimizers forget their state after every round",
        _LITERAL,
        "clients = (state.local_prompts, state.optimizer_states, batches)",
        "clients = (\n        state.local_prompts,\n        jax.tree.map(jnp.zeros_like, state.optimizer_states),\n"
        "        batches,\n    )",
    ),
)
