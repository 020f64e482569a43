"""The best mixing of every client after any training (T14 maximised).

T20, T21 and T22 give θ* in closed form for equal clients or a small step; for unequal clients after a longer
training, and for the detached scheme, it is found by maximising the predicted ratio, a function of one number.
"""

import numpy as np
from numpy.typing import NDArray

from theory.extensions.prediction import predict
from theory.model.federation import Federation
from theory.model.schemes import TrainingScheme
from theory.numerics.maximise import maximise_over_mixing


def best_mixing(
    federation: Federation, scheme: TrainingScheme, rounds: int, learning_rate: float, local_steps: int = 1
) -> NDArray[np.float64]:
    """Return the θ in [0, 1] with the largest predicted accuracy, for every client, to about 1e-6 (T14, T26, T27).

    Let `federation` describe the clients, and let the number of rounds be `rounds` (at least 1), η `learning_rate`
    and E `local_steps`. Tests have correct labels and the client's class prior.

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
        # without a bias accuracy grows with the ratio, which does not level off at 1
        return found.accuracy[0] if federation.prior_feature_sq > 0 else found.ratio[0]

    return maximise_over_mixing(values)
