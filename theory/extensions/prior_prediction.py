"""Predicted accuracy and best mixing with unequal class priors (numbers of T27).

`theory.extensions.class_priors` derives what they rest on: with a constant coordinate the two classes are two
types of samples, which the mean field T12 and the ratio T14 know how to treat.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import mean_field, predicted_ratio
from theory.dynamics.sample_types import SampleTypes
from theory.extensions.class_priors import accuracy_with_bias
from theory.mixing.tangency import TrainingScheme
from theory.numerics.maximise import maximise_over_mixing
from theory.numerics.validation import ArrayLike, unit_interval


class Prediction(NamedTuple):
    """Every client's mixture, shape (rounds, thetas, clients): R, B/v (both in units of the risk) and accuracy."""

    ratio: NDArray[np.float64]
    bias: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def sample_types(class_prior: ArrayLike) -> SampleTypes:
    """Return the types y = +1 and y = −1 for the mean field (T12).

    On relevant features the label times the feature is 1 for both; on the constant coordinate it is the label. Let
    π_k be `class_prior`, shape (clients,): the chance of y = +1, or the share that a client's data realised.

    Raises:
        ValueError: π outside [0, 1], or not one for each client.

    >>> sample_types([0.9, 0.5]).shared_signs.tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    """
    share = unit_interval("class_prior", class_prior)
    if share.ndim != 1:
        raise ValueError(f"`class_prior` has shape {share.shape}; allowed: (clients,)")
    return SampleTypes(np.stack([share, 1 - share], axis=1), np.array([[1.0, 1], [1, -1]]), np.ones((2, 1)))


def predict(
    rounds: Sequence[int],
    theta: ArrayLike,
    learning_rate: float,
    *,
    class_prior: ArrayLike,
    positive_share: ArrayLike | None = None,
    prior_feature_sq: float,
    scheme: TrainingScheme,
    global_feature_sq: float,
    local_feature_sq: float,
    noise_feature_sq: float,
    noise_std: float,
    noise_dim: float,
    sample_counts: ArrayLike,
    groups: ArrayLike,
) -> Prediction:
    """Return ratio, bias and accuracy of every client's mixture (T27: T12 and T14 with a type for each class).

    Let π_k be `class_prior`, with which a client's data are drawn and tested, `positive_share` what its training
    data realised of it (the prior itself by default), both of shape (clients,), c_0 `prior_feature_sq`, e
    `noise_feature_sq`, σ_p `noise_std` and L `noise_dim`; the other arguments are those of
    `mean_field.accumulated`.

    Raises:
        ValueError: as `sample_types`, `mean_field.accumulated` and `predicted_ratio.predicted_ratio`.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                sample_counts=[10, 10], groups=[0, 1], scheme="posthoc")
    >>> found = predict([1], [0.0, 1.0], 1e-6, class_prior=[0.9, 0.5], prior_feature_sq=2, **letters)
    >>> found.bias.round(3).tolist()
    [[[0.179, 0.179], [0.253, 0.0]]]
    """
    prior = unit_interval("class_prior", class_prior)
    federation: dict[str, Any] = {
        "scheme": scheme,
        "global_feature_sq": (global_feature_sq, prior_feature_sq),
        "local_feature_sq": local_feature_sq,
        "sample_counts": sample_counts,
        "groups": groups,
        "types": sample_types(prior if positive_share is None else positive_share),
    }
    energy = noise_dim * noise_std**2 * noise_feature_sq
    tau = mean_field.accumulated(rounds, theta, learning_rate, noise_energy=energy, **federation)
    by_class = predicted_ratio.predicted_ratio(
        np.atleast_1d(theta),
        tau_global=tau.global_prompt,
        tau_local=tau.local_prompt,
        noise_feature_sq=noise_feature_sq,
        noise_std=noise_std,
        noise_dim=noise_dim,
        **federation,
    )
    # a fresh sample with y = ±1 has the ratio (s ± B)/v
    ratio, bias = by_class.mean(axis=-1), (by_class[..., 0] - by_class[..., 1]) / 2
    return Prediction(ratio, bias, np.asarray(accuracy_with_bias(ratio, bias, prior)))


def best_mixing(
    scheme: TrainingScheme, rounds: int, learning_rate: float, *, class_prior: ArrayLike, **letters_of: Any
) -> NDArray[np.float64]:
    """Return the θ in [0, 1] with the largest predicted accuracy, for every client, to about 1e-6 (T27).

    The arguments are those of `predict`, with one number of rounds.

    Raises:
        ValueError: as `predict`.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                sample_counts=[10, 10], groups=[0, 1], prior_feature_sq=2)
    >>> best_mixing("posthoc", 1, 1e-6, class_prior=[0.5, 0.5], **letters).round(3).tolist()
    [0.538, 0.538]
    >>> best_mixing("posthoc", 1, 1e-6, class_prior=[0.9, 0.5], **letters).round(3).tolist()
    [0.57, 0.56]
    """

    def values(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return predict(
            [rounds], theta, learning_rate, scheme=scheme, class_prior=class_prior, **letters_of
        ).accuracy[0]

    return maximise_over_mixing(values)
