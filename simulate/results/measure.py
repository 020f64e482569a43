"""What is recorded per client: coefficients, moments, signal-to-noise ratio, loss and exact accuracy.

Records are float64 whatever the arithmetic of the run: ‖H_ξ‖² of a float32 prompt need not fit float32.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from simulate.experiment import Experiment
from simulate.model.schemes import mix
from simulate.results.snapshot import NoiseMoments, Scaled, Snapshot


class PromptRecord(NamedTuple):
    """Prompts, evaluated for each client; every field has shape (…, clients, 2): global, local.

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

    beta: np.ndarray
    gamma_own: np.ndarray
    gamma_other: np.ndarray
    phi_norm: np.ndarray
    phi_max: np.ndarray
    signal: np.ndarray
    bias: np.ndarray
    noise_norm_sq: np.ndarray
    band_occupancy: np.ndarray


class PredictorRecord(NamedTuple):
    """Predictors (a prompt alone, or the mixture) on their clients; fields of one shape.

    Attributes:
        ratio: R = s / (σ_p ‖H_ξ‖), signal-to-noise ratio (T7); 0 before anything is learned, when both are 0, and
            ±inf where a signal was learned and no noise memorised.
        accuracy: exact accuracy on fresh samples: Φ(R) (T7), or with a bias B and the client's class prior
            π Φ((s+B)/(σ_p ‖H_ξ‖)) + (1−π) Φ((s−B)/(σ_p ‖H_ξ‖)) (T27).
        training_loss: mean logistic loss on the client's own samples, in nats.
        margin_mean: mean training margin y f(g), y the label that the loss is told.
        margin_spread: largest minus smallest training margin.
    """

    ratio: np.ndarray
    accuracy: np.ndarray
    training_loss: np.ndarray
    margin_mean: np.ndarray
    margin_spread: np.ndarray


class Measurement(NamedTuple):
    """All that is recorded, with leading axes (seeds, trainings, records).

    Attributes:
        prompts: fields of shape (…, clients, 2): global, local.
        singles: each prompt as a predictor of its own; fields of shape (…, clients, 2).
        mixtures: the mixture at every θ that a training is measured at; fields of shape (…, thetas, clients).
        noise_inner: ⟨H_G,ξ , H_L,ξ⟩; shape (…, clients).
    """

    prompts: PromptRecord
    singles: PredictorRecord
    mixtures: PredictorRecord
    noise_inner: np.ndarray


def measure(
    experiment: Experiment, snapshot: Snapshot, trained: Float[np.ndarray, " trainings"]
) -> Measurement:
    """Compute what is recorded from snapshots.

    Signal and squared noise norm of a mixture follow exactly from its parts, for every σ: the first is linear
    and the second quadratic in θ.

    Args:
        experiment: whose prompts they are.
        snapshot: NumPy arrays with leading axes (seeds, trainings, records).
        trained: θ of every training: what it is measured at, too, unless it is one for all θ.
    """
    snapshot = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), snapshot)
    # What is not finite is refused by its name, where all records pass (`simulate.results.finite_records`).
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _measure(experiment, snapshot, trained)


def _measure(
    experiment: Experiment, snapshot: Snapshot, trained: Float[np.ndarray, " trainings"]
) -> Measurement:
    prompts = _prompt_record(experiment, snapshot)
    margins = np.moveaxis(_margins(snapshot.margins), -3, -2)  # (…, clients, 2, samples)
    norm, cosine = _noise_norms(snapshot.noise)
    # Behind the leading axes, what belongs to a mixture has the axes (thetas, clients).
    measured = np.asarray(experiment.theta)[None, :] if experiment.trained_once else trained[:, None]
    theta = measured[None, :, None, :, None]
    signals, biases, norms = (
        np.moveaxis(values, -1, 0)[..., None, :] for values in (prompts.signal, prompts.bias, norm)
    )
    samples = margins[..., None, :, :, :]
    mixtures = _predictor_record(
        experiment,
        mix(theta, *signals),
        mix(theta, *biases),
        length_of_sum((1 - theta) * norms[0], theta * norms[1], cosine[..., None, :]),
        mix(theta[..., None], samples[..., 0, :], samples[..., 1, :]),
        client_axis=-1,
    )
    singles = _predictor_record(experiment, prompts.signal, prompts.bias, norm, margins, client_axis=-2)
    return Measurement(prompts, singles, mixtures, cosine * norm[..., 0] * norm[..., 1])


def _margins(margins: Scaled) -> np.ndarray:
    """Margins of shape (…, 2, clients, samples), from values of that shape and scales (…, prompts)."""
    scale = np.broadcast_to(margins.scale[..., None, :1], margins.value.shape[:-1]).copy()
    scale[..., 1, :] = margins.scale[..., 1:]
    return scale[..., None] * margins.value


def _noise_norms(noise: NoiseMoments) -> tuple[np.ndarray, np.ndarray]:
    """‖H_ξ‖ of the global and the own prompt for every client, (…, clients, 2), and the cosine between the two."""

    def pair(values: np.ndarray) -> np.ndarray:
        own = values[..., 1:]
        return np.stack([np.broadcast_to(values[..., :1], own.shape), own], axis=-1)

    lengths = pair(noise.norm.value)
    product = lengths[..., 0] * lengths[..., 1]
    cosine = noise.inner / np.where(product == 0, 1, product)
    return pair(noise.norm.scale) * lengths, cosine


def length_of_sum(first: np.ndarray, second: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Length of the sum of two vectors, from their lengths and the cosine of the angle between them.

    Example:
        >>> (length_of_sum(np.array([3e200]), np.array([4e200]), np.array([0.0])) / 1e200).round(9).tolist()
        [5.0]
    """
    longer = np.maximum(first, second)
    divisor = np.where(longer == 0, 1, longer)
    first, second = first / divisor, second / divisor
    # Rounding can leave a tiny negative square where the parts cancel.
    return longer * np.sqrt(np.maximum(first**2 + 2 * first * second * cosine + second**2, 0))


def _prompt_record(experiment: Experiment, snapshot: Snapshot) -> PromptRecord:
    moved, features, noise = snapshot.moved, snapshot.features, snapshot.noise
    groups, clients = experiment.group_count, experiment.clients
    own = np.equal.outer(np.arange(groups), experiment.groups).astype(moved.dtype)

    def of_client(values: np.ndarray) -> np.ndarray:
        """From values of every prompt (axis −2) for every client (axis −1), the global and the own prompt's."""
        return np.stack([values[..., 0, :], np.einsum("...kk->...k", values[..., 1:, :])], axis=-1)

    def alike(values: np.ndarray) -> np.ndarray:
        """From values of every prompt (last axis), equal for all clients, the global and the own prompt's."""
        return of_client(np.broadcast_to(values[..., None], (*values.shape, clients)))

    gamma, bias = moved[..., 1 : 1 + groups], np.zeros_like(moved[..., 0])
    others = np.full_like(gamma[..., :1], np.nan) if groups == 1 else gamma @ (1 - own) / (groups - 1)
    if experiment.constant_rows:
        bias = features[..., 1 + groups]
    return PromptRecord(
        beta=alike(moved[..., 0]),
        gamma_own=of_client(gamma @ own),
        gamma_other=of_client(np.broadcast_to(others, (*others.shape[:-1], clients))),
        phi_norm=alike(noise.phi_norm.scale * noise.phi_norm.value),
        phi_max=alike(noise.phi_max),
        signal=of_client(features[..., :1] + features[..., 1 : 1 + groups] @ own),
        bias=alike(bias),
        noise_norm_sq=alike((noise.norm.scale * noise.norm.value) ** 2),
        band_occupancy=alike(
            np.maximum(
                snapshot.signal_extent / experiment.signal_offset, noise.extent / experiment.noise_offset
            )
        ),
    )


def _predictor_record(
    experiment: Experiment,
    signal: np.ndarray,
    bias: np.ndarray,
    norm: np.ndarray,
    margins: np.ndarray,
    *,
    client_axis: int,
) -> PredictorRecord:
    """Records of predictors, ``norm`` their ‖H_ξ‖; ``margins`` has one more axis, of samples, at the end."""

    def by_client(values: np.ndarray) -> np.ndarray:
        """Values of all clients, of shape (clients, …), against the predictors' axes."""
        behind = (1,) * (-1 - client_axis)
        return values.reshape(values.shape[0], *behind, *values.shape[1:])

    counts = np.asarray(experiment.samples)
    present = by_client(np.arange(counts.max()) < counts[:, None])
    weights = np.where(present, by_client(1 / counts[:, None]), 0).astype(margins.dtype)
    risk = experiment.noise_std * norm
    ratio = signal_to_noise(signal, risk)
    if experiment.constant_rows:
        prior = by_client(np.asarray(experiment.class_prior, signal.dtype))
        accuracy = _accuracy_with_bias(signal, bias, risk, prior)
    else:
        # Without a constant coordinate the prior plays no role: both classes have the same error.
        accuracy = ndtr(ratio)
    largest = np.max(np.where(present, margins, -np.inf), axis=-1)
    smallest = np.min(np.where(present, margins, np.inf), axis=-1)
    return PredictorRecord(
        ratio=ratio,
        accuracy=accuracy,
        training_loss=np.sum(weights * np.logaddexp(0, -margins), axis=-1),
        margin_mean=np.sum(weights * margins, axis=-1),
        margin_spread=largest - smallest,
    )


def signal_to_noise(signal: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """signal/risk; 0 before anything is learned, when both are 0, and NaN where the risk is infinite.

    An infinite risk has left the numbers: as a ratio it would be the 0 that says that nothing was learned.

    Example:
        >>> signal_to_noise(np.array([0.0, 1.0, 1.0, -1.0]), np.array([0.0, np.inf, 0.0, 2.0])).tolist()
        [0.0, nan, inf, -0.5]
    """
    nothing = (signal == 0) & (risk == 0)
    with np.errstate(divide="ignore"):
        ratio = np.where(nothing, 0, signal / np.where(nothing, 1, risk))
    return np.where(np.isinf(risk), np.nan, ratio)


def _accuracy_with_bias(
    signal: np.ndarray, bias: np.ndarray, risk: np.ndarray, class_prior: np.ndarray
) -> np.ndarray:
    """Each class is classified correctly with chance Φ((s ± B)/risk); its share is the client's prior."""
    positive, negative = (ndtr(signal_to_noise(signal + side * bias, risk)) for side in (1, -1))
    return class_prior * positive + (1 - class_prior) * negative
