"""Train an experiment to its last round and hand over the prompts themselves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from simulate.conditions import overlaps
from simulate.data import ClientData
from simulate.encoder import Encoder
from simulate.experiment import Experiment
from simulate.federated import TrainState
from simulate.full_runner import advance, engine_of, prepare
from simulate.world import World


class Portfolio(NamedTuple):
    """Trained prompts with the world they were trained in, as NumPy arrays.

    "dim" is d for the prompt engine and the number of rows for the coefficient engine, whose prompts are
    their pre-activations. The axis of θ has length 1 under the posthoc protocol.

    Attributes:
        data: training samples; leaves with leading axes (seeds, clients).
        weights: W, shape (seeds, rows, dim); None for the coefficient engine.
        initial_global: (seeds, dim).
        initial_local: (seeds, clients, dim).
        global_prompt: (seeds, thetas, dim).
        local_prompts: (seeds, thetas, clients, dim).
        feature_global: text features H of the global prompt, (seeds, thetas, rows).
        feature_local: text features H of the local prompts, (seeds, thetas, clients, rows).
        band_occupancy: max |z_r|/c_r over all trained prompts of a replicate, (seeds,).
        noise_overlap: max |⟨x_i, x_j⟩|/‖x_i‖² over a replicate's training samples i ≠ j, (seeds,).
    """

    data: ClientData
    weights: np.ndarray | None
    initial_global: np.ndarray
    initial_local: np.ndarray
    global_prompt: np.ndarray
    local_prompts: np.ndarray
    feature_global: np.ndarray
    feature_local: np.ndarray
    band_occupancy: np.ndarray
    noise_overlap: np.ndarray


def train_portfolio(experiment: Experiment) -> Portfolio:
    """Train every replicate and θ of an experiment for all its rounds.

    Example:
        >>> portfolio = train_portfolio(Experiment(clients=2, samples=(3,), noise_dim=20, rounds=2))
        >>> portfolio.feature_local.shape
        (1, 1, 2, 23)
    """
    with jax.enable_x64(experiment.precision == "float64"):
        run = prepare(experiment)
        worlds: World = run.worlds
        gaps = jnp.asarray([experiment.rounds])
        states, _ = advance(*run.constants, run.states, gaps)
        program, parameters = run.program, run.parameters
        encoder = Encoder(program.activation, parameters.activation_parameter, parameters.offset)

        def features(
            world: World, state: TrainState
        ) -> tuple[Float[Array, " rows"], Float[Array, "_ rows"], Float[Array, ""]]:
            read = engine_of(program, parameters, world).pre_activations
            z_global, z_local = read(state.global_prompt), jax.vmap(read)(state.local_prompts)
            largest = jnp.maximum(jnp.abs(z_global), jnp.max(jnp.abs(z_local), axis=0))
            return (
                encoder(z_global),
                jax.vmap(encoder.__call__)(z_local),
                jnp.max(largest / parameters.offset),
            )

        over_thetas = jax.vmap(features, (None, 0))
        feature_global, feature_local, occupancy = jax.jit(jax.vmap(over_thetas))(worlds, states)
        trained = (states.global_prompt, states.local_prompts, feature_global, feature_local)
        conditions = (jnp.max(occupancy, axis=1), overlaps(worlds.data, experiment.noise_dim))
        portfolio: Portfolio = jax.device_get(Portfolio(*worlds, *trained, *conditions))  # type: ignore[arg-type]
        return portfolio
