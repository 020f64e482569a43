"""(T17, T19): early in training, θ* depends on K, χ and b/a alone."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.mixing_sweep import mixing_sweep
from theory.mixing.leading_advantage import optimal_ratio_squared_leading

CLAIM = Claim(
    name="leading_order",
    equation="T17, T19",
    provenance="derived",
    title="Optimal mixing to leading order",
    statement="After the first steps θ*/(1−θ*) = b(1−χ/K)/((K−1)a+(χ−1)b), whatever n, L, σ_p and e; there is"
    " a strict advantage if and only if χ < K and (K−1)a+(χ−1)b > 0.",
    bound="asymptotic",
    figure="mixing_curves",
    bears_on=("beats_both", "closed_form"),
    cost=4,
    together="mixing_sweep",
)


def collect(scale: Scale) -> xr.Dataset:
    """The sweep over K, χ, b/a and what should not matter, with the best ratio of (T19) beside the measured one."""
    data = mixing_sweep(scale).copy()
    ends = data.ratio_predicted.transpose("setting", "theta").values[:, [0, -1]]
    ratio_global, ratio_local = ends.T
    inside = np.sqrt(optimal_ratio_squared_leading(ratio_global, ratio_local, data.clients.values))
    best = np.where(data.advantage_predicted, inside, ends.max(axis=1))
    data["ratio_best_predicted"] = ("setting", best)
    data["ratio_best"] = data.ratio.mean("seed", skipna=False).max("theta", skipna=False)
    return data


def judge(data: xr.Dataset) -> Finding:
    """θ* within 0.02 of the prediction, best ratio within 2 %, and advantage exactly where predicted."""
    return Finding(
        CLAIM,
        (
            compare(
                "θ* after one small step",
                data.theta_empirical,
                data.theta_predicted,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "best ratio of a mixture, relative to (T19)",
                data.ratio_best / data.ratio_best_predicted,
                1,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "gain in accuracy where a strict advantage is predicted",
                _gains(data, predicted=True),
                1e-4,
                bound="lower",
                tolerance=0,
            ),
            compare(
                "gain in accuracy where none is predicted",
                _gains(data, predicted=False),
                5e-4,
                bound="upper",
                tolerance=0,
            ),
        ),
        assumptions.measured(
            data,
            linear_band=True,
            near_orthogonal=assumptions.NEAR_ORTHOGONAL,
            step=0.1,
            equal_group_sizes=True,
        ),
    )


def _gains(data: xr.Dataset, predicted: bool) -> np.ndarray:
    """Gains where a strict advantage is predicted, or where none is.

    The sweep has settings of both kinds. A prediction without both kinds is wrong: a missing value fails.
    """
    gains = data.advantage.values[data.advantage_predicted.values == predicted]
    return gains if gains.size else np.full(1, np.nan)
