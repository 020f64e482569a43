"""Train an experiment to its last round and return the prompts themselves."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from simulate.engines.choice import choose_engine
from simulate.engines.rows.run import advance, model_of
from simulate.experiment import Experiment
from simulate.model.data import ClientData
from simulate.model.encoder import Encoder
from simulate.model.federated import TrainState
from simulate.model.program import Parameters, Program
from simulate.model.world import World
from simulate.results.conditions import overlaps
from simulate.results.finite_records import require_finite
from simulate.running.arithmetic import arithmetic
from simulate.running.devices import Layout
from simulate.running.jit import quick_jit
from simulate.running.prepared import prepare_rows


class Portfolio(NamedTuple):
    """Trained prompts with the world they were trained in, as NumPy arrays.

    The axis dim has length d for the prompt engine, and one entry per row for the coefficient engine, whose prompts
    are their pre-activations. The axis of θ has length 1 where one training stands for all of them.

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
    """Train every replicate and θ of an experiment for all its rounds, and steps of fine-tuning.

    Raises:
        NonFiniteError: when a prompt or a text feature is not finite, as of a run that diverged.

    Example:
        >>> portfolio = train_portfolio(Experiment(clients=2, samples=(3,), noise_dim=20, rounds=2))
        >>> portfolio.feature_local.shape
        (1, 1, 2, 23)
    """
    with arithmetic(experiment.precision):
        # Compiled as a run of the experiment would be.
        layout = Layout(brief=choose_engine(experiment).is_brief(experiment))
        run = prepare_rows(experiment, layout)
        states, _ = advance(*run.constants, run.states, jax.device_put(np.array([experiment.turns])))
        feature_global, feature_local, occupancy = _features(run.program, run.parameters, run.worlds, states)
        trained = (states.global_prompt, states.local_prompts, feature_global, feature_local)
        conditions = (occupancy, overlaps(run.worlds.data, experiment.noise_dim))
        fields: tuple[Any, ...] = (*run.worlds, *trained, *conditions)
        portfolio = Portfolio(*jax.device_get(fields))
    last = {
        name: getattr(portfolio, name).reshape(experiment.replicates, 1, 1, -1)
        for name in ("global_prompt", "local_prompts", "feature_global", "feature_local", "noise_overlap")
    }
    require_finite(experiment, last, (experiment.turns,))
    return portfolio


@quick_jit("program")
def _features(
    program: Program, parameters: Parameters, worlds: World, states: TrainState
) -> tuple[
    Float[Array, "seeds thetas rows"], Float[Array, "seeds thetas clients rows"], Float[Array, " seeds"]
]:
    """Text features of the global and the local prompts, and the band occupancy of each replicate."""
    encoder = Encoder(program.activation, parameters.activation_parameter, parameters.offset)

    def at_one(world: World, state: TrainState) -> tuple[Array, Array, Array]:
        read = model_of(program, parameters, world).pre_activations
        z_global, z_local = read(state.global_prompt), jax.vmap(read)(state.local_prompts)
        largest = jnp.maximum(jnp.abs(z_global), jnp.max(jnp.abs(z_local), axis=0))
        features = encoder(z_global), jax.vmap(encoder.__call__)(z_local)
        return *features, jnp.max(largest / parameters.offset)

    feature_global, feature_local, occupancy = jax.vmap(jax.vmap(at_one, (None, 0)))(worlds, states)
    return feature_global, feature_local, jnp.max(occupancy, axis=1)
