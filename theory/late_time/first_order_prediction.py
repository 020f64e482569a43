"""Ratio and θ* of joint training to first order in n/L, as functions of time (T29, first order).

`theory.late_time.first_order` derives what is evaluated here.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from theory.dynamics.margin_rate import joint_rate
from theory.dynamics.saturation import margin
from theory.dynamics.symmetric_ratio import predicted_ratio
from theory.late_time.first_order import numeric
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
    theta: ArrayLike,
    margin: ArrayLike,
    *,
    clients: ArrayLike,
    samples: ArrayLike,
    noise_dim: ArrayLike,
    noise_share: ArrayLike = 1.0,
) -> Values:
    """Return log R − log R₁₄, the first-order effect of overlapping noise under joint training (T29).

    Let θ be `theta`, M the mean-field `margin` (infinite for t → ∞), K `clients`, n `samples` per client, L
    `noise_dim` and λ `noise_share`, the share of κ(θ) that is noise; arguments broadcast.

    Raises:
        ValueError: any argument outside its range.

    >>> first_order([0, 1], float("inf"), clients=10, samples=20, noise_dim=4000).round(4).tolist()
    [0.025, 0.0025]
    """
    level = between("margin", margin, 0, finite=False)
    ended = np.isinf(level)
    psi = np.where(ended, 1.0, progress(np.where(ended, 1.0, level), noise_share))
    load = between("samples", samples, 1) / between("noise_dim", noise_dim, 1)
    return result(load * numeric()(unit_interval("theta", theta), between("clients", clients, 1), psi))


def drift_ratio(
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    *,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_feature_sq: ArrayLike,
    noise_std: ArrayLike,
    noise_dim: ArrayLike,
    clients: ArrayLike,
    samples: ArrayLike,
    group_size: ArrayLike,
) -> Values:
    """Return the ratio R of joint training after t steps, to first order in n/L (T29).

    Let θ be `theta`, t `step`, η `learning_rate`, a `global_feature_sq`, b `local_feature_sq`, e
    `noise_feature_sq`, σ_p `noise_std`, L `noise_dim`, K `clients`, n `samples` and χ `group_size`; arguments
    broadcast.

    Raises:
        ValueError: any argument outside its range.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                clients=4, samples=10, group_size=1)
    >>> drift_ratio([0, 1], 0, 0.01, **letters).round(4).tolist()
    [1.5021, 1.5811]
    """
    length, deviation = between("noise_dim", noise_dim, 1), positive("noise_std", noise_std)
    signals = {"global_feature_sq": global_feature_sq, "local_feature_sq": local_feature_sq}
    federation = {"samples": samples, "clients": clients, "group_size": group_size}
    energy = length * deviation**2 * positive("noise_feature_sq", noise_feature_sq)
    rate = joint_rate(theta, **signals, noise_energy=energy, **federation)
    own_noise = joint_rate(theta, global_feature_sq=0, local_feature_sq=0, noise_energy=energy, **federation)
    scaled = positive("learning_rate", learning_rate) * nonnegative("step", step) * rate
    start = predicted_ratio(
        theta,
        scheme="joint",
        tau_global=1.0,
        tau_local=1.0,
        **signals,
        noise_feature_sq=noise_feature_sq,
        noise_std=noise_std,
        noise_dim=noise_dim,
        **federation,
    )
    gain = first_order(
        theta,
        margin(scaled),
        clients=clients,
        samples=samples,
        noise_dim=length,
        noise_share=own_noise / rate,
    )
    return result(start * np.exp(gain))


def drift_mixing(step: float | int, learning_rate: float, **letters_of: float | int) -> float:
    """Return θ* of joint training after t steps, to first order in n/L (T29), to about 1e-6.

    The arguments are those of `drift_ratio`, without θ; scalars.

    Raises:
        ValueError: as `drift_ratio`.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=4000,
    ...                clients=4, samples=10, group_size=1)
    >>> round(drift_mixing(0, 0.01, **letters), 3), round(drift_mixing(1000, 0.01, **letters), 3)
    (0.433, 0.431)
    """

    def values(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(drift_ratio(theta, step, learning_rate, **letters_of))

    return float(maximise_over_mixing(values))
