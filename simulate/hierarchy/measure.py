"""What is recorded of portfolios of prompts on several levels: signals, moments and losses, per client."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.model.data import ClientData
from simulate.model.encoder import Encoder
from simulate.model.federated import TrainState
from simulate.model.loss import label_margins
from simulate.model.program import Parameters
from simulate.results.snapshot import Scaled, Values, over_largest

Rows = Float[Array, " rows"]
StackRows = Float[Array, "stack rows"]

# Portfolios measured at once: more would only cost memory.
_BATCH = 8


class LevelRecord(NamedTuple):
    """The prompts of all levels, evaluated for one client.

    Attributes:
        features: H_μ and H_ν,s(k) of each prompt alone, which add up to s_i (T7); shape (levels, 2).
        noise_scale: largest |H_l| of each prompt's noise rows; shape (levels,).
        noise_gram: Σ_ij = ⟨H_i,ξ , H_j,ξ⟩ over the scales of i and j; shape (levels, levels).
        signal_extent, noise_extent: max |z_r| of each prompt's task-relevant and noise rows; shape (levels,).
    """

    features: Values
    noise_scale: Values
    noise_gram: Values
    signal_extent: Values
    noise_extent: Values


class MixtureRecord(NamedTuple):
    """One mixture on one client, measured on the mixed text feature itself.

    Attributes:
        features: H_μ and H_ν,s(k), which add up to s (T7); shape (2,).
        noise_norm: ‖H_ξ‖; scalar.
        training_loss: mean logistic loss on the client's own samples, in nats; scalar.
    """

    features: Values
    noise_norm: Scaled
    training_loss: Scaled


def level_features(encoder: Encoder, z_global: Rows, z_stack: StackRows) -> Float[Array, "levels rows"]:
    """Text features of a client's prompts of all levels, from the global one to its own.

    Args:
        encoder: h.
        z_global, z_stack: pre-activations of the global prompt and of the client's stack of prompts.
    """
    return jax.vmap(encoder.__call__)(jnp.concatenate([z_global[None, :], z_stack]))


def measure_levels(
    noise_dim: int,
    encoder: Encoder,
    parameters: Parameters,
    data: ClientData,
    state: TrainState,
    weights: Array,
) -> tuple[LevelRecord, MixtureRecord]:
    """Measure a state with every portfolio; leaves (clients, …) and (portfolios, clients)."""
    groups, signals = parameters.own_group.shape[1], parameters.offset.shape[0] - noise_dim

    def own_features(feature: Rows, own_group: Array) -> Array:
        return jnp.stack([feature[0], feature[1 : 1 + groups] @ own_group])

    def client(z_stack: Array, own_group: Array, batch: ClientData) -> tuple[LevelRecord, MixtureRecord]:
        features = level_features(encoder, state.global_prompt, z_stack)
        noise_scale, noise = over_largest(features[:, signals:])
        extents = jnp.abs(jnp.concatenate([state.global_prompt[None, :], z_stack]))
        levels = LevelRecord(
            features=jax.vmap(own_features, (0, None))(features, own_group),
            noise_scale=noise_scale,
            noise_gram=noise @ noise.T,
            signal_extent=jnp.max(extents[:, :signals], axis=1),
            noise_extent=jnp.max(extents[:, signals:], axis=1),
        )

        def mixture(weights: Array) -> MixtureRecord:
            mixed = weights @ features
            scale, noise = over_largest(mixed[None, signals:])
            norm = Scaled(scale[0], jnp.linalg.norm(noise[0]))
            return MixtureRecord(own_features(mixed, own_group), norm, scaled_loss(mixed, batch))

        return levels, jax.lax.map(mixture, weights, batch_size=_BATCH)

    return jax.vmap(client, out_axes=(0, 1))(state.local_prompts, parameters.own_group, data)


def scaled_loss(feature: Rows, batch: ClientData) -> Scaled:
    """`logistic_loss` of a text feature whose margins need not fit its arithmetic.

    With margins S m, the loss of a sample is S max(−m, 0) + log(1 + exp(−S |m|)).
    """
    largest, shares = over_largest(feature[None, :])
    scale = jnp.maximum(largest[0], 1)
    margins = label_margins(shares[0], batch)
    losses = largest[0] / scale * jnp.maximum(-margins, 0)
    losses += jnp.log1p(jnp.exp(-largest[0] * jnp.abs(margins))) / scale
    return Scaled(scale, jnp.sum(batch.sample_weights * losses))
