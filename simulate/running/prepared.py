"""Replicates before their first round, whichever engine is to train them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from simulate.experiment import Experiment
from simulate.model.federated import TrainState
from simulate.model.program import Parameters, Program, split
from simulate.model.world import streams_of
from simulate.running.devices import BY_SEED, BY_THETA, Layout


class Prepared(NamedTuple):
    """Replicates before their first round.

    Attributes:
        program, parameters: the experiment, split for compilation.
        layout: where the arrays lie.
        worlds: `World` or `GramWorld` with a leading axis of seeds.
        participation_keys: stream of every replicate that decides who takes part, shape (seeds,).
        trained: θ of every training, shape (thetas,).
        states: training states, leading axes (seeds, thetas); of the Gram engine, leading axis of seeds.
    """

    program: Program
    layout: Layout
    parameters: Parameters
    worlds: Any
    participation_keys: Key[Array, " seeds"]
    trained: Float[Array, " thetas"]
    states: TrainState

    @property
    def constants(self) -> tuple[Any, ...]:
        """All that does not change during training, in the order the engine's `advance` takes it."""
        return self[:-1]


def set_up(
    experiment: Experiment,
    replicates: np.ndarray | None,
    thetas: np.ndarray | None,
    layout: Layout,
    draw: Callable[..., Any],
    start: Callable[..., TrainState],
) -> Prepared:
    """Draw replicates and start their training; see `simulate.engines.rows.prepare` for the other arguments.

    Args:
        draw: (program, layout, parameters, keys) -> worlds of all replicates.
        start: (program, layout, parameters, worlds, θ) -> training states.
    """
    program, parameters = split(experiment)
    world_keys, participation_keys = layout.place(streams_of(experiment, replicates), BY_SEED)
    trained = experiment.trained_thetas if thetas is None else thetas
    trained = layout.place(jnp.asarray(trained, parameters.noise_std.dtype), BY_THETA)
    worlds = draw(program.drawing, layout, parameters, world_keys)
    program = program.training
    states = start(program, layout, parameters, worlds, trained)
    return Prepared(program, layout, parameters, worlds, participation_keys, trained, states)
