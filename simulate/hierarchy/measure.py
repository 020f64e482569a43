"""What is recorded of portfolios of prompts on several levels: signals, moments and losses, per client."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulate.model.data import ClientData
from simulate.model.encoder import Encoder
from simulate.model.federated import TrainState
from simulate.model.loss import logistic_loss
from simulate.model.program import Parameters
from simulate.results.snapshot import Values

Rows = Float[Array, " rows"]
StackRows = Float[Array, "stack rows"]

# Portfolios measured at once: more would only cost memory.
_BATCH = 8


class LevelRecord(NamedTuple):
    """The prompts of all levels, evaluated for one client.

    Attributes:
        signal: s_i = H_μ + H_ν,s(k) of each prompt alone (T7); shape (levels,).
        noise_gram: Σ_ij = ⟨H_i,ξ , H_j,ξ⟩; shape (levels, levels).
        band_occupancy: max_r |z_r| / c_r of each prompt; shape (levels,).
    """

    signal: Array
    noise_gram: Array
    band_occupancy: Array


class MixtureRecord(NamedTuple):
    """One mixture on one client; scalars, measured on the mixed text feature itself.

    Attributes:
        signal: s of (T7).
        risk: σ_p ‖H_ξ‖ of (T7).
        training_loss: mean logistic loss on the client's own samples, in nats.
    """

    signal: Values
    risk: Values
    training_loss: Values


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
    groups = parameters.own_group.shape[1]

    def signal(feature: Rows, own_group: Array) -> Array:
        return feature[0] + feature[1 : 1 + groups] @ own_group

    def client(z_stack: Array, own_group: Array, batch: ClientData) -> tuple[LevelRecord, MixtureRecord]:
        features = level_features(encoder, state.global_prompt, z_stack)
        noise = features[:, -noise_dim:]
        pre = jnp.concatenate([state.global_prompt[None, :], z_stack])
        levels = LevelRecord(
            signal=jax.vmap(signal, (0, None))(features, own_group),
            noise_gram=noise @ noise.T,
            band_occupancy=jnp.max(jnp.abs(pre) / parameters.offset[None, :], axis=1),
        )

        def mixture(weights: Array) -> MixtureRecord:
            mixed = weights @ features
            risk = parameters.noise_std * jnp.linalg.norm(mixed[-noise_dim:])
            return MixtureRecord(signal(mixed, own_group), risk, logistic_loss(mixed, batch))

        return levels, jax.lax.map(mixture, weights, batch_size=_BATCH)

    return jax.vmap(client, out_axes=(0, 1))(state.local_prompts, parameters.own_group, data)
