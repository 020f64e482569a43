"""One replicate of the synthetic world: its data, frozen text encoder and initial prompts.

Every engine starts from the same draws, so that results of different engines are of the same run: the prompt engine
turns initial prompts into vectors of R^d, the coefficient engine into pre-activations z_r = ⟨w_r, p⟩, and the Gram
engine computes inner products of the noise.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from simulate.experiment import Experiment
from simulate.model.data import ClientData, draw_client_data
from simulate.model.keys import Purpose, as_key, derived_key, folded_words, purpose_numbers, root_words
from simulate.model.program import Parameters, Program


class World(NamedTuple):
    """What a replicate draws before training.

    Attributes:
        data: training samples of all clients.
        weights: W, with orthogonal rows μ_G, ν_1…ν_S, (w_0,) ξ_1…ξ_L, shape (rows, dim), w_0 reading the
            constant coordinate; None for engines that need only the rows' norms.
        initial_global: the global prompt before training: p ∈ R^d if there is W, else its z.
        initial_local: the same of the local prompts, leading axis of clients.
    """

    data: ClientData
    weights: Float[Array, "rows dim"] | None
    initial_global: Float[Array, " dim"]
    initial_local: Float[Array, "clients dim"]


class WorldKeys(NamedTuple):
    """Keys of a replicate's streams that its world is drawn from."""

    data: Key[Array, "*seeds"]
    initialisation: Key[Array, "*seeds"]
    label_noise: Key[Array, "*seeds"]
    gram: Key[Array, "*seeds"]


def draw_world(
    program: Program, parameters: Parameters, keys: WorldKeys, with_weights: bool = False
) -> World:
    """Draw one replicate; data, label noise and initialisation come from separate streams.

    Entries of initial prompts are N(0, init_std²), which orthogonal rows turn into independent
    z_r ~ N(0, init_std² ‖w_r‖²). The encoder's directions are random, by a QR factorisation: m² d time and
    m d memory, so W is meant for thousands of rows, not more.

    Args:
        program, parameters: the experiment.
        keys: streams of one replicate.
        with_weights: whether to draw W, and prompts as vectors of R^d rather than by their pre-activations.
    """
    dtype = jnp.dtype(program.precision)

    def normal(number: int, *shape: int) -> Array:
        key = derived_key(keys.initialisation, number, 0)
        return jax.random.normal(key, shape, jnp.float32).astype(dtype)

    data = draw_client_data(program, parameters, keys.data, keys.label_noise)
    norms = jnp.sqrt(parameters.squared_norms)
    if program.random_start:
        in_rows = normal(0, 1 + program.clients, program.rows) * parameters.init_std
    else:  # nothing to draw, which spares half of the compilation
        in_rows = jnp.zeros((1 + program.clients, program.rows), dtype)
    if not with_weights:
        z = in_rows * norms[None, :]
        return World(data, None, z[0], z[1:])
    directions = jnp.linalg.qr(normal(1, program.prompt_dim, program.rows))[0].T
    off_rows = normal(2, 1 + program.clients, program.prompt_dim) * parameters.init_std
    prompts = in_rows @ directions + off_rows - (off_rows @ directions.T) @ directions
    return World(data, norms[:, None] * directions, prompts[0], prompts[1:])


def streams_of(
    experiment: Experiment, replicates: np.ndarray | None = None
) -> tuple[WorldKeys, Key[Array, " seeds"]]:
    """Replicates' streams for their worlds and for participation, shape (seeds,).

    Args:
        experiment: whose seed they come from.
        replicates: numbers of the replicates; None for all of the experiment's.
    """
    numbers = np.arange(experiment.replicates) if replicates is None else replicates
    purposes: tuple[Purpose, ...] = ("data", "initialisation", "label_noise", "gram", "participation")
    of_replicates = folded_words(root_words(experiment.seed), numbers.astype(np.uint32))
    of_purposes = folded_words(of_replicates, purpose_numbers(purposes)[:, None])
    *world, participation = map(as_key, of_purposes)
    return WorldKeys(*world), participation
