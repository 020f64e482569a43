"""Accuracy on given samples for every θ at once: an exact step function (T24, exact curve).

Statement (T24, exact curve): the margin over a rival is (1−θ) m_G + θ m_L, a straight line in θ, with its zero
at θ_0 = m_G/(m_G − m_L). If it rises (m_G ≤ 0 < m_L) the sample beats the rival exactly for θ > θ_0, if it
falls (m_L ≤ 0 < m_G) exactly for θ < θ_0. A sample is correct where it beats all its rivals: an intersection of
half-lines, so an interval, and the accuracy is a step function of θ.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from theory.mixing.margin_moments import Reals, pairwise_margins
from theory.numerics.best import ROUNDING
from theory.numerics.validation import Values, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation

RESULT = Result(
    tag="T24 (exact curve)",
    title="Accuracy as a step function of θ",
    problem="For which θ does the mixture of two fixed prompts classify a given sample correctly?",
    assumptions=("Fixed prompts; features are mixed and not normalised again.",),
    bound="exact",
    uses=("T3",),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (m_G, m_L) and the θ at which the mixture ties with a rival.

    >>> symbols, crossing = formula()
    >>> crossing.subs(dict(zip(symbols, (3, -1))))
    3/4
    """
    import sympy

    theta, m_global, m_local = sympy.symbols("theta m_G m_L", real=True)
    (crossing,) = sympy.solve((1 - theta) * m_global + theta * m_local, theta)
    return (m_global, m_local), crossing


@cache
def derivation() -> Derivation:
    """Derive the half-line on which a sample beats a rival."""
    import sympy

    (m_global, m_local), crossing = formula()
    theta = sympy.Symbol("theta", real=True)
    won, lost, gap = sympy.symbols("x y d", positive=True)
    margin = (1 - theta) * m_global + theta * m_local
    tie = eq(theta, crossing)
    rising = eq(sympy.Derivative(margin, theta), m_local - m_global)
    rises = (eq(m_global, -lost), eq(m_local, won))
    falls = (eq(m_global, won), eq(m_local, -lost))

    def beyond(text: str, operator: Any, shift: Formula, case: tuple[Formula, ...]) -> Step:
        given = (eq(theta, crossing + shift), *case)
        return Step.sign(text, relation(operator, margin, 0), *given)

    steps = (
        Step.root("The mixture ties with a rival at θ_0.", tie, eq(margin, 0)),
        Step.identity("The margin is a straight line in θ with this slope.", rising),
        Step.sign("For m_G < 0 < m_L the tie lies above θ = 0 …", relation(">", crossing, 0), *rises),
        Step.sign("… and below θ = 1.", relation("<", crossing, 1), *rises),
        beyond("The line rises: the sample wins at every θ = θ_0 + d above …", ">", gap, rises),
        beyond("… and loses at every θ = θ_0 − d below.", "<", -gap, rises),
        Step.sign("For m_L < 0 < m_G the tie lies above θ = 0 …", relation(">", crossing, 0), *falls),
        Step.sign("… and below θ = 1.", relation("<", crossing, 1), *falls),
        beyond("The line falls: the sample loses above …", "<", gap, falls),
        beyond("… and wins below.", ">", -gap, falls),
    )
    return Derivation(RESULT, statement=(tie,), steps=steps)


class AccuracySteps(NamedTuple):
    """Accuracy on given samples as a function of θ, exactly: constant between neighbouring breakpoints.

    Attributes:
        breakpoints: increasing from 0 to 1; shape (pieces + 1,).
        values: accuracy inside each piece, a fraction; shape (pieces,).
        starts, ends: sorted ends of the samples' intervals, from which any θ is answered, breakpoints
            included; infinite where an interval reaches the border of [0, 1]; shape (classifiable,).
        samples: number of samples, those no θ classifies correctly included.
    """

    breakpoints: Reals
    values: Reals
    starts: Reals
    ends: Reals
    samples: int

    def at(self, theta: ArrayLike) -> Values:
        """Accuracy at each θ, of the same shape as `theta`; a tie with a rival counts as an error."""
        mixing = unit_interval("theta", theta)
        begun = np.searchsorted(self.starts, mixing, side="left")
        over = np.searchsorted(self.ends, mixing, side="right")
        return result((begun - over) / self.samples)

    def best_interval(self) -> tuple[float, float]:
        """The longest interval of θ on which the accuracy is greatest.

        Of equally long ones it is the nearest to the middle of all θ with that accuracy, so that neither end of
        [0, 1] is favoured.
        """
        best = self.values == self.values.max()
        edges = np.diff(best.astype(np.int64), prepend=0, append=0)
        lows, highs = self.breakpoints[edges == 1], self.breakpoints[edges == -1]
        lengths, centres = highs - lows, (lows + highs) / 2
        longest = lengths >= lengths.max() * (1 - ROUNDING)
        distance = np.abs(centres - np.average(centres, weights=lengths))
        chosen = np.argmin(np.where(longest, distance, np.inf))
        return float(lows[chosen]), float(highs[chosen])


def accuracy_steps(logits_global: ArrayLike, logits_local: ArrayLike, labels: ArrayLike) -> AccuracySteps:
    """The mixture's accuracy on the given samples for every θ at once, without a grid (T24, exact curve).

    A sample is correct where all its margins (1−θ) m^G_j + θ m^L_j are positive: an intersection of
    half-lines.

    Args:
        logits_global, logits_local: logits under the two prompts; shape (samples, classes).
        labels: true classes; integers, shape (samples,).

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, no samples, or values out of range.

    Example:
        >>> steps = accuracy_steps([[3.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]], [0, 1])
        >>> steps.breakpoints.tolist(), steps.values.tolist(), steps.best_interval()
        ([0.0, 0.75, 1.0], [1.0, 0.5], (0.0, 0.75))
    """
    at_zero, at_one, truth = pairwise_margins(logits_global, logits_local, labels)
    is_rival = truth[:, None] != np.arange(at_zero.shape[1])
    rises, falls = (at_one > 0) & (at_zero <= 0), (at_zero > 0) & (at_one <= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = as_function(*formula())(at_zero, at_one)
    starts = np.where(is_rival & rises, crossing, -np.inf).max(axis=1)
    ends = np.where(is_rival & falls, crossing, np.inf).min(axis=1)
    never = (is_rival & (at_zero <= 0) & (at_one <= 0)).any(axis=1) | (starts >= ends)
    starts, ends = np.sort(starts[~never]), np.sort(ends[~never])
    inner = np.concatenate([starts, ends])
    breakpoints = np.unique(np.concatenate([[0.0, 1.0], inner[(inner > 0) & (inner < 1)]]))
    steps = AccuracySteps(breakpoints, np.empty(0), starts, ends, truth.size)
    return steps._replace(values=np.asarray(steps.at((breakpoints[1:] + breakpoints[:-1]) / 2)))
