"""The best mixing of every client after any training (T14 maximised).

T20, T21 and T22 give θ* in closed form for equal clients or a small step; for unequal clients after a longer
training, and for the detached scheme, it is found by maximising the predicted ratio, a function of one number.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import mean_field
from theory.dynamics.predicted_ratio import predicted_ratio
from theory.dynamics.sample_types import SampleTypes
from theory.mixing.tangency import TrainingScheme
from theory.numerics.maximise import maximise_over_mixing
from theory.numerics.validation import ArrayLike, between, positive


def best_mixing(
    scheme: TrainingScheme,
    rounds: int,
    learning_rate: float,
    *,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_feature_sq: float,
    noise_std: float,
    noise_dim: float,
    sample_counts: ArrayLike,
    groups: ArrayLike,
    local_steps: int = 1,
    types: SampleTypes | None = None,
) -> NDArray[np.float64]:
    """Return the θ in [0, 1] with the largest predicted ratio, for every client (T12, T14).

    Good to about 1e-6. Let the number of rounds be `rounds` (at least 1), η `learning_rate` and E
    `local_steps`; the other arguments are those of `predicted_ratio`.

    Returns:
        Array of shape (clients,), or (clients, types) if `types` is given.

    Raises:
        ValueError: as `mean_field.accumulated` and `predicted_ratio`.

    >>> best_mixing("joint", 1, 1e-6, global_feature_sq=8, local_feature_sq=14, noise_feature_sq=1, noise_std=1,
    ...             noise_dim=6000, sample_counts=[6, 10, 20, 40], groups=[0, 1, 0, 2]).round(3).tolist()
    [0.204, 0.324, 0.37, 0.49]
    """
    federation: dict[str, Any] = {
        "scheme": scheme,
        "global_feature_sq": global_feature_sq,
        "local_feature_sq": local_feature_sq,
        "sample_counts": sample_counts,
        "groups": groups,
        "types": types,
    }
    energy = between("noise_dim", noise_dim, 1) * positive("noise_std", noise_std) ** 2
    energy = energy * positive("noise_feature_sq", noise_feature_sq)
    count = int(between("rounds", rounds, 1))

    def values(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        tau = mean_field.accumulated(
            [count], theta, learning_rate, noise_energy=float(energy), local_steps=local_steps, **federation
        )
        return predicted_ratio(
            theta,
            tau_global=tau.global_prompt[0],
            tau_local=tau.local_prompt[0],
            noise_feature_sq=noise_feature_sq,
            noise_std=noise_std,
            noise_dim=noise_dim,
            **federation,
        )

    return maximise_over_mixing(values)
