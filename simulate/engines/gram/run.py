"""What the Gram engine compiles: drawing, starting, training and checking replicates, all θ of one at once."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int, Key

from simulate.engines.gram.fine_tuning import finetuned_snapshot
from simulate.engines.gram.measure import gram_snapshot, path_bound, quick_path_bound
from simulate.engines.gram.training import initial_gram_state, train_gram
from simulate.engines.gram.view import View
from simulate.engines.gram.world import GramWorld, gram_world
from simulate.model.algorithm import federated_algorithm
from simulate.model.federated import TrainState
from simulate.model.program import Parameters, Program
from simulate.model.world import WorldKeys
from simulate.results.conditions import Conditions, label_shares
from simulate.results.snapshot import Snapshot
from simulate.running.devices import (
    BY_BOTH,
    BY_SEED,
    BY_THETA,
    SEEDS,
    THETAS,
    WHOLE,
    Layout,
)
from simulate.running.jit import JitByLength, quick_jit
from simulate.running.prepared import Prepared

PROVED = 0.999
"""Share of the linear band that a bound must stay within: 1 less what rounding can do, in float32 too."""


@quick_jit("program", "layout")
def draw_gram(program: Program, layout: Layout, parameters: Parameters, keys: WorldKeys) -> GramWorld:
    """Draw the world of every replicate; leaves have a leading axis of seeds."""

    def local(parameters: Parameters, keys: WorldKeys) -> GramWorld:
        return layout.over_seeds(lambda keys: gram_world(program, parameters, keys), keys)

    return layout.divided(local, (WHOLE, BY_SEED), BY_SEED)(parameters, keys)


@quick_jit("program", "layout")
def start_gram(
    program: Program,
    layout: Layout,
    parameters: Parameters,
    worlds: GramWorld,
    theta: Float[Array, " thetas"],
) -> TrainState:
    """The state before training, with a leading axis of seeds, and θ on the last axis of prompts."""

    def local(parameters: Parameters, worlds: GramWorld, theta: Array) -> TrainState:
        optimizer = federated_algorithm(program, parameters).optimizer

        def replicate(world: GramWorld) -> TrainState:
            return initial_gram_state(program, parameters, world, theta.size, optimizer)

        return jax.vmap(replicate)(worlds)

    one = theta.size // layout.thetas
    shapes = jax.eval_shape(local, parameters, worlds, theta[:one])
    return layout.divided(local, (WHOLE, BY_SEED, BY_THETA), _parts_of(shapes))(parameters, worlds, theta)


def _parts_of(states: TrainState) -> Any:
    """`PartitionSpec` of every leaf of the states; only counters have no axis of θ."""

    def part(leaf: Any) -> PartitionSpec:
        return BY_SEED if leaf.ndim == 1 else PartitionSpec(SEEDS, *[None] * (leaf.ndim - 2), THETAS)

    return jax.tree.map(part, states)


@functools.partial(JitByLength, donated="states")
def advance_gram(
    program: Program,
    layout: Layout,
    parameters: Parameters,
    worlds: GramWorld,
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
        parameters: Parameters,
        worlds: GramWorld,
        keys: Array,
        trained: Array,
        states: TrainState,
        gaps: Array,
    ) -> tuple[TrainState, Snapshot]:
        federation = federated_algorithm(program, parameters)

        def replicate(seed: tuple[GramWorld, Array, TrainState]) -> tuple[TrainState, Snapshot]:
            world, key, state = seed

            def snapshot(view: View, state: TrainState) -> Snapshot:
                take = finetuned_snapshot if program.scheme == "finetuned" else gram_snapshot
                return take(parameters, world, view, state)

            state, records = train_gram(
                program, parameters, federation, world, trained, key, state, gaps, snapshot
            )
            return state, jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), records)

        return layout.over_seeds(replicate, (worlds, keys, states))

    lie = _parts_of(states)
    given = (WHOLE, BY_SEED, BY_SEED, BY_THETA, lie, WHOLE)
    return layout.divided(local, given, (lie, BY_BOTH))(
        parameters, worlds, participation_keys, trained, states, gaps
    )


def stayed_in_band(prepared: Prepared, states: TrainState) -> np.ndarray:
    """Whether, for each replicate, no noise row left the linear band at any θ, proved from the last states.

    Returns:
        Booleans of shape (seeds,), False where there is no proof.
    """
    program, layout, parameters, worlds = prepared[:4]
    proved = np.asarray(_proved(quick_path_bound, program, layout, parameters, worlds, states))
    if not proved.all() and program.gram == "features":
        proved = np.asarray(_proved(path_bound, program, layout, parameters, worlds, states))
    return proved


@quick_jit("bound", "program", "layout")
def _proved(
    bound: Any,
    program: Program,
    layout: Layout,
    parameters: Parameters,
    worlds: GramWorld,
    states: TrainState,
) -> Array:
    def local(parameters: Parameters, worlds: GramWorld, states: TrainState) -> Array:
        def largest(pair: tuple[GramWorld, TrainState]) -> Array:
            return jnp.max(bound(program, parameters, *pair), axis=0)

        return layout.over_seeds(largest, (worlds, states))

    of_theta = layout.divided(local, (WHOLE, BY_SEED, _parts_of(states)), BY_BOTH)(parameters, worlds, states)
    return jnp.max(of_theta, axis=1) < PROVED


def conditions(worlds: GramWorld) -> Conditions:
    """What is reported of the worlds of all replicates."""
    drawn = (worlds.classes, worlds.labels, worlds.sample_weights, worlds.noise_overlap)
    classes, labels, weights, overlap = map(np.asarray, drawn)
    return Conditions(overlap, label_shares(classes, labels, weights > 0))
