"""Federated training in turns: clients visit one optimizer after the other, as released, or have one each.

The algorithm is that of `simulate.model.federated`. There, clients train at the same time and each has its
optimizer; here, an optimizer's momentum and schedule pass from visitor to visitor.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from simulate.engines.rows.run import model_of
from simulate.experiment import Experiment
from simulate.model.federated import Gradient
from simulate.model.program import Parameters, Program
from simulate.model.schemes import Batch, Prompt
from simulate.model.world import World
from simulate.results.measure import Measurement, measure
from simulate.results.snapshot import Snapshot, take_snapshot
from simulate.running.jit import quick_jit
from simulate.running.prepared import prepare_rows


class Turns(NamedTuple):
    """Who visits which optimizer when, and what the optimizer does.

    Attributes:
        order: clients in the order of their visits in a round; integers, shape (clients,).
        optimizers: number of the optimizer that each client uses; integers, shape (clients,).
        learning_rate: η of an optimizer's first step.
        momentum: μ; 0 for none.
        horizon: steps of an optimizer over which a cosine takes its rate from η to 0; infinite for a constant rate.
    """

    order: Int[Array, " clients"]
    optimizers: Int[Array, " clients"]
    learning_rate: Float[Array, ""]
    momentum: Float[Array, ""]
    horizon: Float[Array, ""]


def take_turns(
    clients: int,
    *,
    shared: bool,
    reverse: bool = False,
    learning_rate: float,
    momentum: float,
    horizon: float,
) -> Turns:
    """Turns of all clients in order of their numbers, or in the reverse order.

    Args:
        clients: K.
        shared: whether one optimizer serves all clients, rather than one each.
        reverse: whether the last client comes first.
        learning_rate, momentum, horizon: as in `Turns`.
    """
    numbers = jnp.arange(clients)
    scalars = (jnp.asarray(value, float) for value in (learning_rate, momentum, horizon))
    optimizers = jnp.zeros_like(numbers) if shared else numbers
    return Turns(numbers[::-1] if reverse else numbers, optimizers, *scalars)


def cosine_rate(turns: Turns, steps: Int[Array, "..."]) -> Float[Array, "..."]:
    """Learning rate of an optimizer that has made ``steps`` steps: η (1 + cos(π min(steps/horizon, 1)))/2."""
    share = jnp.minimum(steps.astype(turns.horizon.dtype) / turns.horizon, 1)
    return turns.learning_rate * (1 + jnp.cos(jnp.pi * share)) / 2


def train_in_turns(
    turns: Turns,
    gradient: Gradient,
    batches: Batch,
    client_weights: Float[Array, " clients"],
    theta: Float[Array, ""],
    prompts: tuple[Prompt, Prompt],
    rounds: int | Array,
    local_steps: int = 1,
) -> tuple[Prompt, Prompt]:
    """Train for some rounds.

    Args:
        turns: as above.
        gradient: one client's gradient in both prompts.
        batches: every client's data, leading axis of clients.
        client_weights: p_k, summing to 1.
        theta: θ, the weight of the local prompt.
        prompts: the global prompt, and the local ones with a leading axis of clients.
        rounds: T; in a round every client makes one visit.
        local_steps: E, steps of a visit.

    Returns:
        The global prompt and the local ones.
    """
    optimizer = optax.sgd(lambda steps: cosine_rate(turns, steps), momentum=turns.momentum)
    global_prompt, local_prompts = prompts
    states = jax.vmap(lambda local: optimizer.init((global_prompt, local)))(local_prompts)

    def one_round(_: Any, carry: tuple[Prompt, Prompt, Any]) -> tuple[Prompt, Prompt, Any]:
        server, local_prompts, states = carry

        def visit(carry: tuple[Prompt, Any], client: Array) -> tuple[tuple[Prompt, Any], Prompt]:
            local_prompts, states = carry
            number, batch = turns.optimizers[client], _pick(batches, client)

            def step(_: Any, carry: tuple[tuple[Prompt, Prompt], Any]) -> tuple[tuple[Prompt, Prompt], Any]:
                pair, state = carry
                updates, state = optimizer.update(gradient(*pair, theta, batch), state, pair)
                return optax.apply_updates(pair, updates), state

            start = ((server, _pick(local_prompts, client)), _pick(states, number))
            (moved_global, moved_local), state = jax.lax.fori_loop(0, local_steps, step, start)
            after = (_put(local_prompts, client, moved_local), _put(states, number, state))
            return after, moved_global

        (local_prompts, states), returned = jax.lax.scan(visit, (local_prompts, states), turns.order)
        weights = client_weights[turns.order]
        server = jax.tree.map(lambda leaf: jnp.tensordot(weights, leaf, axes=1), returned)
        return server, local_prompts, states

    global_prompt, local_prompts, _ = jax.lax.fori_loop(
        0, rounds, one_round, (global_prompt, local_prompts, states)
    )
    return global_prompt, local_prompts


def _pick(tree: Any, index: Array) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _put(tree: Any, index: Array, value: Any) -> Any:
    return jax.tree.map(lambda leaf, entry: leaf.at[index].set(entry), tree, value)


def measure_in_turns(experiment: Experiment) -> Callable[[Turns], Measurement]:
    """A function that trains an experiment's portfolio in turns and measures it after the last round.

    Args:
        experiment: in float64, with full participation; its optimizer and learning rate are not used.

    Returns:
        turns -> measurement, with leading axes (seeds, trainings): one training for each θ, or for all of them
        under the posthoc scheme. To be called within `simulate.running.arithmetic.arithmetic` of float64.
    """
    program, _, parameters, worlds, _, trained, _ = prepare_rows(experiment)

    def measured(turns: Turns) -> Measurement:
        snapshots = _train(program, experiment.rounds, parameters, worlds, trained, turns)
        last = jax.tree.map(lambda leaf: np.asarray(leaf)[:, :, None], snapshots)  # a single record
        measurement = measure(experiment, last, np.asarray(trained))
        return jax.tree.map(lambda leaf: leaf[:, :, 0], measurement)

    return measured


@quick_jit("program", "rounds")
def _train(
    program: Program,
    rounds: int,
    parameters: Parameters,
    worlds: World,
    trained: Float[Array, " thetas"],
    turns: Turns,
) -> Snapshot:
    def one(world: World, theta: Array) -> Snapshot:
        model = model_of(program, parameters, world)
        start = (world.initial_global, world.initial_local)
        trained = train_in_turns(
            turns,
            model.gradient,
            world.data,
            parameters.client_weights,
            theta,
            start,
            rounds,
            program.local_steps,
        )
        initial, present = (
            jax.vmap(model.pre_activations)(jnp.concatenate([server[None, :], home]))
            for server, home in (start, trained)
        )
        return take_snapshot(program, parameters, world.data, initial=initial, present=present)

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(worlds, trained)
