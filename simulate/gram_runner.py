"""Run an experiment by the Gram engine: one replicate after the other, all θ of a replicate at once.

Replicates follow one another because a replicate's kernel then stays in the processor's cache for all rounds: on
a processor that is twice as fast as one product for all replicates together.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from simulate.data import overlap_of_gram
from simulate.experiment import Experiment
from simulate.federated import Federation, TrainState
from simulate.gram_engine import View, initial_gram_state, train_gram
from simulate.gram_measure import measure_gram, path_bound, quick_path_bound
from simulate.gram_world import GramWorld, gram_world
from simulate.measure import Measurement
from simulate.optimizer import build_optimizer
from simulate.program import Parameters, Program, split, thetas_of
from simulate.world import WorldKeys, streams

PROVED = 0.999
"""Share of the linear band that a bound must stay within: 1 less what rounding can do, in float32 too."""


class PreparedGram(NamedTuple):
    """A run of the Gram engine before its first round; fields as in `simulate.runner.Prepared`."""

    program: Program
    parameters: Parameters
    worlds: GramWorld
    participation_keys: Key[Array, " seeds"]
    trained: Float[Array, " thetas"]
    measured: Float[Array, "thetas evaluations"]
    states: TrainState

    @property
    def constants(self) -> tuple[Any, ...]:
        """All that does not change during training, in the order `advance_gram` takes it."""
        return self[:-1]


def prepare_gram(experiment: Experiment) -> PreparedGram:
    """Draw all replicates and start their training; to be called in the experiment's precision."""
    program, parameters = split(experiment)
    world_keys, participation_keys = streams(
        jax.random.key(experiment.seed), jnp.arange(experiment.replicates)
    )
    worlds = draw_gram(program.drawing, parameters, world_keys)
    program = program.training
    trained, measured = thetas_of(experiment, parameters.noise_std.dtype)
    states = start_gram(program, parameters, worlds, trained)
    return PreparedGram(program, parameters, worlds, participation_keys, trained, measured, states)


@functools.partial(jax.jit, static_argnames="program", compiler_options={"xla_backend_optimization_level": 1})
def draw_gram(program: Program, parameters: Parameters, keys: WorldKeys) -> GramWorld:
    """Draw the world of every replicate; leaves have a leading axis of seeds."""
    return jax.lax.map(lambda keys: gram_world(program, parameters, keys), keys)


@functools.partial(jax.jit, static_argnames="program")
def start_gram(
    program: Program, parameters: Parameters, worlds: GramWorld, theta: Float[Array, " thetas"]
) -> TrainState:
    """The state before training, with a leading axis of seeds."""
    optimizer = build_optimizer(program.optimizer, program.optimizer_options, parameters.learning_rate)
    return jax.vmap(lambda world: initial_gram_state(program, parameters, world, theta.size, optimizer))(
        worlds
    )


@functools.partial(jax.jit, static_argnames="program", donate_argnames="states")
def advance_gram(
    program: Program,
    parameters: Parameters,
    worlds: GramWorld,
    participation_keys: Key[Array, " seeds"],
    trained: Float[Array, " thetas"],
    measured: Float[Array, "thetas evaluations"],
    states: TrainState,
    gaps: Int[Array, " records"],
) -> tuple[TrainState, Measurement]:
    """Train all replicates at all θ for ``gaps[i]`` rounds before each record i.

    Returns:
        The states, and measurements whose leaves have leading axes (seeds, thetas, records).
    """
    federation = Federation(
        optimizer=build_optimizer(program.optimizer, program.optimizer_options, parameters.learning_rate),
        client_weights=parameters.client_weights,
        local_steps=program.local_steps,
        participants=program.participants,
    )

    def one(replicate: tuple[GramWorld, Key[Array, ""], TrainState]) -> tuple[TrainState, Measurement]:
        world, key, state = replicate

        def measure(view: View, state: TrainState) -> Measurement:
            return measure_gram(program, parameters, world, measured, view, state)

        state, records = train_gram(
            program, parameters, federation, world, trained, key, state, gaps, measure
        )
        return state, jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), records)

    return jax.lax.map(one, (worlds, participation_keys, states))


def stayed_in_band(prepared: PreparedGram, states: TrainState) -> bool:
    """Whether no noise row left the linear band, proved from the last states; False where there is no proof."""
    arguments = (prepared.program, prepared.parameters, prepared.worlds, states)
    if bool(_proved(quick_path_bound, *arguments)):
        return True
    return prepared.program.gram == "features" and bool(_proved(path_bound, *arguments))


@functools.partial(jax.jit, static_argnames=("bound", "program"))
def _proved(
    bound: Any, program: Program, parameters: Parameters, worlds: GramWorld, states: TrainState
) -> Bool[Array, ""]:
    largest = jax.lax.map(lambda pair: jnp.max(bound(program, parameters, *pair)), (worlds, states))
    return jnp.all(largest < PROVED)


@jax.jit
def gram_overlaps(
    kernels: Float[Array, "seeds all_samples all_samples"],
    sample_weights: Float[Array, "seeds clients samples"],
) -> Float[Array, " seeds"]:
    """`simulate.data.noise_overlap` of every replicate."""
    return jax.vmap(lambda kernel, weights: overlap_of_gram(kernel, weights.ravel() > 0))(
        kernels, sample_weights
    )
