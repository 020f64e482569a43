"""Image features of the synthetic model (T1), drawn per client and sample."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from simulate.model.keys import derived_key
from simulate.model.program import Parameters, Program


class ClientData(NamedTuple):
    """Training samples, padded to the largest client; one client, or all with the clients first.

    Attributes:
        features: g_ki of (T1), zero where padded; shape (clients, samples, rows). The first entry is the
            true class y_ki; a constant coordinate, if any, stands before the noise.
        labels: what the loss is told, y_ki = ±1 or, with label noise, its flip; shape (clients, samples).
        sample_weights: 1/n_k for a sample, 0 for padding; shape (clients, samples).
    """

    features: Float[Array, "*clients samples rows"]
    labels: Float[Array, "*clients samples"]
    sample_weights: Float[Array, "*clients samples"]

    @property
    def classes(self) -> Any:
        """True classes y_ki = ±1, 0 where padded; shape (clients, samples), an array of the same kind."""
        return self.features[..., 0]


def draw_client_data(
    program: Program, parameters: Parameters, key: Key[Array, ""], flip_key: Key[Array, ""]
) -> ClientData:
    """Draw every client's training samples (T1).

    Each sample has its own key, so the i-th sample of client k is the same whatever the other
    clients hold. Draws are made in float32 and cast, so that both precisions see the same data.
    Label noise comes from a stream of its own, ``flip_key``: it changes no other draw.
    """
    dtype = jnp.dtype(program.precision)

    def draw(client: Array, index: Array) -> Array:
        return jax.random.normal(derived_key(key, client, index), (1 + program.noise_dim,), jnp.float32)

    def flipped(client: Array, index: Array) -> Array:
        return jax.random.uniform(derived_key(flip_key, client, index), (), jnp.float32)

    clients, indices = jnp.arange(program.clients), jnp.arange(program.max_samples)
    normals = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(clients, indices)
    classes, noise = label_and_noise(
        normals.astype(dtype), parameters.noise_std, parameters.label_threshold[:, None]
    )

    counts = parameters.sample_counts[:, None]
    present = (indices.astype(dtype)[None, :] < counts).astype(dtype)
    features = image_features(classes, noise, parameters.own_group[:, None, :], program.constant_rows)
    labels = classes
    if program.noisy_labels:
        lots = jax.vmap(jax.vmap(flipped, (None, 0)), (0, None))(clients, indices).astype(dtype)
        labels = jnp.where(lots < parameters.label_noise, -classes, classes)
    return ClientData(features * present[:, :, None], labels, present / counts)


def label_and_noise(
    normals: Float[Array, "*samples draws"],
    noise_std: Float[Array, ""],
    label_threshold: Float[Array, "..."],
) -> tuple[Float[Array, "*samples"], Float[Array, "*samples noise_dim"]]:
    """Turn 1 + L standard normals into a class (±1: is the first below the threshold?) and L noise coordinates.

    A threshold of 0 makes both classes equally likely; it broadcasts with the samples.
    """
    label = jnp.where(normals[..., 0] < label_threshold, -1, 1).astype(normals.dtype)
    return label, normals[..., 1:] * noise_std


def image_features(
    label: Float[Array, "*samples"],
    noise: Float[Array, "*samples noise_dim"],
    own_group: Float[Array, "..."],
    constant_rows: int,
) -> Float[Array, "*samples rows"]:
    """g = [y, y 1{s = s(k)}, (1), x] of (T1), with the constant coordinate only if there is one (T27).

    Args:
        label: true classes y = ±1.
        noise: x.
        own_group: 1{s = s(k)}, broadcasting with (*samples, groups).
        constant_rows: number of constant coordinates, 0 or 1.
    """
    own_feature = label[..., None] * own_group
    constant = jnp.ones((*label.shape, constant_rows), label.dtype)
    return jnp.concatenate([label[..., None], own_feature, constant, noise], axis=-1)
