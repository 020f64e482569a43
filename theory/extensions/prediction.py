"""Predicted ratio, bias, accuracy and θ* of every client, with label noise and unequal class priors (T26, T27).

`theory.extensions.label_noise` and `theory.extensions.class_priors` derive what they rest on: correct and wrong
labels, and with a constant coordinate the two classes, are types of samples, which the mean field T12 and the ratio
T14 treat.

T20, T21 and T22 give θ* in closed form for equal clients or a small step; for unequal clients after a longer
training, and for the detached scheme, the predicted ratio or, with a bias, the logarithm of the error decides
numerically: an accuracy that rounds to 1 cannot.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics.mean_field import accumulated
from theory.dynamics.predicted_ratio import predicted_ratio
from theory.dynamics.sample_types import population
from theory.extensions.class_priors import accuracy_with_bias, log_error_with_bias
from theory.model.federation import Federation
from theory.model.schemes import TrainingScheme
from theory.numerics.maximise import maximise_over_mixing
from theory.numerics.validation import ArrayLike


class Prediction(NamedTuple):
    """Every client's mixture on fresh samples with correct labels, arrays of shape (rounds, thetas, clients).

    Attributes:
        ratio: R_k.
        bias: B/v, in units of the risk v; 0 without a constant coordinate.
        accuracy: of samples that have the client's class prior.
    """

    ratio: NDArray[np.float64]
    bias: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def predict(
    federation: Federation,
    scheme: TrainingScheme,
    rounds: Sequence[int],
    theta: ArrayLike,
    learning_rate: float,
    local_steps: int = 1,
    positive_share: ArrayLike | None = None,
) -> Prediction:
    """Return ratio, bias and accuracy of every client's mixture (T26, T27: T12 and T14 with several types).

    Let `federation` describe the clients: ε_k is its `label_noise`, π_k its `class_prior` and c_0 its
    `prior_feature_sq`. What the training data realised may take their place: shares of wrong labels as ε_k, and
    shares of y = +1, of shape (clients,), as `positive_share`, while tests keep π_k. The other arguments are those
    of `mean_field.accumulated`.

    Raises:
        ValueError: as `mean_field.accumulated`; shares outside [0, 1], or not one for each client.

    >>> federation = Federation(
    ...     global_feature_sq=3, local_feature_sq=7, noise_dim=400, sample_counts=[10, 10], class_prior=[0.9, 0.5],
    ...     prior_feature_sq=2)
    >>> predict(federation, "posthoc", [1], [0.0, 1.0], 1e-6).bias.round(3).tolist()
    [[[0.179, 0.179], [0.253, 0.0]]]
    """
    trained = federation if positive_share is None else federation.replace(class_prior=positive_share)
    people = population(trained)
    tau = accumulated(people, scheme, rounds, theta, learning_rate, local_steps)
    by_type = predicted_ratio(people, scheme, np.atleast_1d(theta), tau)
    # the first types are those of fresh samples: a constant coordinate gives y = ±1 the ratios (s ± B)/v
    classes = 2 if federation.prior_feature_sq > 0 else 1
    plus, minus = by_type[..., 0], by_type[..., classes - 1]
    ratio, bias = (plus + minus) / 2, (plus - minus) / 2
    return Prediction(ratio, bias, np.asarray(accuracy_with_bias(ratio, bias, federation.class_prior)))


def best_mixing(
    federation: Federation, scheme: TrainingScheme, rounds: int, learning_rate: float, local_steps: int = 1
) -> NDArray[np.float64]:
    """Return the θ in [0, 1] with the largest predicted accuracy, for every client, to about 1e-6 (T14, T26, T27).

    It is found on the ratio, with which accuracy grows, or with a bias on the logarithm of the error; ties are
    those of `maximise_over_mixing`. Let `federation` describe the clients, and let the number of rounds be
    `rounds` (at least 1), η `learning_rate` and E `local_steps`. Tests have correct labels and the client's class
    prior.

    Returns:
        Array of shape (clients,).

    Raises:
        ValueError: as `mean_field.accumulated`.

    >>> federation = Federation(
    ...     global_feature_sq=8, local_feature_sq=14, noise_dim=6000, sample_counts=[6, 10, 20, 40],
    ...     groups=[0, 1, 0, 2])
    >>> best_mixing(federation, "joint", 1, 1e-6).round(3).tolist()
    [0.204, 0.324, 0.37, 0.49]
    >>> best_mixing(federation.replace(prior_feature_sq=8, class_prior=0.9), "joint", 1, 1e-6).round(3).tolist()
    [0.202, 0.303, 0.366, 0.504]
    """

    def values(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        found = predict(federation, scheme, [rounds], theta, learning_rate, local_steps)
        if federation.prior_feature_sq == 0:
            return found.ratio[0]
        return -np.asarray(log_error_with_bias(found.ratio[0], found.bias[0], federation.class_prior))

    return np.asarray(maximise_over_mixing(values).place)
