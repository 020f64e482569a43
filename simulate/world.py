"""One replicate of the synthetic world: its data, frozen text encoder and initial prompts.

Every engine starts from the same draws, so that they describe the same run: the prompt engine turns them into
vectors of R^d, the coefficient engine keeps them as pre-activations z_r = ⟨w_r, p⟩, the Gram engine keeps inner
products of their noise.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from simulate.data import ClientData, draw_client_data
from simulate.keys import derived_key, fold_purpose
from simulate.program import Parameters, Program


class World(NamedTuple):
    """What a replicate draws before training.

    Attributes:
        data: training samples of all clients.
        weights: W, with orthogonal rows μ_G, ν_1…ν_S, (w_0,) ξ_1…ξ_L, shape (rows, dim), w_0 reading the
            constant coordinate; None for the other engines, which need only the rows' norms.
        initial_global: the global prompt before training: p ∈ R^d, or its z for the other engines.
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


def draw_world(program: Program, parameters: Parameters, keys: WorldKeys) -> World:
    """Draw one replicate; data, label noise and initialisation come from separate streams.

    Entries of initial prompts are N(0, init_std²), which orthogonal rows turn into independent
    z_r ~ N(0, init_std² ‖w_r‖²). The encoder's directions are random, by a QR factorisation: m² d time and
    m d memory, so the prompt engine is meant for thousands of rows, not more.
    """
    dtype = jnp.dtype(program.precision)

    def normal(number: int, *shape: int) -> Array:
        key = derived_key(keys.initialisation, number, 0)
        return jax.random.normal(key, shape, jnp.float32).astype(dtype)

    data = draw_client_data(program, parameters, keys.data, keys.label_noise)
    in_rows = normal(0, 1 + program.clients, program.rows) * parameters.init_std
    norms = jnp.sqrt(parameters.squared_norms)
    if program.engine != "prompt":
        z = in_rows * norms[None, :]
        return World(data, None, z[0], z[1:])
    directions = jnp.linalg.qr(normal(1, program.prompt_dim, program.rows))[0].T
    off_rows = normal(2, 1 + program.clients, program.prompt_dim) * parameters.init_std
    prompts = in_rows @ directions + off_rows - (off_rows @ directions.T) @ directions
    return World(data, norms[:, None] * directions, prompts[0], prompts[1:])


@jax.jit
def streams(seed: Key[Array, ""], replicates: Int[Array, " seeds"]) -> tuple[WorldKeys, Key[Array, " seeds"]]:
    """Every replicate's streams for its world and for participation, shape (seeds,)."""

    def replicate(number: Array) -> tuple[WorldKeys, Key[Array, ""]]:
        key = jax.random.fold_in(seed, number)
        world = WorldKeys(
            data=fold_purpose(key, "data"),
            initialisation=fold_purpose(key, "initialisation"),
            label_noise=fold_purpose(key, "label_noise"),
            gram=fold_purpose(key, "gram"),
        )
        return world, fold_purpose(key, "participation")

    return jax.vmap(replicate)(replicates)
