"""A proof of T16 for given numbers, in exact rational arithmetic.

A float64 input is a dyadic rational and is taken for exactly that. The proof shares nothing with that of
`theory.mixing.advantage` but the statement.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

from theory.mixing import advantage
from theory.mixing.moments import Moments
from theory.mixing.tangency import optimum
from theory.numerics.certificate import Certificate
from theory.proof.derivation import as_function

EXACT = 0
"""Precision of a certificate in exact rational arithmetic."""


def certify_advantage(moments: Moments) -> Certificate:
    """Prove T16 for two prompts, in exact rational arithmetic: no mixture does better, and one does as well.

    The `moments` are numbers, floats or fractions, with s_G, s_L > 0 and C² < AB. R(θ)² = S²/V with S = (1−θ) s_G +
    θ s_L and V = (1−θ)² A + 2θ(1−θ) C + θ² B, and F is the formula of T16.

    - F V − S² is a quadratic form in the two weights with no negative diagonal entry and determinant zero: it is
      nowhere negative, so no mixture exceeds F, and somewhere zero.
    - If T15's odds are positive, T15's θ* lies inside (0, 1) and has R² = F, and it beats both prompts strictly,
      as does the float64 θ next to it.
    - Otherwise, with m the better prompt's R², m V − S² has no negative coefficient in θ(1−θ) nor in the square
      of the other weight: no θ in [0, 1] exceeds m. And F = m exactly where ρ = min(R)/max(R).

    Raises:
        ValueError: signals or noise that are not positive, C² ≥ AB.

    >>> certify_advantage(Moments(1.0, 2.0, 1.0, 2.0, 0.25)).proved
    True
    """
    s_global, s_local, a, b, c = values = tuple(Fraction(value) for value in moments)
    if min(values[:4]) <= 0 or c * c >= a * b:
        raise ValueError(
            f"the moments are {tuple(moments)}; allowed: positive signals and noise, C² below AB"
        )
    functions = _in_moments()
    formula, to_local, to_global = (Fraction(functions[i](*values)) for i in (0, 2, 3))

    def squared(theta: Fraction) -> Fraction:
        variance = (1 - theta) ** 2 * a + 2 * theta * (1 - theta) * c + theta**2 * b
        return ((1 - theta) * s_global + theta * s_local) ** 2 / variance

    singles = squared(Fraction(0)), squared(Fraction(1))
    best = max(singles)
    diagonal = formula * a - s_global**2, formula * b - s_local**2
    determinant = diagonal[0] * diagonal[1] - (formula * c - s_global * s_local) ** 2
    others = [min(diagonal) >= 0, determinant == 0]
    strict: list[Fraction] = []
    if to_local > 0 and to_global > 0:
        case, mixing = "inside", Fraction(functions[1](*values))
        strict = [formula - best, squared(Fraction(float(mixing))) - best]
        others += [0 < mixing < 1, squared(mixing) == formula]
    else:
        case = "at the better prompt"
        other_noise, other_signal = (b, s_local) if singles[0] == best else (a, s_global)
        coefficients = best * c - s_global * s_local, best * other_noise - other_signal**2
        touching = to_local == 0 or to_global == 0
        others += [min(coefficients) >= 0, (formula == best) == touching]
    shown = [*(gap > 0 for gap in strict), *others]
    smallest = float(min(strict) / best) if strict else math.nan
    numbers = ", ".join(f"{float(value)!r}" for value in values)
    return Certificate(
        f"T16, optimum {case}, s_G, s_L, A, B, C = {numbers}", len(shown), sum(shown), smallest, EXACT
    )


@cache
def _in_moments() -> tuple[Callable[..., Any], ...]:
    """T16's formula, T15's θ* and the two gains that decide where it lies, as rational functions of the moments
    (σ_p = 1)."""
    import sympy

    (r_global, r_local, rho), squared = advantage.formula()
    best = optimum()
    symbols = s_global, s_local, a, b, c = best.symbols
    moments = {
        r_global: s_global / sympy.sqrt(a),
        r_local: s_local / sympy.sqrt(b),
        rho: c / sympy.sqrt(a * b),
    }
    formulas = (squared.subs(moments), best.mixing, best.gain_at_global, best.gain_at_local)
    return tuple(as_function(symbols, sympy.cancel(sympy.simplify(formula))) for formula in formulas)
