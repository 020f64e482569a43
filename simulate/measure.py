"""What is recorded of a portfolio: coefficients, moments, ratio, loss and exact accuracy, per client."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float

from simulate.data import ClientData
from simulate.encoder import Encoder
from simulate.loss import label_margins
from simulate.program import Parameters, Program
from simulate.protocols import mix

Rows = Float[Array, " rows"]


class PromptRecord(NamedTuple):
    """One prompt as one client sees it; scalars.

    Attributes:
        beta: β, coefficient of the globally shared feature (T4).
        gamma_own: γ of the client's own group.
        gamma_other: mean γ over the other groups; NaN when there is none.
        phi_norm: ‖φ‖, Euclidean norm of the noise coefficients.
        phi_max: max |φ_l|.
        signal: s = H_μ + H_ν,s(k) of this prompt alone (T7).
        bias: B, this prompt's output on the constant coordinate (T27); 0 where there is none.
        noise_norm_sq: ‖H_ξ‖² of this prompt alone.
        band_occupancy: max_r |z_r| / c_r; below 1 every row is in ReLU's linear band.
    """

    beta: Array
    gamma_own: Array
    gamma_other: Array
    phi_norm: Array
    phi_max: Array
    signal: Array
    bias: Array
    noise_norm_sq: Array
    band_occupancy: Array


class PredictorRecord(NamedTuple):
    """One predictor (a prompt alone, or the mixture) on one client; scalars.

    Attributes:
        ratio: R = s / (σ_p ‖H_ξ‖) of (T7); 0 before anything is learned, when both are 0.
        accuracy: exact accuracy on fresh samples: Φ(R) (T7), or with a bias B and the client's class prior
            π Φ((s+B)/(σ_p ‖H_ξ‖)) + (1−π) Φ((s−B)/(σ_p ‖H_ξ‖)) (T27).
        training_loss: mean logistic loss on the client's own samples, in nats.
        margin_mean: mean training margin y f(g), y the label that the loss is told.
        margin_spread: largest minus smallest training margin.
    """

    ratio: Array
    accuracy: Array
    training_loss: Array
    margin_mean: Array
    margin_spread: Array


class Measurement(NamedTuple):
    """All that is recorded of one portfolio at one time.

    Attributes:
        prompts: fields of shape (clients, 2): global, local.
        singles: each prompt as a predictor of its own; fields of shape (clients, 2).
        mixtures: the mixture at each requested θ; fields of shape (thetas, clients).
        noise_inner: ⟨H_G,ξ , H_L,ξ⟩; shape (clients,).
    """

    prompts: PromptRecord
    singles: PredictorRecord
    mixtures: PredictorRecord
    noise_inner: Float[Array, " clients"]


def measure_portfolio(
    program: Program,
    parameters: Parameters,
    data: ClientData,
    *,
    initial_global: Rows,
    initial_local: Float[Array, "clients rows"],
    z_global: Rows,
    z_local: Float[Array, "clients rows"],
    theta: Float[Array, " thetas"],
) -> Measurement:
    """Measure a portfolio given by its pre-activations, initial and present.

    Signal and squared noise norm of a mixture follow exactly from its parts, for every σ: the first is linear
    and the second quadratic in θ. One pass over the noise coordinates therefore serves every θ.
    """
    encoder = Encoder(program.activation, parameters.activation_parameter, parameters.offset)

    def client(
        z_local: Rows,
        initial_local: Rows,
        own_group: Float[Array, " groups"],
        class_prior: Float[Array, ""],
        batch: ClientData,
    ) -> Measurement:
        pre = jnp.stack([z_global, z_local])
        feature = jax.vmap(encoder.__call__)(pre)
        moved = pre - jnp.stack([initial_global, initial_local])
        prompts = _prompt_record(program, parameters, pre, moved, feature, own_group)
        noise_inner = _noise(program, feature[0]) @ _noise(program, feature[1])
        margins = jax.vmap(label_margins, (0, None))(feature, batch)

        def predictor(signal: Array, bias: Array, norm_sq: Array, margins: Array) -> PredictorRecord:
            risk = parameters.noise_std * jnp.sqrt(norm_sq)
            ratio = signal_to_noise(signal, risk)
            # Without a constant coordinate the prior plays no role: both classes have the same error.
            accuracy = (
                _accuracy_with_bias(signal, bias, risk, class_prior) if program.constant_rows else ndtr(ratio)
            )
            return _predictor_record(ratio, accuracy, margins, batch.sample_weights)

        def mixture(theta: Array) -> PredictorRecord:
            signal = mix(theta, prompts.signal[0], prompts.signal[1])
            bias = mix(theta, prompts.bias[0], prompts.bias[1])
            (square_global, square_local), weight = prompts.noise_norm_sq, 1 - theta
            norm_sq = weight**2 * square_global + 2 * weight * theta * noise_inner + theta**2 * square_local
            # Rounding can leave a tiny negative square where the parts cancel.
            return predictor(signal, bias, jnp.maximum(norm_sq, 0), mix(theta, margins[0], margins[1]))

        singles = jax.vmap(predictor)(prompts.signal, prompts.bias, prompts.noise_norm_sq, margins)
        return Measurement(prompts, singles, jax.vmap(mixture)(theta), noise_inner)

    # The mixtures' own axis of θ stays in front of the clients.
    axes = Measurement(prompts=0, singles=0, mixtures=1, noise_inner=0)  # type: ignore[arg-type]
    return jax.vmap(client, out_axes=axes)(
        z_local, initial_local, parameters.own_group, parameters.class_prior, data
    )


def _noise(program: Program, rows: Array) -> Array:
    """The task-irrelevant coordinates: the last rows."""
    return rows[..., -program.noise_dim :]


def _prompt_record(
    program: Program,
    parameters: Parameters,
    pre: Array,
    moved: Array,
    feature: Array,
    own_group: Float[Array, " groups"],
) -> PromptRecord:
    """Records of a stack of prompts; ``pre``, ``moved``, ``feature`` have shape (prompts, rows)."""
    groups = own_group.shape[0]
    gamma, phi, noise = moved[:, 1 : 1 + groups], _noise(program, moved), _noise(program, feature)
    others = jnp.full_like(gamma[:, 0], jnp.nan) if groups == 1 else gamma @ (1 - own_group) / (groups - 1)
    return PromptRecord(
        beta=moved[:, 0],
        gamma_own=gamma @ own_group,
        gamma_other=others,
        phi_norm=jnp.linalg.norm(phi, axis=1),
        phi_max=jnp.max(jnp.abs(phi), axis=1),
        signal=feature[:, 0] + feature[:, 1 : 1 + groups] @ own_group,
        bias=feature[:, 1 + groups] if program.constant_rows else jnp.zeros_like(feature[:, 0]),
        noise_norm_sq=jnp.sum(noise**2, axis=1),
        band_occupancy=jnp.max(jnp.abs(pre) / parameters.offset[None, :], axis=1),
    )


def signal_to_noise(signal: Array, risk: Array) -> Array:
    """signal/risk, and 0 before anything is learned, when both are 0."""
    nothing = (signal == 0) & (risk == 0)
    return jnp.where(nothing, 0, signal / jnp.where(nothing, 1, risk))


def _accuracy_with_bias(signal: Array, bias: Array, risk: Array, class_prior: Array) -> Array:
    """Each class is classified correctly with chance Φ((s ± B)/risk); its share is the client's prior."""
    positive, negative = (ndtr(signal_to_noise(signal + side * bias, risk)) for side in (1, -1))
    return class_prior * positive + (1 - class_prior) * negative


def _predictor_record(
    ratio: Array, accuracy: Array, margins: Array, sample_weights: Array
) -> PredictorRecord:
    present = sample_weights > 0
    largest = jnp.max(jnp.where(present, margins, -jnp.inf))
    smallest = jnp.min(jnp.where(present, margins, jnp.inf))
    return PredictorRecord(
        ratio=ratio,
        accuracy=accuracy,
        training_loss=jnp.sum(sample_weights * jax.nn.softplus(-margins)),
        margin_mean=jnp.sum(sample_weights * margins),
        margin_spread=largest - smallest,
    )
