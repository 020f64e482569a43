"""Training in the space of samples: a prompt's noise is a list of coefficients, one per training sample.

In the linear band a step adds multiples of samples to a prompt's noise rows, and the next one needs of those rows
only their inner products with samples. So a prompt is its task-relevant pre-activations, with the whole
nonlinearity, and coefficients a_i (see `simulate.engines.gram.world`), and a round costs (samples)² instead of
samples times rows. All θ of a replicate share its samples: they stand along the last axis, and the global
prompt's part of a round is one product of two matrices.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from simulate.engines.gram.world import GramWorld
from simulate.model.encoder import Encoder
from simulate.model.federated import FederatedAlgorithm, TrainState, participants_of_round
from simulate.model.program import Parameters, Program
from simulate.model.schemes import mix

Thetas = Float[Array, " thetas"]


class GramPrompt(NamedTuple):
    """A prompt at every θ, or the prompts of all clients, with a leading axis of clients.

    A client feels a prompt only through its own view of it: rows (shared, own group, constant if there is
    one). Local prompts consist of these rows; their others never move.

    Attributes:
        signals: z_r; the server's (signals, thetas), the clients' (clients, views, thetas).
        coefficients: a_i, of every sample or of the client's own; (clients, samples, thetas).
    """

    signals: Float[Array, "*rows thetas"]
    coefficients: Float[Array, "clients samples thetas"]


class View(NamedTuple):
    """How the clients see the rows and samples; all but ``theta`` are the same for every θ.

    Attributes:
        sees: which rows those are that each client sees: 1 or 0.
        encoder: text encoder of these rows.
        norms: ‖w_r‖² of these rows.
        sign: label times class, 0 where padded: what the signal adds to a margin.
        theta: θ.
    """

    sees: Float[Array, "clients views signals"]
    encoder: Encoder
    norms: Float[Array, "clients views 1"]
    sign: Float[Array, "clients samples 1"]
    labels: Float[Array, "clients samples 1"]
    sample_weights: Float[Array, "clients samples 1"]
    own_kernel: Float[Array, "clients samples samples"]
    theta: Float[Array, "1 1 thetas"]


def view_of(program: Program, parameters: Parameters, world: GramWorld, theta: Thetas) -> View:
    """The clients' view of a world."""
    sees = rows_in_view(parameters.own_group, program.constant_rows)
    offset, norms = (
        seen_by_clients(sees, values[: program.signals, None])
        for values in (parameters.offset, parameters.squared_norms)
    )
    clients, samples = world.labels.shape
    blocks = world.kernel.reshape(clients, samples, clients, samples)
    return View(
        sees=sees,
        encoder=Encoder(program.activation, parameters.activation_parameter, offset),
        norms=norms,
        sign=(world.labels * world.classes)[:, :, None],
        labels=world.labels[:, :, None],
        sample_weights=world.sample_weights[:, :, None],
        own_kernel=jnp.stack([blocks[client, :, client] for client in range(clients)]),
        theta=theta[None, None, :],
    )


def rows_in_view(
    own_group: Float[Array, "clients groups"], constant_rows: int
) -> Float[Array, "clients views signals"]:
    """Which of the task-relevant rows are those that every client sees: (shared, own group, constant)."""
    clients, groups = own_group.shape
    every = jnp.eye(1 + groups + constant_rows, dtype=own_group.dtype)
    shared, constant = (
        jnp.broadcast_to(rows, (clients, *rows.shape)) for rows in (every[:1], every[1 + groups :])
    )
    own = jnp.pad(own_group, ((0, 0), (1, constant_rows)))
    return jnp.concatenate([shared, own[:, None], constant], axis=1)


def seen_by_clients(
    sees: Float[Array, "clients views signals"], rows: Float[Array, "signals _"]
) -> Float[Array, "clients views _"]:
    """The rows that every client sees of the same prompt."""
    return jnp.einsum("kvs,st->kvt", sees, rows)


def sum_over_clients(
    sees: Float[Array, "clients views signals"], views: Float[Array, "clients views _"]
) -> Float[Array, "signals _"]:
    """Add up what every client says of the rows it sees: the transpose of `seen_by_clients`."""
    return jnp.einsum("kvs,kvt->st", sees, views)


def margins_of(
    view: View,
    signals: Float[Array, "clients views thetas"],
    noise_margins: Float[Array, "clients samples thetas"],
) -> Float[Array, "clients samples thetas"]:
    """y_i f(g_i) of a prompt alone from the rows that clients see and its noise's part."""
    feature = view.encoder(signals)
    margins = view.sign * (feature[:, :1] + feature[:, 1:2]) + noise_margins
    return margins + view.labels * feature[:, 2:] if feature.shape[1] > 2 else margins


def initial_gram_state(
    program: Program,
    parameters: Parameters,
    world: GramWorld,
    thetas: int,
    optimizer: optax.GradientTransformation,
) -> TrainState:
    """The state before training."""
    initial = world.initial_signals
    sees = rows_in_view(parameters.own_group, program.constant_rows)
    coefficients = jnp.zeros((*world.labels.shape, thetas), initial.dtype)
    local = jnp.einsum("kvs,ks->kv", sees, initial[1:])[:, :, None]
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

    Clients work on their displacement of the server's prompt, of which their own samples' coefficients suffice.
    The server's own part of the margins is the same throughout a round.
    """
    weights, participating = participants_of_round(federation, participation_key, state.round)
    server = state.global_prompt
    coefficients = server.coefficients.reshape(-1, server.coefficients.shape[-1])
    server_margins = world.global_start_margins + (world.kernel @ coefficients).reshape(
        server.coefficients.shape
    )
    server_signals = seen_by_clients(view.sees, server.signals)

    def local_step(step: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        (displacement, local), optimizer_state = carry
        here = GramPrompt(server_signals + displacement.signals, server_margins)
        if program.local_steps > 1:
            moved = view.own_kernel @ displacement.coefficients
            here = here._replace(coefficients=server_margins + moved)
        home = GramPrompt(local.signals, world.local_start_margins + view.own_kernel @ local.coefficients)
        gradients = _gradients(program, view, here, home)
        updates, optimizer_state = federation.optimizer.update(
            gradients, optimizer_state, (displacement, local)
        )
        return optax.apply_updates((displacement, local), updates), optimizer_state

    nothing = jax.tree.map(jnp.zeros_like, state.local_prompts)
    carry = ((nothing, state.local_prompts), state.optimizer_states)
    if program.local_steps == 1:
        carry = local_step(0, carry)
    else:
        carry = jax.lax.fori_loop(0, program.local_steps, local_step, carry)
    (displacement, local_prompts), optimizer_states = carry
    if federation.participants < program.clients:
        # An absent client's work is discarded: its local prompt and optimizer stay as they were.
        local_prompts, optimizer_states = jax.tree.map(
            lambda after, before: jnp.where(participating[:, None, None], after, before),
            (local_prompts, optimizer_states),
            (state.local_prompts, state.optimizer_states),
        )
    share = jax.tree.map(lambda leaf: weights[:, None, None] * leaf, displacement)
    global_prompt = GramPrompt(
        server.signals + sum_over_clients(view.sees, share.signals), server.coefficients + share.coefficients
    )
    return TrainState(global_prompt, local_prompts, optimizer_states, state.round + 1)


def _gradients(
    program: Program, view: View, here: GramPrompt, home: GramPrompt
) -> tuple[GramPrompt, GramPrompt]:
    """Gradients of both prompts in all clients' coordinates, scaled as in `simulate.engines.coefficient`.

    Args:
        here, home: the clients' view of the global and the local prompt; in place of the coefficients, the
            noise's part of the margins.
    """
    theta = view.theta
    margin_global, margin_local = (margins_of(view, *prompt) for prompt in (here, home))

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
        return gradient(here.signals, 1 - theta, together), gradient(home.signals, theta, together)
    if program.scheme == "posthoc":
        return gradient(here.signals, one, alone), gradient(home.signals, one, residual(margin_local))
    return gradient(here.signals, one, alone), gradient(home.signals, theta, together)


def train_gram(
    program: Program,
    parameters: Parameters,
    federation: FederatedAlgorithm,
    world: GramWorld,
    theta: Thetas,
    participation_key: Key[Array, ""],
    state: TrainState,
    gaps: Int[Array, " records"],
    measure: Callable[[View, TrainState], Any],
) -> tuple[TrainState, Any]:
    """Run ``gaps[i]`` further rounds and then measure, for each i in turn; as `simulate.model.federated.train`."""
    view = view_of(program, parameters, world, theta)

    def advance(state: TrainState, gap: Array) -> tuple[TrainState, Any]:
        def one_round(_: Any, state: TrainState) -> TrainState:
            return gram_round(program, federation, world, view, participation_key, state)

        state = jax.lax.fori_loop(0, gap, one_round, state)
        return state, measure(view, state)

    return jax.lax.scan(advance, state, gaps)
