"""Predicted ratios and best mixings under partial participation (numbers of T28).

`theory.extensions.participation` derives what they rest on: in the mean over draws a local prompt advances a
share r as fast.
"""

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import detached, saturation, symmetric_ratio
from theory.dynamics.detached import Accumulated
from theory.dynamics.margin_rate import global_rate, local_rate
from theory.extensions.participation import joint_rate
from theory.mixing.tangency import TrainingScheme
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
    scheme: TrainingScheme,
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    *,
    participation: ArrayLike,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_energy: ArrayLike,
    samples: ArrayLike,
    clients: ArrayLike,
    group_size: ArrayLike,
) -> Accumulated:
    """Return the mean accumulated residuals (τ_G, τ_L) after t rounds of one step each (T28).

    Let r be `participation`, θ `theta`, t `step` and η `learning_rate`; the other arguments are those of
    `margin_rate.global_rate`, and all broadcast. Joint and post-hoc come in closed form, the detached scheme by
    iteration over whole steps (cost proportional to the largest step).

    Raises:
        ValueError: r outside (0, 1], θ outside [0, 1], a negative step, an unknown scheme, and as
        `margin_rate.global_rate`.

    >>> tau = accumulated("joint", 0.5, 100, 0.001, participation=0.5, global_feature_sq=3, local_feature_sq=7,
    ...                   noise_energy=400, samples=10, clients=4, group_size=1)
    >>> float(tau.local_prompt / tau.global_prompt)
    0.5
    """
    energies = {
        "global_feature_sq": global_feature_sq,
        "local_feature_sq": local_feature_sq,
        "noise_energy": noise_energy,
        "samples": samples,
    }
    k_global, k_local = (
        global_rate(**energies, clients=clients, group_size=group_size),
        local_rate(**energies),
    )
    mixing, share, t, eta, k_global, k_local = np.broadcast_arrays(
        unit_interval("theta", theta),
        between("participation", participation, 0, 1, open_low=True),
        nonnegative("step", step),
        positive("learning_rate", learning_rate),
        k_global,
        k_local,
    )
    if scheme == "joint":
        rate = joint_rate(mixing, share, k_global, k_local)
        tau_global = saturation.accumulated(eta * rate * t, rate)
        return Accumulated(result(tau_global), result(share * tau_global))
    if scheme == "posthoc":
        return Accumulated(
            saturation.accumulated(eta * k_global * t, k_global),
            saturation.accumulated(eta * k_local * share * t, k_local),
        )
    if scheme != "detached":
        raise ValueError(f"`scheme` is {scheme!r}; allowed: 'joint', 'posthoc', 'detached'")
    return detached.accumulated(mixing, t, eta, rate_global=k_global, rate_local=k_local, participation=share)


def predicted_ratio(
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    *,
    scheme: TrainingScheme,
    participation: ArrayLike,
    **letters_of: ArrayLike,
) -> Values:
    """Return the mixture's predicted ratio after t rounds of partial participation (T28 in T14).

    Let r be `participation`, t `step`, η `learning_rate` and θ `theta`; the other arguments are those of
    `symmetric_ratio.predicted_ratio`, and all broadcast.

    Raises:
        ValueError: as `accumulated` and `symmetric_ratio.predicted_ratio`.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                clients=4, samples=10, group_size=1)
    >>> predicted_ratio([0, 1], 10, 0.001, scheme="posthoc", participation=0.5, **letters).round(4).tolist()
    [1.5021, 1.5811]
    """
    noise = {name: np.asarray(letters_of[name]) for name in ("noise_feature_sq", "noise_std", "noise_dim")}
    energy = noise["noise_dim"] * noise["noise_std"] ** 2 * noise["noise_feature_sq"]
    others = {name: value for name, value in letters_of.items() if name not in noise}
    tau = accumulated(
        scheme, theta, step, learning_rate, participation=participation, noise_energy=energy, **others
    )
    return symmetric_ratio.predicted_ratio(
        theta,
        scheme=scheme,
        tau_global=tau.global_prompt,
        tau_local=tau.local_prompt,
        **letters_of,
    )


def best_mixing(
    scheme: TrainingScheme,
    step: int,
    learning_rate: float,
    *,
    participation: float,
    **letters_of: float,
) -> float:
    """Return the θ in [0, 1] with the largest predicted ratio after t rounds, to about 1e-6 (T28).

    The arguments are scalars: those of `predicted_ratio`.

    Raises:
        ValueError: as `predicted_ratio`.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=4, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                clients=4, samples=10, group_size=1)
    >>> round(best_mixing("joint", 50, 0.001, participation=0.25, **letters), 3)
    0.536
    """

    def values(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(
            predicted_ratio(
                theta, step, learning_rate, scheme=scheme, participation=participation, **letters_of
            )
        )

    return float(maximise_over_mixing(values))
