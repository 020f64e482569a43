"""Claims and what became of them: the vocabulary of `paper_checks.md`.

A claim pairs a theory result with a simulated measurement. Its verdict follows from its comparisons alone, and
only where its assumptions were found to hold in that run.
"""

import dataclasses
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

Provenance = Literal["paper", "code", "derived"]
Bound = Literal["exact", "upper", "lower", "asymptotic", "statistical"]
Verdict = Literal["holds", "fails", "not applicable"]
Scale = Literal["quick", "full"]


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
            lower (an inequality), asymptotic (equal in a stated limit), statistical (equal up to sampling error).
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
    """A condition of the claim, as measured in the run: it holds while ``value`` <= ``limit``."""

    name: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the condition was met; a value that is not a number does not meet it."""
        return bool(self.value <= self.limit)

    def describe(self) -> str:
        """One phrase: what was measured, against which limit, and by what factor."""
        factor = self.limit / self.value if self.value > 0 else np.inf
        outcome = f"holds, factor {factor:.3g}" if self.holds else f"violated by factor {1 / factor:.3g}"
        return f"{self.name} = {self.value:.3g} ≤ {self.limit:.3g} ({outcome})"


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
    """

    what: str
    bound: Bound
    points: int
    measured: float
    predicted: float
    tolerance: float
    deviation: float

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
        return 1 - self.deviation / self.tolerance if self.tolerance > 0 else -float(self.deviation > 0)


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
    what: str, measured: ArrayLike, predicted: ArrayLike, *, bound: Bound, tolerance: ArrayLike
) -> Comparison:
    """Compare two arrays (broadcast together) and keep their worst point.

    Args:
        what: the quantity, in words.
        measured: simulated values, any shape.
        predicted: the theory's values.
        bound: how they should relate.
        tolerance: allowed deviation, absolute, broadcast with the values.

    Raises:
        ValueError: when there is nothing to compare, or a tolerance is negative.

    Example:
        >>> compare("slope", [1.0, 2.1], [1.0, 2.0], bound="exact", tolerance=0.2).measured
        2.1
        >>> compare("slope", [1.0, float("nan")], [1.0, 2.0], bound="exact", tolerance=0.2).holds
        False
    """
    values = np.broadcast_arrays(*(np.asarray(part, float) for part in (measured, predicted, tolerance)))
    measured, predicted, tolerance = (part.ravel() for part in values)
    if measured.size == 0 or not np.all(tolerance >= 0):
        raise ValueError(f"{what}: {measured.size} points, tolerances {tolerance}")
    difference = measured - predicted
    deviation = {"upper": difference, "lower": -difference}.get(bound, np.abs(difference))
    # Ranked by the room left, in the units of `Comparison.margin`.
    scale = _larger_side(measured, predicted) if bound in ("upper", "lower") else tolerance
    with np.errstate(divide="ignore", invalid="ignore"):
        strain = np.where(deviation == 0, 0, deviation / scale)
    worst = int(np.argmax(np.where(np.isnan(strain), np.inf, strain)))
    return Comparison(
        what,
        bound,
        measured.size,
        float(measured[worst]),
        float(predicted[worst]),
        float(tolerance[worst]),
        float(deviation[worst]),
    )


def _larger_side(measured: ArrayLike, predicted: ArrayLike) -> Any:
    return np.maximum(np.maximum(np.abs(measured), np.abs(predicted)), np.finfo(float).tiny)
