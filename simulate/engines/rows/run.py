"""What engines with all encoder rows compile: drawing, starting and training replicates."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from simulate.engines.registry import engine_named
from simulate.engines.rows.engine import RowEngine
from simulate.engines.rows.model import RowModel
from simulate.model.algorithm import federated_algorithm
from simulate.model.federated import FederatedAlgorithm, TrainState, initial_state, train
from simulate.model.program import Parameters, Program
from simulate.model.world import World, WorldKeys, draw_world
from simulate.results.snapshot import Snapshot, take_snapshot
from simulate.running.devices import BY_BOTH, BY_SEED, BY_THETA, WHOLE, Layout
from simulate.running.jit import JitByLength, quick_jit


@quick_jit("program", "layout")
def draw(program: Program, layout: Layout, parameters: Parameters, keys: WorldKeys) -> World:
    """Draw the world of every replicate; leaves have a leading axis of seeds."""
    weights = _engine(program).needs_weights

    def local(parameters: Parameters, keys: WorldKeys) -> World:
        return layout.over_seeds(lambda keys: draw_world(program, parameters, keys, weights), keys)

    return layout.divided(local, (WHOLE, BY_SEED), BY_SEED)(parameters, keys)


@quick_jit("program", "layout")
def start(
    program: Program, layout: Layout, parameters: Parameters, worlds: World, theta: Float[Array, " thetas"]
) -> TrainState:
    """The state before training, with leading axes (seeds, thetas)."""

    def local(parameters: Parameters, worlds: World, theta: Array) -> TrainState:
        optimizer = federated_algorithm(program, parameters).optimizer

        def replicate(world: World) -> TrainState:
            state = initial_state(world.initial_global, initial_local(program, world), optimizer)
            return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (theta.size, *leaf.shape)), state)

        return jax.vmap(replicate)(worlds)

    return layout.divided(local, (WHOLE, BY_SEED, BY_THETA), BY_BOTH)(parameters, worlds, theta)


@functools.partial(JitByLength, donated="states")
def advance(
    program: Program,
    layout: Layout,
    parameters: Parameters,
    worlds: World,
    participation_keys: Key[Array, " seeds"],
    trained: Float[Array, " thetas"],
    states: TrainState,
    gaps: Int[Array, " records"],
) -> tuple[TrainState, Snapshot]:
    """Train all replicates at all θ for ``gaps[i]`` rounds before each record i.

    Returns:
        The states, and snapshots whose leaves have leading axes (seeds, thetas, records).
    """

    def local(
        parameters: Parameters, worlds: World, keys: Array, trained: Array, states: TrainState, gaps: Array
    ) -> tuple[TrainState, Snapshot]:
        federation = federated_algorithm(program, parameters, clients_in_turn=layout.clients_in_turn)

        def replicate(seed: tuple[World, Array, TrainState]) -> tuple[TrainState, Snapshot]:
            world, key, states = seed
            trainings = _trainings(program, parameters, federation, world, key, gaps)
            return layout.over_thetas(trainings, (trained, states))

        return layout.over_seeds(replicate, (worlds, keys, states))

    given = (WHOLE, BY_SEED, BY_SEED, BY_THETA, BY_BOTH, WHOLE)
    return layout.divided(local, given, BY_BOTH)(
        parameters, worlds, participation_keys, trained, states, gaps
    )


def _trainings(
    program: Program,
    parameters: Parameters,
    federation: FederatedAlgorithm,
    world: World,
    key: Key[Array, ""],
    gaps: Int[Array, " records"],
) -> Callable[[tuple[Array, TrainState]], tuple[TrainState, Snapshot]]:
    """The function that trains a replicate at several θ, from (θ, states) with a leading axis of θ.

    Where the engine treats a prompt entry by entry, prompts have an axis of θ, and one product of two matrices
    serves them all; otherwise each θ is trained by itself.
    """
    model = model_of(program, parameters, world)

    def rows(server: Array, local: Array) -> Array:
        return jax.vmap(model.pre_activations)(jnp.concatenate([server[None, :], local]))

    initial = rows(world.initial_global, initial_local(program, world))

    def snapshot(server: Array, local: Array) -> Snapshot:
        present = rows(server, local)
        return take_snapshot(program, parameters, world.data, initial=initial, present=present)

    def by_itself(at: tuple[Array, TrainState]) -> tuple[TrainState, Snapshot]:
        theta, state = at

        def measure(state: TrainState) -> Snapshot:
            return snapshot(state.global_prompt, state.local_prompts)

        return train(federation, model.gradient, measure, world.data, theta, key, state, gaps)

    def together(at: tuple[Array, TrainState]) -> tuple[TrainState, Snapshot]:
        thetas, states = at
        gradient = jax.vmap(model.gradient, (0, 0, 0, None))

        def measure(state: TrainState) -> Snapshot:
            return jax.vmap(snapshot, (0, 1))(state.global_prompt, state.local_prompts)

        state = _axes_swapped(states)._replace(round=states.round[0])
        state, records = train(federation, gradient, measure, world.data, thetas, key, state, gaps)
        states = _axes_swapped(state)._replace(round=jnp.broadcast_to(state.round, thetas.shape))
        return states, jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), records)

    return together if _engine(program).thetas_together else jax.vmap(by_itself)


def initial_local(program: Program, world: World) -> Float[Array, "clients dim"]:
    """The local prompts before training: those drawn for them, or under the finetuned scheme the global one."""
    if program.scheme == "finetuned":
        return jnp.broadcast_to(world.initial_global, world.initial_local.shape)
    return world.initial_local


def _axes_swapped(state: TrainState) -> TrainState:
    """The state with the first two axes, θ and clients, of local prompts and optimizer states exchanged."""
    local_prompts, optimizer_states = jax.tree.map(
        lambda leaf: jnp.swapaxes(leaf, 0, 1), (state.local_prompts, state.optimizer_states)
    )
    return state._replace(local_prompts=local_prompts, optimizer_states=optimizer_states)


def model_of(program: Program, parameters: Parameters, world: World) -> RowModel:
    """The model of a replicate in the coordinates of the engine it was drawn for."""
    return _engine(program).model(program, parameters, world)


def _engine(program: Program) -> RowEngine:
    """The engine that a program names; called while JAX traces, so that a compiled program looks nothing up."""
    engine = engine_named(program.engine)
    assert isinstance(engine, RowEngine)
    return engine
