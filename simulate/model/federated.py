"""Federated training of a prompt portfolio: FedAvg on the global prompt; local prompts stay with their clients.

The algorithm of section 1 of the model: in a round every participating client starts from the server's global
prompt and its own local one, takes E gradient steps on both, and keeps the local one; the server averages
the global ones with weights p_k = n_k/N (over the participants). After McMahan et al., 2017
(arXiv:1602.05629), with the two-prompt portfolio of Pan, Huang and Shi, 2024 (arXiv:2409.19610). A client may keep
several local prompts, some of them averaged within clusters of clients after every round
(`FederatedAlgorithm.average_local`).

Generic over what a prompt is, what the data are and how a client computes its gradient; vectorised over
clients.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from simulate.model.schemes import Batch, Objective, Prompt

Mixing = Float[Array, "..."]
"""θ, the weight of the local prompt: a scalar; with several local prompts, the weights of all prompts."""
Gradient = Callable[[Prompt, Prompt, Mixing, Batch], tuple[Prompt, Prompt]]
"""(global prompt, local prompt, θ, batch) of one client -> gradients of its objective in both prompts."""
AverageLocal = Callable[[Prompt, Float[Array, " clients"]], Prompt]
"""(local prompts after a round, the round's weights of the clients) -> the local prompts to go on with.

Prompts have a leading axis of clients; an absent client's has not moved, and its weight is zero.
"""


class TrainState(NamedTuple):
    """What persists between rounds.

    Attributes:
        global_prompt: the server's prompt; a pytree.
        local_prompts: the same pytree with a leading axis of clients.
        optimizer_states: each client's optimizer state for its pair of prompts, leading axis of clients. It
            stays with the client: the server averages prompts only.
        round: rounds completed, with the turns of fine-tuning after them; integer scalar.
    """

    global_prompt: Prompt
    local_prompts: Prompt
    optimizer_states: Any
    round: Array


class FederatedAlgorithm(NamedTuple):
    """The federated algorithm's own settings.

    Attributes:
        optimizer: each client's optimizer.
        client_weights: p_k, summing to 1; shape (clients,).
        local_steps: E, static.
        participants: clients drawn per round, static.
        average_local: averages some of the local prompts within clusters of clients; None averages none.
        federated_rounds: T, integer scalar: for fine-tuning, where every client trains one prompt, which it
            keeps as its local one. After each of T rounds all clients go on from the average of these, which is the
            global prompt; after that the global prompt stays, and every client takes one step per turn from where
            it is, with a new optimizer. None for schemes that train two prompts side by side.
        in_turn: whether clients are computed one after another, static. The result is the same up to rounding; a
            processor is faster while its operands stay in the cache, where many clients' prompts do not fit at
            once.
    """

    optimizer: optax.GradientTransformation
    client_weights: Float[Array, " clients"]
    local_steps: int
    participants: int
    average_local: AverageLocal | None = None
    federated_rounds: Array | None = None
    in_turn: bool = False


def autodiff(objective: Objective) -> Gradient:
    """The gradient of an objective in both prompts, by automatic differentiation."""
    return jax.grad(objective, argnums=(0, 1))


def initial_state(
    global_prompt: Prompt, local_prompts: Prompt, optimizer: optax.GradientTransformation
) -> TrainState:
    """State before the first round; ``local_prompts`` has a leading axis of clients."""
    optimizer_states = jax.vmap(lambda local: optimizer.init((global_prompt, local)))(local_prompts)
    return TrainState(global_prompt, local_prompts, optimizer_states, jnp.zeros((), jnp.int32))


def federated_round(
    federation: FederatedAlgorithm,
    gradient: Gradient,
    batches: Batch,
    theta: Mixing,
    participation_key: Key[Array, ""],
    state: TrainState,
) -> TrainState:
    """One round of federated training.

    Args:
        federation: the algorithm's settings.
        gradient: one client's gradient in both prompts.
        batches: every client's data, leading axis of clients.
        theta: θ, the weight of the local prompt, or the weights of all prompts.
        participation_key: the run's key; this round's is folded from it.
        state: state at the start of the round.
    """
    federation_weights, participating = participants_of_round(federation, participation_key, state.round)
    steps: int | Array = federation.local_steps
    fine_tuning = federation.federated_rounds is not None
    if federation.federated_rounds is not None:
        alone = state.round >= federation.federated_rounds
        participating, steps = participating | alone, jnp.where(alone, 1, steps)
        state = _with_new_optimizers(federation, state, state.round == federation.federated_rounds)

    def client_round(
        local_prompt: Prompt, optimizer_state: Any, batch: Batch
    ) -> tuple[tuple[Prompt, Prompt], Any]:
        def local_step(_: Any, carry: tuple[tuple[Prompt, Prompt], Any]) -> tuple[tuple[Prompt, Prompt], Any]:
            prompts, optimizer_state = carry
            gradients = gradient(prompts[0], prompts[1], theta, batch)
            updates, optimizer_state = federation.optimizer.update(gradients, optimizer_state, prompts)
            return optax.apply_updates(prompts, updates), optimizer_state

        carry = ((state.global_prompt, local_prompt), optimizer_state)
        if federation.local_steps == 1:
            return local_step(0, carry)
        return jax.lax.fori_loop(0, steps, local_step, carry)

    def visit(total: Prompt, client: tuple[Array, Any]) -> tuple[Prompt, tuple[Prompt, Any]]:
        weight, own = client
        (global_prompt, local_prompt), optimizer_state = client_round(*own)
        sent = local_prompt if fine_tuning else global_prompt
        total = jax.tree.map(lambda before, leaf: before + weight * leaf, total, sent)
        return total, (local_prompt, optimizer_state)

    clients = (state.local_prompts, state.optimizer_states, batches)
    if federation.in_turn:
        nothing = jax.tree.map(jnp.zeros_like, state.global_prompt)
        global_prompt, (local_prompts, optimizer_states) = jax.lax.scan(
            visit, nothing, (federation_weights, clients)
        )
    else:
        (global_prompts, local_prompts), optimizer_states = jax.vmap(client_round)(*clients)
        global_prompt = jax.tree.map(
            lambda leaf: jnp.tensordot(federation_weights, leaf, axes=1),
            local_prompts if fine_tuning else global_prompts,
        )
    if federation.participants < federation.client_weights.shape[0]:
        # An absent client's work is discarded: its local prompt and optimizer stay as they were.
        local_prompts = _where(participating, local_prompts, state.local_prompts)
        optimizer_states = _where(participating, optimizer_states, state.optimizer_states)
    if federation.federated_rounds is not None:

        def before_or_after(kept: Array, average: Array) -> Array:
            return jnp.where(alone, kept, average)

        local_prompts = jax.tree.map(before_or_after, local_prompts, global_prompt)
        global_prompt = jax.tree.map(before_or_after, state.global_prompt, global_prompt)
    if federation.average_local is not None:
        local_prompts = federation.average_local(local_prompts, federation_weights)
    return TrainState(global_prompt, local_prompts, optimizer_states, state.round + 1)


def participants_of_round(
    federation: FederatedAlgorithm, key: Key[Array, ""], completed_rounds: Array
) -> tuple[Float[Array, " clients"], Array]:
    """Weights for the average (zero for absent clients, summing to 1) and the mask of participants."""
    weights = federation.client_weights
    clients = weights.shape[0]
    if federation.participants == clients:
        return weights, jnp.ones(clients, bool)
    # Ranks of float32 draws, rather than a permutation, select the same clients in either precision.
    lots = jax.random.uniform(jax.random.fold_in(key, completed_rounds), (clients,), jnp.float32)
    participating = jnp.argsort(jnp.argsort(lots)) < federation.participants
    masked = jnp.where(participating, weights, 0)
    return masked / masked.sum(), participating


def _with_new_optimizers(federation: FederatedAlgorithm, state: TrainState, when: Array) -> TrainState:
    """The state, and where ``when`` is true every client with the optimizer of somebody who has made no step."""
    new = jax.vmap(lambda local: federation.optimizer.init((state.global_prompt, local)))(state.local_prompts)
    states = jax.tree.map(lambda fresh, old: jnp.where(when, fresh, old), new, state.optimizer_states)
    return state._replace(optimizer_states=states)


def _where(clients: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(
        lambda after, before: jnp.where(clients.reshape(-1, *(1,) * (after.ndim - 1)), after, before),
        new,
        old,
    )


def train(
    federation: FederatedAlgorithm,
    gradient: Gradient,
    measure: Callable[[TrainState], Any],
    batches: Batch,
    theta: Mixing,
    participation_key: Key[Array, ""],
    state: TrainState,
    gaps: Array,
) -> tuple[TrainState, Any]:
    """Run ``gaps[i]`` further rounds and then measure, for each i in turn.

    Args:
        measure: state -> pytree of measurements.
        gaps: rounds to run before each measurement (traced, so their values cost no recompilation);
            integers, shape (records,).
        batches, theta, participation_key, state, federation, gradient: as in `federated_round`.

    Returns:
        The final state, and the measurements stacked along a new leading axis of records.
    """

    def advance(state: TrainState, gap: Array) -> tuple[TrainState, Any]:
        def one_round(_: Any, state: TrainState) -> TrainState:
            return federated_round(federation, gradient, batches, theta, participation_key, state)

        state = jax.lax.fori_loop(0, gap, one_round, state)
        return state, measure(state)

    return jax.lax.scan(advance, state, gaps)
