"""Measured against predicted: how two arrays compare, at the worst of their points."""

import dataclasses
import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from theory.proof.bounds import Bound

DETECTION_POWER = 0.99
"""Power at which the deviation that a test detects is stated."""


@dataclasses.dataclass(frozen=True)
class StatisticalTest:
    """How sampling error was told from a difference.

    Attributes:
        name: the test.
        sample_size: observations behind each point.
        false_alarm: chance that the comparison fails although the claim is true, all its points together.
        detectable: deviation that the worst point would have shown with chance `DETECTION_POWER`, in the units of
            the comparison; NaN where it is not known.

    Raises:
        ValueError: false_alarm is NaN.
    """

    name: str
    sample_size: int
    false_alarm: float
    detectable: float

    def __post_init__(self) -> None:
        if math.isnan(self.false_alarm):
            raise ValueError(f"{self.name}: false_alarm = {self.false_alarm}; allowed: a number")

    def describe(self) -> str:
        """One phrase for the report."""
        detects = (
            f"detects a deviation of {self.detectable:.2g} with {100 * DETECTION_POWER:g} % power"
            if math.isfinite(self.detectable)
            else "which deviation it detects is not known"
        )
        return (
            f"{self.name}, {self.sample_size} observations a point, false alarm {self.false_alarm:.1e} in all,"
            f" {detects}"
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Measured against predicted at many points, reported at the worst of them.

    Attributes:
        what: the quantity, in words.
        bound: as in `promptfolio.checks.claim.Claim`, except "sandwich", which is one comparison with the lower and
            one with the upper bound; a claim may compare several quantities in different ways.
        points: number of points compared.
        measured, predicted: values at the worst point.
        tolerance: largest |measured − predicted| allowed there; for an inequality, the rounding allowed beyond it.
        deviation: measured − predicted, taken as the bound reads it: its absolute value for a
            two-sided bound, the excess over an upper bound, the shortfall below a lower one.
        test: the test of a comparison that sampling error enters.
    """

    what: str
    bound: Bound
    points: int
    measured: float
    predicted: float
    tolerance: float
    deviation: float
    test: StatisticalTest | None = None

    def __post_init__(self) -> None:
        if self.bound == "sandwich":
            raise ValueError(
                f"{self.what}: bound = 'sandwich'; allowed: one comparison with bound 'lower' and one with 'upper'"
            )
        if self.bound == "statistical" and self.test is None:
            raise ValueError(f"{self.what}: a statistical comparison states its test")

    @property
    def is_count(self) -> bool:
        """Whether no deviation at all is allowed: a count that is met or missed, and has no slack between."""
        return self.tolerance == 0 and self.bound not in ("upper", "lower")

    @property
    def holds(self) -> bool:
        """Whether every point is within tolerance; a deviation that is NaN or infinite is not."""
        return bool(self.deviation <= self.tolerance and self.deviation < math.inf)

    @property
    def slack(self) -> float:
        """How far the worst point is from failing; negative once it fails.

        Two-sided bounds: the share of the tolerance left over (1: none of it was used). Inequalities: the gap
        between the two sides plus the rounding allowed, relative to the larger side (or to that rounding, if
        neither side exceeds it); 1 or −1 where a side is infinite. A count that has no tolerance: 1 where it is
        met, −1 where it is missed. Never NaN: a comparison with NaN is minus infinity from holding.
        """
        # Python's own numbers: NumPy's would warn where a quotient overflows.
        deviation, tolerance = float(self.deviation), float(self.tolerance)
        if math.isnan(deviation):
            return -math.inf
        if self.bound in ("upper", "lower"):
            larger = float(_larger_side(self.measured, self.predicted, tolerance))
            if math.isinf(larger):
                return 1.0 if self.holds else -1.0
            return (tolerance - deviation) / larger
        if self.is_count:
            return 1.0 if deviation == 0 else -1.0
        if math.isinf(deviation):
            return -math.inf
        return 1 - deviation / tolerance


def compare(
    what: str,
    measured: ArrayLike,
    predicted: ArrayLike,
    *,
    bound: Bound,
    tolerance: ArrayLike,
    test: StatisticalTest | None = None,
) -> Comparison:
    """Compare two arrays (broadcast together) and keep their worst point.

    Args:
        what: the quantity, in words.
        measured: simulated values, any shape.
        predicted: the theory's values.
        bound: how they should relate.
        tolerance: allowed deviation, absolute, broadcast with the values.
        test: behind a statistical bound (`promptfolio.checks.significance` makes those), or behind an inequality
            between means.

    Raises:
        ValueError: when there is nothing to compare, or a tolerance is negative.

    Example:
        >>> compare("slope", [1.0, 2.1], [1.0, 2.0], bound="exact", tolerance=0.2).measured
        2.1
        >>> compare("slope", [1.0, float("nan")], [1.0, 2.0], bound="exact", tolerance=0.2).holds
        False
        >>> compare("slope", [1.0, 9.0], [0.9, 8.5], bound="upper", tolerance=[0.2, 0.1]).measured
        9.0
    """
    values = np.broadcast_arrays(*(np.asarray(part, float) for part in (measured, predicted, tolerance)))
    measured, predicted, tolerance = (part.ravel() for part in values)
    if measured.size == 0 or not np.all(tolerance >= 0):
        raise ValueError(f"{what}: {measured.size} points, tolerances {tolerance}")
    worst = worst_point(measured, predicted, tolerance, bound)
    return Comparison(
        what,
        bound,
        measured.size,
        float(measured[worst]),
        float(predicted[worst]),
        float(tolerance[worst]),
        float(_deviation(measured, predicted, bound)[worst]),
        test,
    )


def worst_point(
    measured: Float[np.ndarray, " points"],
    predicted: Float[np.ndarray, " points"],
    tolerance: Float[np.ndarray, " points"],
    bound: Bound,
) -> int:
    """Index of the point that fails, or is closest to failing, of a comparison; arguments as of `compare`."""
    deviation = _deviation(measured, predicted, bound)
    # Points that fail come last, the others in order of the room left, in the units of `Comparison.slack`.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if bound in ("upper", "lower"):
            strain = (deviation - tolerance) / _larger_side(measured, predicted, tolerance)
        else:
            strain = np.where(deviation == 0, 0, deviation / tolerance)
    fails = ~((deviation <= tolerance) & (deviation < np.inf))
    strain = np.where(np.isnan(strain), np.where(fails, np.inf, -np.inf), strain)
    return int(np.lexsort((strain, fails))[-1])


def _deviation(measured: np.ndarray, predicted: np.ndarray, bound: Bound) -> np.ndarray:
    """Measured minus predicted, taken as the bound reads it."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = measured - predicted
    return {"upper": difference, "lower": -difference}.get(bound, np.abs(difference))


def _larger_side(measured: ArrayLike, predicted: ArrayLike, tolerance: ArrayLike) -> Any:
    larger = np.maximum(np.maximum(np.abs(measured), np.abs(predicted)), tolerance)
    return np.maximum(larger, np.finfo(float).tiny)
