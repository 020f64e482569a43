"""Replicates drawn and ready to be trained, by any engine."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from simulate.engines.choice import choose_engine, row_engine
from simulate.engines.engine import Engine
from simulate.experiment import Experiment
from simulate.model.program import Parameters, Program, split
from simulate.model.world import streams_of
from simulate.running.devices import BY_SEED, BY_THETA, ONE_DEVICE, Layout


class Prepared(NamedTuple):
    """Replicates before their first round.

    Attributes:
        program, parameters: the experiment, split for compilation.
        layout: where the arrays lie.
        worlds: what the engine drew; leaves with a leading axis of seeds.
        participation_keys: stream of every replicate that decides who takes part, shape (seeds,).
        trained: θ of every training, shape (thetas,).
        states: the engine's training states; leaves with a leading axis of seeds.
    """

    program: Program
    layout: Layout
    parameters: Parameters
    worlds: Any
    participation_keys: Key[Array, " seeds"]
    trained: Float[Array, " thetas"]
    states: Any

    @property
    def constants(self) -> tuple[Any, ...]:
        """All that does not change during training."""
        return self[:-1]


def prepare(
    experiment: Experiment,
    replicates: np.ndarray | None = None,
    thetas: np.ndarray | None = None,
    layout: Layout = ONE_DEVICE,
    engine: Engine | None = None,
) -> Prepared:
    """Draw replicates and start their training; to be called in the experiment's precision.

    Args:
        experiment: what to run.
        replicates: numbers of the replicates, shape (seeds,); None for all.
        thetas: θ to train at, shape (thetas,); None for all that the experiment's scheme trains at.
        layout: where the arrays lie, and what divides their axes.
        engine: what is to train them; None for `choose_engine`'s choice.
    """
    engine = choose_engine(experiment) if engine is None else engine
    program, parameters = split(experiment, engine.name)
    world_keys, participation_keys = layout.place(streams_of(experiment, replicates), BY_SEED)
    trained = experiment.trained_thetas if thetas is None else thetas
    trained = layout.place(jax.device_put(np.asarray(trained, parameters.noise_std.dtype)), BY_THETA)
    worlds = engine.draw(program.drawing, layout.drawing, parameters, world_keys)
    program = program.training
    states = engine.start(program, layout, parameters, worlds, trained)
    return Prepared(program, layout, parameters, worlds, participation_keys, trained, states)


def prepare_rows(experiment: Experiment, layout: Layout = ONE_DEVICE) -> Prepared:
    """`prepare` by an engine that keeps all rows, so that worlds are `simulate.model.world.World`.

    Raises:
        ConfigurationError: when there are no features to train on, only inner products of their noise.
    """
    return prepare(experiment, layout=layout, engine=row_engine(experiment))
