"""Training in the space of samples: a prompt's noise rows are a combination of the training samples' noise.

In the linear band, a gradient step adds multiples of the samples' noise to a prompt's noise rows, and margins
depend on those rows only through inner products with samples. So a prompt is represented by its task-relevant
pre-activations, which keep the full nonlinearity, and one coefficient a_i per training sample (see
`simulate.engines.gram.world`). A round costs (samples)² multiplications instead of samples times rows. θ is the
last axis of all arrays, since all θ of a replicate share its samples: the global prompt's part of a round is one
product of two matrices.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from simulate.engines.gram.view import (
    View,
    margins_of,
    rows_in_view,
    select_rows,
    sum_over_clients,
    view_of,
)
from simulate.engines.gram.world import GramWorld
from simulate.model.federated import FederatedAlgorithm, TrainState, participants_of_round
from simulate.model.program import Parameters, Program
from simulate.model.schemes import mix


class GramPrompt(NamedTuple):
    """A prompt at every θ, or the prompts of all clients, with a leading axis of clients.

    A client's loss and gradient involve only the rows in its view (`simulate.engines.gram.view`), so a local prompt
    consists of these rows; its other rows keep their initial values. Under the finetuned scheme a local prompt is
    held as what the client's own steps have added to the server's prompt; its other rows are the server's.

    Attributes:
        signals: z_r of the task-relevant rows; (signals, thetas) for the server's prompt, (clients, views,
            thetas) for what clients hold.
        coefficients: a_i, (clients, samples, thetas): of all samples for the server's prompt, of the client's own
            samples for what a client holds.
    """

    signals: Float[Array, "*rows thetas"]
    coefficients: Float[Array, "clients samples thetas"]


def initial_gram_state(
    program: Program,
    parameters: Parameters,
    world: GramWorld,
    thetas: int,
    optimizer: optax.GradientTransformation,
) -> TrainState:
    """The state before the first round: no coefficients, and the world's initial task-relevant rows.

    Args:
        program, parameters: the experiment.
        world: one replicate.
        thetas: number of θ.
        optimizer: of every client.
    """
    initial = world.initial_signals
    selection = rows_in_view(parameters.own_group, program.constant_rows)
    coefficients = jnp.zeros((*world.labels.shape, thetas), initial.dtype)
    added = program.scheme == "finetuned"
    starts = jnp.zeros_like(initial[1:]) if added else initial[1:]
    local = jnp.einsum("kvs,ks->kv", selection, starts)[:, :, None]
    everywhere = jnp.broadcast_to(local, (*local.shape[:2], thetas))
    local_prompts = GramPrompt(everywhere, coefficients)
    server = GramPrompt(jnp.broadcast_to(initial[0][:, None], (initial.shape[1], thetas)), coefficients)
    return TrainState(
        server, local_prompts, optimizer.init((local_prompts, local_prompts)), jnp.zeros((), jnp.int32)
    )


def gram_round(
    program: Program,
    federation: FederatedAlgorithm,
    world: GramWorld,
    view: View,
    participation_key: Key[Array, ""],
    state: TrainState,
) -> TrainState:
    """One round of federated training, as `simulate.model.federated.federated_round`.

    A client's state within the round is its displacement from the server's prompt, a combination of its own samples
    alone. The server's contribution to the margins is constant throughout a round, and computed once. Fine-tuning
    is a last round that is never averaged: a client's displacement, here its local prompt, adds up in every turn.

    Args:
        program, federation: the experiment's settings.
        world: one replicate.
        view: the rows in each client's view.
        participation_key: the replicate's key; this round's is folded from it.
        state: state at the start of the round.
    """
    weights, participating = participants_of_round(federation, participation_key, state.round)
    steps: int | Array = program.local_steps
    if federation.federated_rounds is not None:
        alone = state.round >= federation.federated_rounds
        participating, steps = participating | alone, jnp.where(alone, 1, steps)
        state = _with_new_optimizers(federation, state, state.round == federation.federated_rounds)
    server = state.global_prompt
    coefficients = server.coefficients.reshape(-1, server.coefficients.shape[-1])
    server_margins = world.global_start_margins + (world.kernel @ coefficients).reshape(
        server.coefficients.shape
    )
    server_signals = select_rows(view.selection, server.signals)

    def local_step(step: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        (displacement, local), optimizer_state = carry
        shared = GramPrompt(server_signals + displacement.signals, server_margins)
        if program.local_steps > 1:
            moved = view.own_kernel @ displacement.coefficients
            shared = shared._replace(coefficients=server_margins + moved)
        moved = view.own_kernel @ local.coefficients
        if program.scheme == "finetuned":
            own = GramPrompt(server_signals + local.signals, server_margins + moved)
        else:
            own = GramPrompt(local.signals, world.local_start_margins + moved)
        gradients = _gradients(program, view, shared, own)
        updates, optimizer_state = federation.optimizer.update(
            gradients, optimizer_state, (displacement, local)
        )
        return optax.apply_updates((displacement, local), updates), optimizer_state

    nothing = jax.tree.map(jnp.zeros_like, state.local_prompts)
    carry = ((nothing, state.local_prompts), state.optimizer_states)
    if program.local_steps == 1:
        (displacement, local_prompts), optimizer_states = local_step(0, carry)
    else:
        (displacement, local_prompts), optimizer_states = jax.lax.fori_loop(0, steps, local_step, carry)
    if federation.participants < program.clients:
        # An absent client's work is discarded: its local prompt and optimizer stay as they were.
        local_prompts, optimizer_states = jax.tree.map(
            lambda after, before: jnp.where(participating[:, None, None], after, before),
            (local_prompts, optimizer_states),
            (state.local_prompts, state.optimizer_states),
        )
    if federation.federated_rounds is not None:
        # What is averaged is no longer the client's own, and the other way round.
        displacement = jax.tree.map(lambda leaf: jnp.where(alone, 0, leaf), local_prompts)
        local_prompts = jax.tree.map(lambda leaf: jnp.where(alone, leaf, 0), local_prompts)
    share = jax.tree.map(lambda leaf: weights[:, None, None] * leaf, displacement)
    global_prompt = GramPrompt(
        server.signals + sum_over_clients(view.selection, share.signals),
        server.coefficients + share.coefficients,
    )
    return TrainState(global_prompt, local_prompts, optimizer_states, state.round + 1)


def _with_new_optimizers(federation: FederatedAlgorithm, state: TrainState, when: Array) -> TrainState:
    """The state, and where ``when`` is true every client with the optimizer of somebody who has made no step."""
    new = federation.optimizer.init((state.local_prompts, state.local_prompts))
    states = jax.tree.map(lambda fresh, old: jnp.where(when, fresh, old), new, state.optimizer_states)
    return state._replace(optimizer_states=states)


def _gradients(
    program: Program, view: View, shared: GramPrompt, own: GramPrompt
) -> tuple[GramPrompt, GramPrompt]:
    """Gradients of both prompts in all clients' coordinates, scaled as in `simulate.engines.coefficient`.

    Args:
        shared, own: the global and the local prompt in the clients' views; in place of the coefficients they hold
            the noise rows' part of the margins, (clients, samples, thetas).
    """
    theta = view.theta
    margin_global, margin_local = (margins_of(view, *prompt) for prompt in (shared, own))

    def residual(margins: Array) -> Array:
        return view.sample_weights * jax.nn.sigmoid(-margins)

    def gradient(signals: Array, weight: Array, residual: Array) -> GramPrompt:
        # Weighting sums, not terms, lets both prompts share them where they share the residuals.
        through_class = jnp.swapaxes(view.sign, 1, 2) @ residual
        pull = jnp.broadcast_to(through_class, (signals.shape[0], 2, signals.shape[2]))
        if signals.shape[1] > 2:
            constant = jnp.swapaxes(view.labels, 1, 2) @ residual
            pull = jnp.concatenate([pull, constant], axis=1)
        return GramPrompt(-view.norms * view.encoder.slope(signals) * (weight * pull), -weight * residual)

    alone, one = residual(margin_global), jnp.ones_like(theta)
    together = residual(mix(theta, margin_global, margin_local))
    if program.scheme == "joint":
        return gradient(shared.signals, 1 - theta, together), gradient(own.signals, theta, together)
    if program.scheme == "posthoc":
        return gradient(shared.signals, one, alone), gradient(own.signals, one, residual(margin_local))
    if program.scheme == "finetuned":
        nothing = GramPrompt(jnp.zeros_like(shared.signals), jnp.zeros_like(margin_local))
        return nothing, gradient(own.signals, one, residual(margin_local))
    return gradient(shared.signals, one, alone), gradient(own.signals, theta, together)


def train_gram(
    program: Program,
    parameters: Parameters,
    federation: FederatedAlgorithm,
    world: GramWorld,
    theta: Float[Array, " thetas"],
    participation_key: Key[Array, ""],
    state: TrainState,
    gaps: Int[Array, " records"],
    measure: Callable[[View, TrainState], Any],
) -> tuple[TrainState, Any]:
    """Run ``gaps[i]`` further rounds and then measure, for each i in turn; as `simulate.model.federated.train`.

    Args:
        program, parameters, federation: the experiment.
        world: one replicate.
        theta: θ of every training.
        participation_key, gaps, state: as there.
        measure: (view, state) -> pytree of measurements.
    """
    view = view_of(program, parameters, world, theta)

    def advance(state: TrainState, gap: Array) -> tuple[TrainState, Any]:
        def one_round(_: Any, state: TrainState) -> TrainState:
            return gram_round(program, federation, world, view, participation_key, state)

        state = jax.lax.fori_loop(0, gap, one_round, state)
        return state, measure(view, state)

    return jax.lax.scan(advance, state, gaps)
