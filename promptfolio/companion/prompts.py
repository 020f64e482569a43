"""Class-wise residual prompts in CLIP's joint space: their encoder, and the loss that the simulator's
federated loop trains them with.

The text feature of class c is h_c(p) = (t_c + p_c)/‖t_c + p_c‖ with a frozen anchor t_c and a learned p_c,
the image encoder stays frozen, and a mixture's logits are scale · ⟨g, (1−θ) h_c(p_G) + θ h_c(p_L)⟩: the
mixture is NOT re-normalised, so logits and margins are linear in θ (T24).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Classes = Float[Array, "classes dim"]


class ImageBatch(NamedTuple):
    """One client's images, padded to the longest client's.

    Attributes:
        images: image features of unit length, zero where padded; shape (samples, dim).
        labels: class of each image; integers, shape (samples,).
        weights: 1/n_k for the client's own images and 0 for padding; shape (samples,).
    """

    images: Float[Array, "samples dim"]
    labels: Int[Array, " samples"]
    weights: Float[Array, " samples"]


def residual_encoder(anchors: Classes) -> Callable[[Classes, ImageBatch | None], Classes]:
    """Return the prompt encoder (prompt, batch) -> text features of unit length, one row per class. The batch
    is not used; the federated loop passes it to every encoder.

    Example:
        >>> encode = residual_encoder(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> features = encode(jnp.array([[2.0, 4.0], [0.0, 0.0]]), None).tolist()
        >>> [[round(value, 3) for value in feature] for feature in features]
        [[0.6, 0.8], [0.0, 1.0]]
    """

    def encode(prompt: Classes, batch: ImageBatch | None) -> Classes:
        features = anchors + prompt
        return features / jnp.linalg.norm(features, axis=-1, keepdims=True)

    return encode


def cross_entropy(logit_scale: Float[Array, ""] | float) -> Callable[[Classes, ImageBatch], Float[Array, ""]]:
    """Return the loss (text features, batch) -> weighted mean over the batch of −log softmax_y(scale · ⟨g, h⟩),
    in nats."""

    def loss(features: Classes, batch: ImageBatch) -> Float[Array, ""]:
        log_probabilities = jax.nn.log_softmax(class_logits(logit_scale, features, batch.images), axis=-1)
        own = jnp.take_along_axis(log_probabilities, batch.labels[:, None], axis=-1)[:, 0]
        return -jnp.sum(batch.weights * own)

    return loss


def class_logits(
    logit_scale: Float[Array, ""] | float, features: Classes, images: Float[Array, "samples dim"]
) -> Float[Array, "samples classes"]:
    """scale · ⟨g_i, h_c⟩, linear in the text features."""
    return logit_scale * (images @ features.T)
