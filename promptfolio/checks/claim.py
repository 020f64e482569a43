"""Claims and what became of them: the vocabulary of `paper_checks.md`.

A claim pairs a result of the theory with a simulated measurement. Its verdict follows from its comparisons alone,
and only where its assumptions were found to hold in that run. Everything that a claim's file needs is here, the
comparisons and tests included.
"""

import dataclasses
import math
from typing import Literal

from promptfolio.checks.comparison import (
    DETECTION_POWER,
    Bound,
    Comparison,
    StatisticalTest,
    compare,
)
from promptfolio.checks.significance import FALSE_ALARM, binomial_test, t_test, welch_degrees
from promptfolio.checks.statements import require_statement

__all__ = [
    "DETECTION_POWER",
    "FALSE_ALARM",
    "Assumption",
    "Bound",
    "Claim",
    "Comparison",
    "Finding",
    "Provenance",
    "Scale",
    "StatisticalTest",
    "Verdict",
    "binomial_test",
    "compare",
    "t_test",
    "welch_degrees",
]

Provenance = Literal["paper", "code", "derived"]
Verdict = Literal["holds", "fails", "not applicable"]
Scale = Literal["quick", "full"]

_IN_WORDS = {"nan": ": not measured", "inf": " is infinite", "-inf": " is minus infinity"}


@dataclasses.dataclass(frozen=True)
class Claim:
    """One statement to be checked.

    Attributes:
        name: slug, equal to the name of the claim's file without its ending.
        equation: tags of the equations in the theory (docs/model.md), e.g. "T7" or "T8, T9"; claims are reported
            in the order of their tags.
        provenance: who says so: "paper" (stated in its abstract or about its θ figure), "code" (read from
            the authors' released code) or "derived" (in this project, from the model).
        title: a few words.
        statement: the claim in one or two sentences.
        bound: how a measurement may relate to the prediction: exact (equal up to rounding), upper or
            lower (an inequality), sandwich (one of each), certified (proved in interval arithmetic), asymptotic
            (equal in a stated limit), statistical (equal up to sampling error).
        figure: name of the figure that shows it (a file of `figures/study/`), or None.
        bears_on: names of the paper's statements (`promptfolio.checks.statements`) that the check bears on.
        cost: coarse weight of its run time at full scale, from 1 (seconds) to 10 (the longest); what takes long
            starts first.
        together: claims with the same word here share runs or compiled programs, and are checked in one process.

    Raises:
        ValueError: there is no such statement of the paper, or the cost is not positive.
    """

    name: str
    equation: str
    provenance: Provenance
    title: str
    statement: str
    bound: Bound
    figure: str | None = None
    bears_on: tuple[str, ...] = ()
    cost: float = 1
    together: str | None = None

    def __post_init__(self) -> None:
        for name in self.bears_on:
            require_statement(self.name, name)
        if not self.cost > 0:
            raise ValueError(f"claim {self.name}: cost = {self.cost}; allowed: positive numbers")


@dataclasses.dataclass(frozen=True)
class Assumption:
    """A condition as measured in the run: it holds while ``value`` <= ``limit``.

    An infinite limit says that the claim does not need the condition; it is measured for the record. A value that
    is not a number says that it could not be measured.

    Raises:
        ValueError: the limit is not a number.
    """

    name: str
    value: float
    limit: float = math.inf

    def __post_init__(self) -> None:
        if math.isnan(self.limit):
            raise ValueError(f"{self.name}: limit {self.limit}; allowed: a number, or infinity for no limit")

    @property
    def needed(self) -> bool:
        """Whether the claim needs the condition; one that could not be measured counts as needed."""
        return self.limit < math.inf or not self.holds

    @property
    def measured(self) -> str:
        """The condition and its value, without the limit."""
        value = float(self.value)
        return f"{self.name}{f' = {value:.3g}' if math.isfinite(value) else _IN_WORDS[str(value)]}"

    @property
    def holds(self) -> bool:
        """Whether the condition was met; a value that is not a number does not meet it."""
        return bool(self.value <= self.limit)

    def describe(self) -> str:
        """One phrase: what was measured, against which limit, and by what factor where there is one.

        Example:
            >>> Assumption("overlap", 0.05, 0.1).describe()
            'overlap = 0.05 ≤ 0.1 (holds, factor 2)'
            >>> Assumption("share left out", 0.5, 0.0).describe()
            'share left out = 0.5 (violated: must be at most 0)'
            >>> Assumption("overlap", math.nan, 0.1).describe()
            'overlap: not measured (violated: must be at most 0.1)'
        """
        # Python's own numbers: NumPy's would warn where a quotient overflows.
        value, limit = float(self.value), float(self.limit)
        if limit == math.inf:
            return f"{self.measured} ({'not needed' if self.holds else 'violated: must be a number'})"
        if not math.isfinite(value):
            return f"{self.measured} ({self._outcome}: must be at most {limit:.3g})"
        smaller, larger = (value, limit) if self.holds else (limit, value)
        # A factor tells nothing about numbers that are not positive, nor where it is beyond float64's range.
        factor = larger / smaller if smaller > 0 else math.inf
        known = math.isfinite(factor)
        if self.holds:
            return f"{self.measured} ≤ {limit:.3g} (holds{f', factor {factor:.3g}' if known else ''})"
        if known:
            return f"{self.measured} ≤ {limit:.3g} (violated by factor {factor:.3g})"
        return f"{self.measured} (violated: must be at most {limit:.3g})"

    @property
    def _outcome(self) -> str:
        return "holds" if self.holds else "violated"


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
        """The comparison closest to failing, or furthest beyond.

        A count has nothing between met and missed, so where all comparisons hold one with a slack comes first.
        """
        return min(self.comparisons, key=lambda each: (each.holds, each.holds and each.is_count, each.slack))
