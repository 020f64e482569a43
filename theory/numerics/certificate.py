"""Proofs of the inequalities T10 and T11 for given numbers, free of rounding.

A float64 input is a dyadic rational and is taken for exactly that. T10 and T11 hold exponentials: their discrete
margins are enclosed in balls of python-flint's `arb` (midpoint and radius, every operation rounded outwards), and
an inequality counts as proved when no point of the ball of its gap is negative. While some ball straddles zero
and none lies below, the precision is doubled. T16 is rational: `theory.numerics.advantage_certificate`.

The curve x(t) is never evaluated. v + e^v increases with v and x(t) + e^{x(t)} = ct + M_0 + e^{M_0}, so
x(t) < M iff ct + M_0 + e^{M_0} < M + e^M.

These proofs share nothing with those of `theory.dynamics.sandwich` and `theory.dynamics.sample_sandwich` but the
statements. Reference: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", 2017.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import flint

from theory.dynamics.margin_kernel import square
from theory.numerics.validation import ArrayLike, finite, nonnegative, positive

FIRST_PRECISION = 64
LARGEST_PRECISION = 1024
"""Bits of the balls' midpoints, at first and at most."""


_Gap: TypeAlias = tuple[Any, bool]
"""A ball that must not lie below zero, and whether it is the gap of a bound (not of a condition)."""


@dataclass(frozen=True)
class Certificate:
    """What was to be proved, and what has been.

    Attributes:
        statement: the inequalities, in words.
        stated: how many there are.
        shown: how many of them are proved.
        smallest_gap: lower end of the smallest ball that holds the gap of a bound. For T10 and T11 gaps are
            distances of margins, rounded down; for T16 what the mixture gains, relative to the better prompt's R²,
            NaN where it gains nothing.
        precision_bits: working precision of the last attempt; 0 for rational arithmetic.
    """

    statement: str
    stated: int
    shown: int
    smallest_gap: float
    precision_bits: int

    @property
    def proved(self) -> bool:
        """Whether every inequality is proved."""
        return self.stated == self.shown > 0


def certify_recursion(
    c: float | int, initial_margin: float | int = 0.0, steps: int = 100, *, width: float | int = 1.0
) -> Certificate:
    """Prove x(t) ≤ M_t ≤ x(t) + c/(1+e^{M_0}) for t = 1 … steps (T10); t = 0 is M_0 = x(0).

    Let c be `c`, any positive number (T10 says c ≤ 4; its proof does not need that), and M_0 be `initial_margin`.
    `width` states the upper bound with another multiple of c/(1+e^{M_0}), to see how sharp it is.

    Raises:
        ValueError: c or the width not positive, fewer than one step.

    >>> certify_recursion(0.5, steps=100).proved, certify_recursion(0.5, steps=100, width=0.05).proved
    (True, False)
    """
    positive("c", c), finite("initial_margin", initial_margin), positive("width", width)
    _at_least_one(steps)
    arb = flint.arb

    def gaps() -> Iterator[_Gap]:
        size, level = arb(float(c)), arb(float(initial_margin))
        start_growth = level.exp()
        energy = level + start_growth
        slack = arb(float(width)) * size / (1 + start_growth)
        shrink = (-slack).exp()
        growth = start_growth
        for t in range(1, steps + 1):
            level += size / (1 + growth)
            growth = level.exp()
            curve = size * t + energy
            yield from _distances(level, growth, slack, shrink, curve, curve, size * t + start_growth)

    run = f"t = 1 … {steps}, c = {float(c)!r}, M_0 = {float(initial_margin)!r}"
    return _decide(f"x(t) ≤ M_t ≤ x(t) + {float(width):g}·c/(1+exp(M_0)), {run}", gaps)


def certify_samples(
    kernel: ArrayLike, learning_rate: float | int, spread: float | int, steps: int
) -> Certificate:
    """Prove T11 for a kernel: the spread, the conditions on κ_i^±, and both bounds of every sample.

    Let 𝒦 be `kernel`, shape (samples, samples), η `learning_rate` and Δ `spread`. Stated are, for every sample,
    κ_i^- ≥ 0 and ηκ_i^+ ≤ 4; for t = 1 … steps, that no two margins are further apart than Δ; and for each of
    these t and every sample x(t; ηκ_i^-) ≤ M_i(t) ≤ x(t; ηκ_i^+) + ηκ_i^+/2. At t = 0 all are zero.

    Raises:
        ValueError: a kernel that is not square, a learning rate that is not positive, a negative spread, fewer
            than one step.

    >>> certify_samples([[2.0, 0.5], [0.5, 3.0]], 0.5, 1.0, 20).proved
    True
    >>> certify_samples([[2.0, 0.5], [0.5, 3.0]], 0.5, 0.1, 20).proved
    False
    """
    matrix = square(kernel)
    positive("learning_rate", learning_rate), nonnegative("spread", spread)
    _at_least_one(steps)
    count = matrix.shape[0]
    arb, samples = flint.arb, range(count)
    entries = [[float(entry) for entry in row] for row in matrix]

    def gaps() -> Iterator[_Gap]:
        eta, width = arb(float(learning_rate)), arb(float(spread))
        grow, fall = width.exp(), (-width).exp()
        low, high = [], []
        for i in samples:
            plus = sum((arb(v) for j, v in enumerate(entries[i]) if j != i and v > 0), arb(0))
            minus = sum((arb(-v) for j, v in enumerate(entries[i]) if j != i and v < 0), arb(0))
            low.append(eta * (entries[i][i] + plus * fall - minus * grow))
            high.append(eta * (entries[i][i] + plus * grow - minus * fall))
        yield from ((size, False) for size in low)
        yield from ((4 - size, False) for size in high)
        slack = [size / 2 for size in high]
        shrink = [(-size).exp() for size in slack]
        step = eta * flint.arb_mat(count, count, [arb(v) for row in entries for v in row])
        levels, growths = [arb(0)] * count, [arb(1)] * count
        for t in range(1, steps + 1):
            drive = step * flint.arb_mat(count, 1, [1 / (1 + growth) for growth in growths])
            levels = [level + moved for level, moved in zip(levels, drive.entries(), strict=True)]
            growths = [level.exp() for level in levels]
            if count > 1:
                yield width - (reduce(arb.max, levels) - reduce(arb.min, levels)), False
            for i in samples:
                lower, upper = low[i] * t + 1, high[i] * t + 1
                yield from _distances(levels[i], growths[i], slack[i], shrink[i], lower, upper, upper)

    run = f"{count} samples, t = 1 … {steps}, η = {float(learning_rate)!r}, Δ = {float(spread)!r}"
    return _decide(f"T11, {run}: spread ≤ Δ, κ_i^- ≥ 0, ηκ_i^+ ≤ 4, both bounds", gaps)


def _distances(
    level: Any, growth: Any, slack: Any, shrink: Any, lower: Any, upper: Any, steepest: Any
) -> Iterator[_Gap]:
    """Lower bounds of M − x⁻ and x⁺ + δ − M, where x⁻ and x⁺ have the energies `lower` and `upper`.

    M is `level` with e^M = `growth`, δ is `slack` with e^{−δ} = `shrink`. By the mean value theorem a gap between
    energies v + e^v is at most (1 + e^v) times that between the larger v and the smaller. For the first the larger
    is M; for the second x⁺, and `steepest` is at least e^{x⁺}.
    """
    yield (level + growth - lower) / (1 + growth), True
    yield (upper - (level - slack + growth * shrink)) / (1 + steepest), True


def _decide(statement: str, gaps: Callable[[], Iterator[_Gap]]) -> Certificate:
    """Count the gaps that are proved not to be negative, with as much precision as that takes."""
    context, bits = flint.ctx, FIRST_PRECISION
    while True:
        stated = shown = refuted = 0
        smallest = math.inf
        with context.workprec(bits):
            for gap, is_bound in gaps():
                stated += 1
                shown += bool(gap >= 0)
                refuted += bool(gap < 0)
                if is_bound:
                    # rounded towards −∞: `float` rounds to nearest
                    smallest = min(smallest, math.nextafter(float(gap.lower()), -math.inf))
        if shown == stated or refuted or 2 * bits > LARGEST_PRECISION:
            return Certificate(statement, stated, shown, smallest, bits)
        bits *= 2


def _at_least_one(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"`steps` is {steps}; allowed: at least 1")
