"""The model's loss (T3), as a function of one client's text feature."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.model.data import ClientData

Rows = Float[Array, " rows"]


def label_margins(feature: Rows, batch: ClientData) -> Float[Array, " samples"]:
    """y_i f(g_i) = y_i ⟨g_i, feature⟩ of one client's samples."""
    return batch.labels * (batch.features @ feature)


def logistic_loss(feature: Rows, batch: ClientData) -> Float[Array, ""]:
    """mean_i log(1 + exp(−y_i f(g_i))) over one client's samples, in nats."""
    return jnp.sum(batch.sample_weights * jax.nn.softplus(-label_margins(feature, batch)))
