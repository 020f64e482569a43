"""Claims and what became of them: the vocabulary of `paper_checks.md`.

A claim pairs a theory result with a simulated measurement. Its verdict follows from its comparisons alone, and
only where its assumptions were found to hold in that run.
"""

import dataclasses
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

Provenance = Literal["paper", "code", "derived"]
Bound = Literal["exact", "upper", "lower", "certified", "asymptotic", "statistical"]
Verdict = Literal["holds", "fails", "not applicable"]
Scale = Literal["quick", "full"]

FALSE_ALARM = 1e-5
"""Chance that one statistical comparison fails although its claim is true; a few dozen stay below 1e-3."""
DETECTION_POWER = 0.99
"""Power at which the detectable deviation is stated."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """One statement to be checked.

    Attributes:
        name: slug, equal to the name of the claim's file.
        equation: tag of the equation in the theory, e.g. "T7".
        provenance: who says so: "paper" (stated in its abstract or about its θ figure), "code" (read from
            the authors' released code) or "derived" (in this project, from the model).
        title: a few words.
        statement: the claim in one or two sentences.
        bound: how a measurement may relate to the prediction: exact (equal up to rounding), upper or
            lower (an inequality), certified (proved in interval arithmetic), asymptotic (equal in a stated
            limit), statistical (equal up to sampling error).
        figure: stem of the figure that shows it, or None.
    """

    name: str
    equation: str
    provenance: Provenance
    title: str
    statement: str
    bound: Bound
    figure: str | None = None


@dataclasses.dataclass(frozen=True)
class Assumption:
    """A condition as measured in the run: it holds while ``value`` <= ``limit``.

    An infinite limit says that the claim does not need the condition; it is measured for the record.
    """

    name: str
    value: float
    limit: float = math.inf

    @property
    def holds(self) -> bool:
        """Whether the condition was met; a value that is not a number does not meet it."""
        return bool(self.value <= self.limit)

    def describe(self) -> str:
        """One phrase: what was measured, against which limit, and by what factor."""
        if math.isinf(self.limit):
            return f"{self.name} = {self.value:.3g} (not needed)"
        factor = self.limit / self.value if self.value > 0 else np.inf
        outcome = f"holds, factor {factor:.3g}" if self.holds else f"violated by factor {1 / factor:.3g}"
        return f"{self.name} = {self.value:.3g} ≤ {self.limit:.3g} ({outcome})"


@dataclasses.dataclass(frozen=True)
class StatisticalTest:
    """How sampling error was told from a difference.

    Attributes:
        name: the test.
        sample_size: observations behind each point.
        false_alarm: chance that the comparison fails although the claim is true, all its points together.
        detectable: deviation that the worst point would have shown with chance `DETECTION_POWER`, in the units of
            the comparison.
    """

    name: str
    sample_size: int
    false_alarm: float
    detectable: float

    def describe(self) -> str:
        """One phrase for the report."""
        return (
            f"{self.name}, {self.sample_size} observations a point, false alarm {self.false_alarm:.1e} in all,"
            f" detects a deviation of {self.detectable:.2g} with {100 * DETECTION_POWER:g} % power"
        )


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Measured against predicted at many points, reported at the worst of them.

    Attributes:
        what: the quantity, in words.
        bound: as in `Claim`; one claim may compare several quantities in different ways.
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
        if self.bound == "statistical" and self.test is None:
            raise ValueError(f"{self.what}: a statistical comparison states its test")

    @property
    def holds(self) -> bool:
        """Whether every point is within tolerance; a comparison with NaN does not hold."""
        return bool(self.deviation <= self.tolerance)

    @property
    def margin(self) -> float:
        """How far the worst point is from failing; negative once it fails.

        Two-sided bounds: the share of the tolerance left over. Inequalities: the gap between the two sides plus
        the rounding allowed, relative to the larger side.
        """
        if self.bound in ("upper", "lower"):
            return float((self.tolerance - self.deviation) / _larger_side(self.measured, self.predicted))
        if self.tolerance == 0:
            return 0.0 if self.deviation == 0 else -1.0
        return 1 - self.deviation / self.tolerance


@dataclasses.dataclass(frozen=True)
class Finding:
    """What became of a claim in one run."""

    claim: Claim
    comparisons: tuple[Comparison, ...]
    assumptions: tuple[Assumption, ...] = ()

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError(f"claim {self.claim.name} compared nothing")

    @property
    def verdict(self) -> Verdict:
        """A claim whose assumptions are violated is not applicable, whatever its numbers say."""
        if not all(assumption.holds for assumption in self.assumptions):
            return "not applicable"
        return "holds" if all(comparison.holds for comparison in self.comparisons) else "fails"

    @property
    def worst(self) -> Comparison:
        """The comparison closest to failing, or furthest beyond."""
        return min(self.comparisons, key=lambda comparison: (comparison.holds, comparison.margin))


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
        test: behind a statistical bound, or an inequality between means; `z_test` makes the former.

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
    difference = measured - predicted
    deviation = {"upper": difference, "lower": -difference}.get(bound, np.abs(difference))
    # Points that fail come last, the others in order of the room left, in the units of `Comparison.margin`.
    with np.errstate(divide="ignore", invalid="ignore"):
        if bound in ("upper", "lower"):
            strain = (deviation - tolerance) / _larger_side(measured, predicted)
        else:
            strain = np.where(deviation == 0, 0, deviation / tolerance)
    fails = ~(deviation <= tolerance)
    worst = int(np.lexsort((np.nan_to_num(strain, nan=-np.inf), fails))[-1])
    return Comparison(
        what,
        bound,
        measured.size,
        float(measured[worst]),
        float(predicted[worst]),
        float(tolerance[worst]),
        float(deviation[worst]),
        test,
    )


def z_test(
    what: str,
    measured: ArrayLike,
    predicted: ArrayLike,
    *,
    standard_error: ArrayLike,
    sample_size: int,
    name: str,
    false_alarm: float = FALSE_ALARM,
) -> Comparison:
    """Compare means with their expectation by a two-sided z-test at every point, corrected for their number.

    Args:
        what, measured, predicted: as in `compare`.
        standard_error: of each measured value, broadcast with the values.
        sample_size: observations behind each point.
        name: what was observed and why its mean is nearly normal.
        false_alarm: chance that a true claim fails here, all points together (Bonferroni).

    Example:
        >>> test = z_test("mean", [0.1, -0.2], 0, standard_error=0.1, sample_size=100, name="mean of 100")
        >>> test.holds, round(test.tolerance, 3), round(test.test.detectable, 3)
        (True, 0.456, 0.689)
    """
    points = np.broadcast(*map(np.asarray, (measured, predicted, standard_error))).size
    quantile = float(norm.isf(false_alarm / (2 * max(points, 1))))
    # A run that diverged has no standard error, and no deviation is allowed it: the comparison does not hold.
    error = np.nan_to_num(np.asarray(standard_error, float), nan=0.0)
    test = StatisticalTest(f"two-sided z-test, {name}", sample_size, false_alarm, math.nan)
    found = compare(what, measured, predicted, bound="statistical", tolerance=quantile * error, test=test)
    at_worst = found.tolerance / quantile
    detectable = (quantile + float(norm.ppf(DETECTION_POWER))) * at_worst
    return dataclasses.replace(found, test=dataclasses.replace(test, detectable=detectable))


def _larger_side(measured: ArrayLike, predicted: ArrayLike) -> Any:
    return np.maximum(np.maximum(np.abs(measured), np.abs(predicted)), np.finfo(float).tiny)
