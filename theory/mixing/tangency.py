"""The optimal mixture of two fixed prompts: the tangency portfolio (T15).

Statement (T15): for weights (1−θ, θ), θ*/(1−θ*) = (s_L A − s_G C)/(s_G B − s_L C) when both are positive,
else the better end point; A = ‖u_G‖², B = ‖u_L‖², C = ⟨u_G, u_L⟩.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from theory.mixing.moments import Moments
from theory.model.accuracy import ratio
from theory.model.schemes import TrainingScheme, effective_weights
from theory.numerics.validation import ArrayLike, Values, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T15",
    title="Tangency mixing",
    problem="Find the mixture of two fixed prompts with the largest signal-to-noise ratio.",
    assumptions=(
        "The mixed output is linear in the weights.",
        "Noise vectors of positive length, not opposite.",
    ),
    bound="exact",
    uses=(),
)


class _Optimum(NamedTuple):
    gain_at_global: Formula
    gain_at_local: Formula
    slope: Formula
    mixing: Formula
    symbols: tuple[Formula, ...]
    ratio: Formula
    variance: Formula


@cache
def optimum() -> _Optimum:
    """Return T15 as SymPy expressions: what solving R'(θ) = 0 for θ gives, and the two terms of the odds.

    >>> sorted(str(symbol) for symbol in optimum().mixing.free_symbols)
    ['A', 'B', 'C', 's_G', 's_L']
    """
    import sympy

    at = letters()
    s_global, s_local = sympy.symbols("s_G s_L", real=True)
    theta = sympy.Symbol("theta", real=True)
    signal = (1 - theta) * s_global + theta * s_local
    variance = (1 - theta) ** 2 * at.A + 2 * theta * (1 - theta) * at.C + theta**2 * at.B
    mixed = signal / (at.sigma * sympy.sqrt(variance))
    # the sign of R' is that of this polynomial, because the variance is positive
    slope = sympy.expand(
        sympy.simplify(sympy.diff(mixed, theta) * at.sigma * variance ** sympy.Rational(3, 2))
    )
    (mixing,) = sympy.solve(slope, theta)
    symbols = (s_global, s_local, at.A, at.B, at.C)
    return _Optimum(slope.subs(theta, 0), -slope.subs(theta, 1), slope, mixing, symbols, mixed, variance)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (s_G, s_L, A, B, C), and numerator and denominator of the optimal odds.

    >>> formula()[1:]
    (A*s_L - C*s_G, B*s_G - C*s_L)
    """
    best = optimum()
    return best.symbols, best.gain_at_global, best.gain_at_local


@cache
def derivation() -> Derivation:
    """Derive T15 by maximising the ratio over θ.

    >>> derivation().result.tag
    'T15'
    """
    import sympy

    at = letters()
    best = optimum()
    s_global, s_local, _, _, _ = best.symbols
    theta = sympy.Symbol("theta", real=True)
    to_local, to_global = s_local * at.A - s_global * at.C, s_global * at.B - s_local * at.C
    polynomial = to_local * (1 - theta) - to_global * theta
    u1, u2, v1, v2 = sympy.symbols("u_1 u_2 v_1 v_2", real=True)
    inner = sympy.Symbol("D", positive=True)
    positive_terms = sympy.symbols("p_L p_G", positive=True)
    root = positive_terms[0] / (positive_terms[0] + positive_terms[1])
    solved = relation("=", theta, best.mixing)
    statement = relation("=", theta / (1 - theta), to_local / to_global)
    rescaled = [(letter, inner * letter) for letter in (at.A, at.B, at.C)]
    steps = (
        Step(
            "The squared length of the mixed noise (1−θ) u_G + θ u_L has the terms A, B and C (written "
            "for two entries).",
            relation(
                "=",
                ((1 - theta) * u1 + theta * v1) ** 2 + ((1 - theta) * u2 + theta * v2) ** 2,
                best.variance,
            ),
            "identity",
            (
                relation("=", at.A, u1**2 + u2**2),
                relation("=", at.B, v1**2 + v2**2),
                relation("=", at.C, u1 * v1 + u2 * v2),
            ),
        ),
        Step(
            "The derivative of R is a positive factor times a polynomial that is linear in θ.",
            relation(
                "=",
                sympy.Derivative(best.ratio, theta) * at.sigma * best.variance ** sympy.Rational(3, 2),
                polynomial,
            ),
            "identity",
        ),
        Step(
            "At θ = 0 it equals s_L A − s_G C: leaving the global prompt pays iff this is positive.",
            relation("=", polynomial, best.gain_at_global),
            "identity",
            (relation("=", theta, 0),),
        ),
        Step(
            "At θ = 1 it equals −(s_G B − s_L C): leaving the local prompt pays iff s_G B − s_L C is "
            "positive.",
            relation("=", polynomial, -best.gain_at_local),
            "identity",
            (relation("=", theta, 1),),
        ),
        Step(
            "Where p_L > 0 at θ = 0 and −p_G < 0 at θ = 1, the linear function changes sign once, from "
            "plus to "
            "minus: a maximum, at θ* = p_L/(p_L + p_G) …",
            relation("=", theta, root),
            "root",
            (relation("=", positive_terms[0] * (1 - theta) - positive_terms[1] * theta, 0),),
        ),
        Step("… which lies above 0 …", relation(">", root, 0), "sign"),
        Step("… and below 1.", relation("<", root, 1), "sign"),
        Step("Solving R' = 0 gives this θ* …", solved, "root", (relation("=", polynomial, 0),)),
        Step("… with these odds.", statement, "identity", (solved,)),
        Step(
            "They cannot both be negative when the signals are positive: s_L (s_L A − s_G C) + s_G "
            "(s_G B − s_L C) is "
            "the squared length of s_L u_G − s_G u_L. Otherwise R' keeps one sign, or R has a minimum "
            "inside: the "
            "better end point is the maximum.",
            relation(
                "=",
                s_local * to_local + s_global * to_global,
                (s_local * u1 - s_global * v1) ** 2 + (s_local * u2 - s_global * v2) ** 2,
            ),
            "identity",
            (
                relation("=", at.A, u1**2 + u2**2),
                relation("=", at.B, v1**2 + v2**2),
                relation("=", at.C, u1 * v1 + u2 * v2),
            ),
        ),
        Step(
            "Scaling both noise vectors by the same factor leaves θ* alone: a common factor may be dropped.",
            solved,
            "identity",
            (relation("=", theta, best.mixing.subs(rescaled, simultaneous=True)),),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


@cache
def _numeric() -> tuple[Any, Any]:
    symbols, to_local, to_global = formula()
    return as_function(symbols, to_local), as_function(symbols, to_global)


def mixture_ratio(
    theta: ArrayLike, moments: Moments, noise_std: ArrayLike = 1.0, *, weights: TrainingScheme = "posthoc"
) -> Values:
    """Return the ratio R of a mixture of two prompts (section 5).

    Let θ be `theta`, s_G, s_L, A, B and C the `moments` and σ_p `noise_std`; arguments broadcast. With (w_G, w_L)
    from `effective_weights(theta, weights)`, R = (w_G s_G + w_L s_L)/(σ_p √(w_G² A + 2 w_G w_L C + w_L² B)).

    Raises:
        ValueError: θ outside [0, 1]; σ_p not positive; an unknown scheme; as `Moments.checked`.

    >>> float(mixture_ratio(0.5, Moments(1, 1, 1, 1, -0.5)))
    2.0
    """
    w_global, w_local = effective_weights(theta, weights)
    s_global, s_local, a, b, c = moments.checked()
    variance = w_global**2 * a + 2 * w_global * w_local * c + w_local**2 * b
    # rounding can leave a perfectly hedged mixture with a tiny negative variance
    return ratio(w_global * s_global + w_local * s_local, np.sqrt(np.maximum(variance, 0.0)), noise_std)


def optimal_mixing(
    signal_global: ArrayLike,
    signal_local: ArrayLike,
    noise_global: ArrayLike,
    noise_local: ArrayLike,
    noise_cross: ArrayLike,
) -> Values:
    """Return the mixing θ* with the largest ratio for weights (1−θ, θ) (T15).

    The arguments are the `Moments` s_G, s_L, A, B and C, in this order; they broadcast. θ*/(1−θ*) = (s_L A − s_G
    C)/(s_G B − s_L C) when both are positive, else the end point with the larger ratio (the global prompt, θ*
    = 0, if they tie).

    Raises:
        ValueError: as `Moments.checked`.

    >>> optimal_mixing(1.0, [1.0, 2.0, 9.0], 1.0, 2.0, 0.25).round(6).tolist()
    [0.3, 0.538462, 1.0]
    """
    moments = Moments(signal_global, signal_local, noise_global, noise_local, noise_cross)
    values = np.broadcast_arrays(*moments.checked())
    s_global, s_local, a, b, _ = values
    to_local, to_global = (np.asarray(gain(*values)) for gain in _numeric())
    inside = (to_local > 0) & (to_global > 0)
    interior = to_local / np.where(inside, to_local + to_global, 1.0)
    better_end = (s_local / np.sqrt(b) > s_global / np.sqrt(a)).astype(np.float64)
    return result(np.where(inside, interior, better_end))
