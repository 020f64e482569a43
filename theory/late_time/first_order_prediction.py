"""Ratio and θ* of joint training to first order in n/L, as functions of time (T29, first order).

`theory.late_time.first_order` derives what is evaluated here.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from theory.dynamics import symmetric_ratio
from theory.dynamics.margin_rate import joint_rate, rate_parts
from theory.dynamics.residuals import Accumulated
from theory.dynamics.saturation import margin
from theory.late_time.first_order import relative_gain
from theory.model.federation import EqualClients
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

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_FAR = 30.0
"""Margin beyond which 1 + e^u is e^u in double precision."""


def progress(margin: ArrayLike, noise_share: ArrayLike = 1.0) -> Values:
    """Return ψ(M), from 0 at the start to 1 as t → ∞ (T29, first order).

    Let M ≥ 0 be `margin` and λ `noise_share`, the share of the margin's rate that is noise; they broadcast.

    Raises:
        ValueError: a negative margin, λ outside (0, 1].

    >>> progress([0.0, 2.0, 1000.0]).round(3).tolist()
    [0.0, 0.5, 0.999]
    """
    level, share = np.broadcast_arrays(
        nonnegative("margin", margin), between("noise_share", noise_share, 0, 1, open_low=True)
    )
    near = np.minimum(level, _FAR)[..., None]
    u = near * (1 + _NODES) / 2
    # log (1+e^u)/(1+e^M): the first form cancels for large M, the second for small
    exponent = np.where(
        near > 1,
        np.logaddexp(0, u) - np.logaddexp(0, near),
        np.log1p(np.expm1(u - near) * expit(np.minimum(near, 1))),
    )
    missing = -np.expm1(share[..., None] * exponent) @ _WEIGHTS / 2  # ψ at min(M, 30)
    beyond = level - near[..., 0]
    carried = np.exp(-share * beyond) * (1 - missing) * near[..., 0] - np.expm1(-share * beyond) / share
    return result(np.where(beyond > 0, 1 - carried / np.maximum(level, 1), missing))


def first_order(
    equal: EqualClients, theta: ArrayLike, margin: ArrayLike, noise_share: ArrayLike = 1.0
) -> Values:
    """Return log R − log R₁₄, the first-order effect of overlapping noise under joint training (T29).

    Let `equal` describe the clients, of which only n/L and K matter, θ be `theta`, M the mean-field `margin`
    (infinite for t → ∞) and λ `noise_share`, the share of κ(θ) that is noise; all broadcast.

    Raises:
        ValueError: θ outside [0, 1], a negative margin, λ outside (0, 1].

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=4000, clients=10, samples=20)
    >>> first_order(equal, [0, 1], float("inf")).round(4).tolist()
    [0.025, 0.0025]
    """
    level = between("margin", margin, 0, finite=False)
    ended = np.isinf(level)
    psi = np.where(ended, 1.0, progress(np.where(ended, 1.0, level), noise_share))
    gain = relative_gain(unit_interval("theta", theta), equal.clients, psi)
    return result(equal.samples / equal.noise_dim * gain)


def predicted_ratio(
    equal: EqualClients, theta: ArrayLike, step: ArrayLike, learning_rate: ArrayLike
) -> Values:
    """Return the ratio R of joint training after t steps, to first order in n/L (T29).

    Let `equal` describe the clients, θ be `theta`, t `step` and η `learning_rate`; all broadcast.

    Raises:
        ValueError: θ outside [0, 1], a negative step, a learning rate that is not positive.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10)
    >>> predicted_ratio(equal, [0, 1], 0, 0.01).round(4).tolist()
    [1.5021, 1.5811]
    """
    rate = joint_rate(equal, theta)
    scaled = positive("learning_rate", learning_rate) * nonnegative("step", step) * rate
    # the ratio of T14 is the same for every τ that both prompts share
    shared = Accumulated(np.float64(1), np.float64(1))
    start = symmetric_ratio.predicted_ratio(equal, "joint", theta, shared)
    gain = first_order(equal, theta, margin(scaled), rate_parts(equal, theta).noise / rate)
    return result(start * np.exp(gain))


def best_mixing(equal: EqualClients, step: float, learning_rate: float) -> float:
    """Return θ* of joint training after t steps, to first order in n/L (T29), to about 1e-6.

    The arguments are those of `predicted_ratio`, without θ; scalars.

    Raises:
        ValueError: as `predicted_ratio`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=4000, clients=4, samples=10)
    >>> round(best_mixing(equal, 0, 0.01), 3), round(best_mixing(equal, 1000, 0.01), 3)
    (0.433, 0.431)
    """

    def values(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(predicted_ratio(equal, theta, step, learning_rate))

    return float(maximise_over_mixing(values).place)
