"""Image features of the synthetic model (T1), drawn per client and sample."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from simulate.keys import derived_key
from simulate.program import Parameters, Program


class ClientData(NamedTuple):
    """Training samples, padded to the largest client; one client, or all with the clients first.

    Attributes:
        features: g_ki of (T1), zero where padded; shape (clients, samples, rows).
        labels: y_ki = ±1; shape (clients, samples).
        sample_weights: 1/n_k for a sample, 0 for padding; shape (clients, samples).
    """

    features: Float[Array, "*clients samples rows"]
    labels: Float[Array, "*clients samples"]
    sample_weights: Float[Array, "*clients samples"]


def draw_client_data(program: Program, parameters: Parameters, key: Key[Array, ""]) -> ClientData:
    """Draw every client's training samples (T1).

    Each sample has its own key, so the i-th sample of client k is the same whatever the other
    clients hold. Draws are made in float32 and cast, so that both precisions see the same data.
    """
    dtype = jnp.dtype(program.precision)

    def draw(client: Array, index: Array) -> Array:
        return jax.random.normal(derived_key(key, client, index), (1 + program.noise_dim,), jnp.float32)

    indices = jnp.arange(program.max_samples)
    normals = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(jnp.arange(program.clients), indices)
    labels, noise = label_and_noise(normals.astype(dtype), parameters.noise_std)

    counts = parameters.sample_counts[:, None]
    present = (indices.astype(dtype)[None, :] < counts).astype(dtype)
    own_feature = labels[:, :, None] * parameters.own_group[:, None, :]
    features = jnp.concatenate([labels[:, :, None], own_feature, noise], axis=2)
    return ClientData(features * present[:, :, None], labels, present / counts)


def label_and_noise(
    normals: Float[Array, "*samples draws"], noise_std: Float[Array, ""]
) -> tuple[Float[Array, "*samples"], Float[Array, "*samples noise_dim"]]:
    """Turn 1 + L standard normals into a label (the sign of the first) and L noise coordinates."""
    label = jnp.where(normals[..., 0] < 0, -1, 1).astype(normals.dtype)
    return label, normals[..., 1:] * noise_std


def noise_overlap(data: ClientData, noise_dim: int) -> Float[Array, ""]:
    """max |⟨x_i, x_j⟩| / ‖x_i‖² over the training samples i ≠ j of all clients; 0 means orthogonal noise.

    The mean-field results (T8, T9, T14, T17–T21) hold as this goes to 0.
    """
    noise = data.features.reshape(-1, data.features.shape[-1])[:, -noise_dim:]
    present = data.sample_weights.ravel() > 0
    gram = noise @ noise.T
    apart = present[:, None] & present[None, :] & ~jnp.eye(noise.shape[0], dtype=bool)
    squares = jnp.where(present, jnp.diagonal(gram), 1)
    return jnp.max(jnp.where(apart, jnp.abs(gram), 0) / squares[:, None])
