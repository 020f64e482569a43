"""Run an experiment: all replicates and mixing coefficients at once, measured at the recorded rounds."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Key

from simulate.coefficient_engine import coefficient_engine
from simulate.data import ClientData, LabelShares, label_shares, noise_overlap
from simulate.engine import SyntheticEngine
from simulate.experiment import Engine, Experiment
from simulate.federated import Federation, TrainState, initial_state, train
from simulate.gram_runner import advance_gram, gram_overlaps, prepare_gram, stayed_in_band
from simulate.labels import label
from simulate.measure import Measurement, measure_portfolio
from simulate.optimizer import build_optimizer
from simulate.program import Parameters, Program, split, thetas_of
from simulate.prompt_engine import prompt_engine
from simulate.validation import ConfigurationError
from simulate.world import World, WorldKeys, draw_world, streams

Progress = Callable[[int, int], None]
"""Called with (rounds done, rounds in all)."""

# Chunks per run: enough for a live progress bar, few enough that returning to the host costs nothing.
_CHUNKS = 16


def run(experiment: Experiment, progress: Progress | None = None) -> xr.Dataset:
    """Simulate an experiment.

    Args:
        experiment: what to run.
        progress: told of the rounds done, between compiled chunks.

    Returns:
        A dataset with dimensions seed (replicates), theta, step, client, prompt (global, local) and predictor
        (global, local, mixture); see `simulate.labels` for its variables, their units and meaning. Under
        the posthoc protocol training knows no θ, so only what belongs to the mixture has that dimension.

    Example:
        >>> result = run(Experiment(clients=2, samples=(5,), noise_dim=50, rounds=3, theta=(0.0, 0.5)))
        >>> dict(result.sizes)
        {'seed': 1, 'theta': 2, 'step': 4, 'client': 2, 'prompt': 2, 'predictor': 3}
        >>> bool((result.accuracy.sel(step=0) == 0.5).all())
        True
    """
    with jax.enable_x64(experiment.precision == "float64"):
        if experiment.engine == "gram":
            result = _run_gram(experiment, progress)
            if result is not None:
                return result
        prepared = prepare(experiment)
        _, measurement = _train(prepared, advance, experiment.record, progress)
        data = prepared.worlds.data
        overlap = np.asarray(overlaps(data, experiment.noise_dim))
        shares = jax.tree.map(np.asarray, shares_of_labels(data.classes, data.labels, data.sample_weights))
        used: Engine = "prompt" if experiment.engine == "prompt" else "coefficient"
        return label(experiment, measurement, overlap, shares, engine_used=used)


def _run_gram(experiment: Experiment, progress: Progress | None) -> xr.Dataset | None:
    """The same by the Gram engine; None if a noise row may have left the linear band, which it relies on.

    Raises:
        ConfigurationError: in that case, when the other engines cannot take over as there are no features.
    """
    prepared = prepare_gram(experiment)
    states, measurement = _train(prepared, advance_gram, experiment.record, progress)
    if not stayed_in_band(prepared, states):
        if experiment.gram == "wishart":
            raise ConfigurationError(
                "noise_offset",
                experiment.noise_offset,
                "larger, as a noise row may have left the linear band, or gram = features",
            )
        return None
    worlds = prepared.worlds
    overlap = np.asarray(gram_overlaps(worlds.kernel, worlds.sample_weights))
    shares = jax.tree.map(np.asarray, shares_of_labels(worlds.classes, worlds.labels, worlds.sample_weights))
    return label(experiment, measurement, overlap, shares, engine_used="gram")


def _train(
    prepared: Any, advance: Callable[..., Any], record: tuple[int, ...], progress: Progress | None
) -> tuple[TrainState, Measurement]:
    """Train a prepared run in compiled chunks; the measurements are NumPy arrays."""
    states, chunks = prepared.states, []
    for gaps in _chunked_gaps(record):
        states, measurements = advance(*prepared.constants, states, jnp.asarray(gaps))
        chunks.append(jax.tree.map(np.asarray, measurements))
        if progress is not None:
            progress(int(states.round.ravel()[0]), record[-1])
    return states, _concatenate(chunks, len(record))


class Prepared(NamedTuple):
    """A run before its first round.

    Attributes:
        program, parameters: the experiment, split for compilation.
        worlds: drawn worlds, leading axis of seeds.
        participation_keys: stream of every replicate that decides who takes part, shape (seeds,).
        trained: θ of every training, shape (thetas,); only one for post-hoc, which is the same for every θ.
        measured: θ at which each training is measured, shape (thetas, evaluations).
        states: training states, leading axes (seeds, thetas).
    """

    program: Program
    parameters: Parameters
    worlds: World
    participation_keys: Key[Array, " seeds"]
    trained: Float[Array, " thetas"]
    measured: Float[Array, "thetas evaluations"]
    states: TrainState

    @property
    def constants(self) -> tuple[Any, ...]:
        """All that does not change during training, in the order `advance` takes it."""
        return self[:-1]


def prepare(experiment: Experiment) -> Prepared:
    """Draw all replicates and start their training; to be called in the experiment's precision.

    An experiment for the Gram engine gives a run of the coefficient engine on the same draws.

    Raises:
        ConfigurationError: when there are no features to train on, only inner products of their noise.
    """
    if experiment.gram != "features":
        raise ConfigurationError("gram", experiment.gram, "features, to train on the features themselves")
    program, parameters = split(experiment)
    world_keys, participation_keys = streams(
        jax.random.key(experiment.seed), jnp.arange(experiment.replicates)
    )
    worlds = draw(program.drawing, parameters, world_keys)
    program = program.training
    trained, measured = thetas_of(experiment, parameters.noise_std.dtype)
    states = start(program, parameters, worlds, trained)
    return Prepared(program, parameters, worlds, participation_keys, trained, measured, states)


@functools.partial(jax.jit, static_argnames="noise_dim")
def overlaps(data: ClientData, noise_dim: int) -> Float[Array, " seeds"]:
    """`noise_overlap` of every replicate."""
    return jax.vmap(lambda replicate: noise_overlap(replicate, noise_dim))(data)


@jax.jit
def shares_of_labels(
    classes: Float[Array, "seeds clients samples"],
    labels: Float[Array, "seeds clients samples"],
    sample_weights: Float[Array, "seeds clients samples"],
) -> LabelShares:
    """`label_shares` of every replicate, shape (seeds, clients)."""
    return jax.vmap(label_shares)(classes, labels, sample_weights)


# Drawing runs once: at full optimisation it takes three times as long to compile, and is no faster.
@functools.partial(jax.jit, static_argnames="program", compiler_options={"xla_backend_optimization_level": 1})
def draw(program: Program, parameters: Parameters, keys: WorldKeys) -> World:
    """Draw the world of every replicate; leaves have a leading axis of seeds."""
    return jax.vmap(lambda keys: draw_world(program, parameters, keys))(keys)


@functools.partial(jax.jit, static_argnames="program")
def start(
    program: Program, parameters: Parameters, worlds: World, theta: Float[Array, " thetas"]
) -> TrainState:
    """The state before training, with leading axes (seeds, thetas)."""
    optimizer = build_optimizer(program.optimizer, program.optimizer_options, parameters.learning_rate)

    def replicate(world: World) -> TrainState:
        state = initial_state(world.initial_global, world.initial_local, optimizer)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (theta.size, *leaf.shape)), state)

    return jax.vmap(replicate)(worlds)


@functools.partial(jax.jit, static_argnames="program", donate_argnames="states")
def advance(
    program: Program,
    parameters: Parameters,
    worlds: World,
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

    def one(
        world: World, key: Key[Array, ""], theta: Array, evaluated: Array, state: TrainState
    ) -> tuple[TrainState, Measurement]:
        engine = engine_of(program, parameters, world)
        initial_local = jax.vmap(engine.pre_activations)(world.initial_local)

        def measure(state: TrainState) -> Measurement:
            return measure_portfolio(
                program,
                parameters,
                world.data,
                initial_global=engine.pre_activations(world.initial_global),
                initial_local=initial_local,
                z_global=engine.pre_activations(state.global_prompt),
                z_local=jax.vmap(engine.pre_activations)(state.local_prompts),
                theta=evaluated,
            )

        return train(federation, engine.gradient, measure, world.data, theta, key, state, gaps)

    over_thetas = jax.vmap(one, (None, None, 0, 0, 0))
    return jax.vmap(over_thetas, (0, 0, None, None, 0))(worlds, participation_keys, trained, measured, states)


def engine_of(program: Program, parameters: Parameters, world: World) -> SyntheticEngine:
    """The engine a world was drawn for."""
    if world.weights is None:
        return coefficient_engine(program, parameters)
    return prompt_engine(program, parameters, world.weights)


def _chunked_gaps(record: tuple[int, ...]) -> list[np.ndarray]:
    """Rounds between records, in chunks of equal length so that one compilation serves them all."""
    gaps = np.diff(record, prepend=0)
    length = math.ceil(gaps.size / _CHUNKS)
    padded = np.pad(gaps, (0, -gaps.size % length))  # a gap of 0 records the last state again
    return list(padded.reshape(-1, length))


def _concatenate(chunks: list[Any], records: int) -> Any:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=2)[:, :, :records], *chunks)
