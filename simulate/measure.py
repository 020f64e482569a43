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


class NoiseMoments(NamedTuple):
    """What a record needs of the noise rows of one client's two prompts, whichever way it is known.

    Attributes:
        phi_norm: ‖φ‖; shape (2,): global, local.
        phi_max: max |φ_l|; shape (2,).
        norm_sq: ‖H_ξ‖²; shape (2,).
        inner: ⟨H_G,ξ , H_L,ξ⟩; scalar.
        band_occupancy: max |z_l| / c_l; shape (2,).
    """

    phi_norm: Array
    phi_max: Array
    norm_sq: Array
    inner: Array
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
    """Measure a portfolio given by its pre-activations, initial and present."""
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
        signals = program.signals
        return measure_client(
            program,
            parameters,
            pre=pre[:, :signals],
            moved=moved[:, :signals],
            noise=_noise_moments(parameters, *(rows[:, signals:] for rows in (pre, moved, feature))),
            margins=jax.vmap(label_margins, (0, None))(feature, batch),
            own_group=own_group,
            class_prior=class_prior,
            sample_weights=batch.sample_weights,
            theta=theta,
        )

    return jax.vmap(client, out_axes=CLIENT_AXES)(
        z_local, initial_local, parameters.own_group, parameters.class_prior, data
    )


CLIENT_AXES = Measurement(prompts=0, singles=0, mixtures=1, noise_inner=0)  # type: ignore[arg-type]
"""Where a measurement of all clients has its axis of clients: the mixtures' own axis of θ stays in front."""


def _noise_moments(parameters: Parameters, pre: Array, moved: Array, feature: Array) -> NoiseMoments:
    """From the noise rows of both prompts themselves, each of shape (2, noise_dim)."""
    offset = parameters.offset[-pre.shape[1] :]
    return NoiseMoments(
        phi_norm=jnp.linalg.norm(moved, axis=1),
        phi_max=jnp.max(jnp.abs(moved), axis=1),
        norm_sq=jnp.sum(feature**2, axis=1),
        inner=feature[0] @ feature[1],
        band_occupancy=jnp.max(jnp.abs(pre) / offset[None, :], axis=1),
    )


def measure_client(
    program: Program,
    parameters: Parameters,
    *,
    pre: Float[Array, "2 signals"],
    moved: Float[Array, "2 signals"],
    noise: NoiseMoments,
    margins: Float[Array, "2 samples"],
    own_group: Float[Array, " groups"],
    class_prior: Float[Array, ""],
    sample_weights: Float[Array, " samples"],
    theta: Float[Array, " thetas"],
) -> Measurement:
    """One client's measurement from its two prompts' task-relevant rows, moments of the rest, and margins.

    Signal and squared noise norm of a mixture follow exactly from its parts, for every σ: the first is linear
    and the second quadratic in θ. One pass over the noise coordinates therefore serves every θ.

    Args:
        pre: z_r of the task-relevant rows, the constant one included, of the global and the local prompt.
        moved: the same less their start.
        noise: moments of the noise rows.
        margins: y f(g) of the client's samples under either prompt alone.
        own_group, class_prior, sample_weights: the client's.
        theta: θ of the mixtures.
    """
    prompts = _prompt_record(program, parameters, pre, moved, noise, own_group)
    noise_inner = noise.inner

    def predictor(signal: Array, bias: Array, norm_sq: Array, margins: Array) -> PredictorRecord:
        risk = parameters.noise_std * jnp.sqrt(norm_sq)
        ratio = signal_to_noise(signal, risk)
        # Without a constant coordinate the prior plays no role: both classes have the same error.
        accuracy = (
            _accuracy_with_bias(signal, bias, risk, class_prior) if program.constant_rows else ndtr(ratio)
        )
        return _predictor_record(ratio, accuracy, margins, sample_weights)

    def mixture(theta: Array) -> PredictorRecord:
        signal = mix(theta, prompts.signal[0], prompts.signal[1])
        bias = mix(theta, prompts.bias[0], prompts.bias[1])
        (square_global, square_local), weight = prompts.noise_norm_sq, 1 - theta
        norm_sq = weight**2 * square_global + 2 * weight * theta * noise_inner + theta**2 * square_local
        # Rounding can leave a tiny negative square where the parts cancel.
        return predictor(signal, bias, jnp.maximum(norm_sq, 0), mix(theta, margins[0], margins[1]))

    singles = jax.vmap(predictor)(prompts.signal, prompts.bias, prompts.noise_norm_sq, margins)
    return Measurement(prompts, singles, jax.vmap(mixture)(theta), noise_inner)


def _prompt_record(
    program: Program,
    parameters: Parameters,
    pre: Array,
    moved: Array,
    noise: NoiseMoments,
    own_group: Float[Array, " groups"],
) -> PromptRecord:
    """Records of a stack of prompts; ``pre`` and ``moved`` have shape (prompts, signals)."""
    groups, offset = own_group.shape[0], parameters.offset[: program.signals]
    encoder = Encoder(program.activation, parameters.activation_parameter, offset)
    feature, gamma = jax.vmap(encoder.__call__)(pre), moved[:, 1 : 1 + groups]
    others = jnp.full_like(gamma[:, 0], jnp.nan) if groups == 1 else gamma @ (1 - own_group) / (groups - 1)
    return PromptRecord(
        beta=moved[:, 0],
        gamma_own=gamma @ own_group,
        gamma_other=others,
        phi_norm=noise.phi_norm,
        phi_max=noise.phi_max,
        signal=feature[:, 0] + feature[:, 1 : 1 + groups] @ own_group,
        bias=feature[:, 1 + groups] if program.constant_rows else jnp.zeros_like(feature[:, 0]),
        noise_norm_sq=noise.norm_sq,
        band_occupancy=jnp.maximum(jnp.max(jnp.abs(pre) / offset[None, :], axis=1), noise.band_occupancy),
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
