"""Predicted ratios and best mixings under partial participation (numbers of T28).

`theory.extensions.participation` derives what they rest on: in the mean over draws a local prompt advances a
share r as fast.
"""

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import detached, saturation, symmetric_ratio
from theory.dynamics.margin_rate import global_rate, local_rate
from theory.dynamics.residuals import Accumulated
from theory.extensions.participation import joint_rate
from theory.model.federation import EqualClients
from theory.model.schemes import TrainingScheme
from theory.numerics.maximise import maximise_over_mixing
from theory.numerics.validation import (
    ArrayLike,
    Values,
    between,
    nonnegative,
    positive,
    result,
    unit_interval,
)


def accumulated(
    equal: EqualClients,
    scheme: TrainingScheme,
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    participation: ArrayLike,
) -> Accumulated:
    """Return the mean accumulated residuals (τ_G, τ_L) after t rounds of one step each (T28).

    Let `equal` describe the clients, θ be `theta`, t `step`, η `learning_rate` and r `participation`; all
    broadcast. Joint and post-hoc come in closed form, the detached scheme by iteration over whole steps (cost
    proportional to the largest step).

    Raises:
        ValueError: r outside (0, 1], θ outside [0, 1], a negative step, a learning rate that is not positive, an
            unknown scheme.

    >>> equal = EqualClients(
    ...     global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10, group_size=1)
    >>> tau = accumulated(equal, "joint", 0.5, 100, 0.001, participation=0.5)
    >>> float(tau.local_prompt / tau.global_prompt)
    0.5
    """
    if scheme == "detached":
        return detached.accumulated(equal, theta, step, learning_rate, participation)
    share = between("participation", participation, 0, 1, open_low=True)
    time = positive("learning_rate", learning_rate) * nonnegative("step", step)
    if scheme == "joint":
        rate = joint_rate(equal, theta, share)
        tau_global = saturation.accumulated(time * rate, rate)
        return Accumulated(result(tau_global), result(share * tau_global))
    if scheme != "posthoc":
        raise ValueError(f"`scheme` is {scheme!r}; allowed: 'joint', 'posthoc', 'detached'")
    k_global, k_local, theta = global_rate(equal), local_rate(equal), unit_interval("theta", theta)
    taus = (
        saturation.accumulated(time * k_global, k_global),
        saturation.accumulated(time * share * k_local, k_local),
    )
    shaped = np.broadcast_arrays(*taus, theta)
    return Accumulated(result(shaped[0]), result(shaped[1]))


def predicted_ratio(
    equal: EqualClients,
    scheme: TrainingScheme,
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    participation: ArrayLike,
) -> Values:
    """Return the mixture's predicted ratio after t rounds of partial participation (T28 in T14).

    The arguments are those of `accumulated`.

    Raises:
        ValueError: as `accumulated`.

    >>> equal = EqualClients(
    ...     global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10, group_size=1)
    >>> predicted_ratio(equal, "posthoc", [0, 1], 10, 0.001, participation=0.5).round(4).tolist()
    [1.5021, 1.5811]
    """
    tau = accumulated(equal, scheme, theta, step, learning_rate, participation)
    return symmetric_ratio.predicted_ratio(equal, scheme, theta, tau)


def best_mixing(
    equal: EqualClients, scheme: TrainingScheme, step: int, learning_rate: float, participation: float
) -> float:
    """Return the θ in [0, 1] with the largest predicted ratio after t rounds, to about 1e-6 (T28).

    The arguments are those of `accumulated`, all scalars.

    Raises:
        ValueError: as `accumulated`.

    >>> equal = EqualClients(
    ...     global_feature_sq=3, local_feature_sq=4, noise_dim=400, clients=4, samples=10, group_size=1)
    >>> round(best_mixing(equal, "joint", 50, 0.001, participation=0.25), 3)
    0.536
    """

    def values(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(predicted_ratio(equal, scheme, theta, step, learning_rate, participation))

    return float(maximise_over_mixing(values))
