"""The optimal mixture of two fixed prompts: the tangency portfolio (T15).

Statement (T15): for prompts with signals s_G, s_L of any sign and noise vectors u_G, u_L, and weights (1−θ, θ),
θ*/(1−θ*) = (s_L A − s_G C)/(s_G B − s_L C) when both are positive, else the better end point; A = ‖u_G‖²,
B = ‖u_L‖², C = ⟨u_G, u_L⟩.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from theory.mixing.moments import Moments
from theory.model.accuracy import ratio
from theory.model.schemes import TrainingScheme, effective_weights
from theory.numerics.validation import ArrayLike, Values, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
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
    uses=("T3", "T7"),
    sources=(
        "Markowitz (1952), Portfolio Selection, The Journal of Finance 7",
        "Tobin (1958), Liquidity Preference as Behavior Towards Risk, The Review of Economic Studies 25",
        "Sharpe (1966), Mutual Fund Performance, The Journal of Business 39",
    ),
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
    """Derive T15 by maximising the ratio over θ."""
    import sympy

    at, best = letters(), optimum()
    s_global, s_local, *_ = best.symbols
    theta = sympy.Symbol("theta", real=True)
    to_local, to_global = s_local * at.A - s_global * at.C, s_global * at.B - s_local * at.C
    polynomial = to_local * (1 - theta) - to_global * theta
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    u, v = (sympy.IndexedBase(name, real=True)[l] for name in "uv")

    def squared(vector: Formula) -> Formula:
        return sympy.Sum(vector**2, (l, 1, at.L))

    lengths = (eq(at.A, squared(u)), eq(at.B, squared(v)), eq(at.C, sympy.Sum(u * v, (l, 1, at.L))))
    factor, away, *terms = sympy.symbols("k d p_L p_G", positive=True)
    line, zero = terms[0] * (1 - theta) - terms[1] * theta, terms[0] / sum(terms)
    solved = eq(theta, best.mixing)
    statement = eq(theta / (1 - theta), to_local / to_global)
    rescaled = best.mixing.subs(
        [(letter, factor * letter) for letter in (at.A, at.B, at.C)], simultaneous=True
    )
    steps = (
        Step.identity(
            "The squared length of the mixed noise (1−θ) u + θ v has the terms A, B and C.",
            eq(squared((1 - theta) * u + theta * v), best.variance),
            *lengths,
        ),
        Step.identity(
            "The derivative of R is a positive factor times a polynomial that is linear in θ.",
            eq(
                sympy.Derivative(best.ratio, theta) * at.sigma * best.variance ** sympy.Rational(3, 2),
                polynomial,
            ),
        ),
        Step.identity(
            "At θ = 0 it equals p_L = s_L A − s_G C: leaving the global prompt pays iff this is positive.",
            eq(polynomial, best.gain_at_global),
            eq(theta, 0),
        ),
        Step.identity(
            "At θ = 1 it equals −p_G = −(s_G B − s_L C): leaving the local prompt pays iff p_G is positive.",
            eq(polynomial, -best.gain_at_local),
            eq(theta, 1),
        ),
        Step.root(
            "Where p_L and p_G are positive, the polynomial is zero at one θ* …", eq(theta, zero), eq(line, 0)
        ),
        Step.sign("… above 0 …", relation(">", zero, 0)),
        Step.sign("… and below 1, …", relation("<", zero, 1)),
        Step.sign("… positive at θ* − d …", relation(">", line, 0), eq(theta, zero - away)),
        Step.sign(
            "… and negative at θ* + d: R has its maximum there.",
            relation("<", line, 0),
            eq(theta, zero + away),
        ),
        Step.root("Solving R' = 0 for θ gives it …", solved, eq(polynomial, 0)),
        Step.identity("… with these odds.", statement, solved),
        Step.identity(
            "Both terms cannot be negative when the signals are positive: s_L p_L + s_G p_G is the squared length "
            "of s_L u − s_G v. Otherwise R' keeps one sign, or R has a minimum inside: the better end point is the "
            "maximum.",
            eq(s_local * to_local + s_global * to_global, squared(s_local * u - s_global * v)),
            *lengths,
        ),
        Step.identity(
            "Scaling both noise vectors by the same factor leaves θ* alone: a common factor may be dropped.",
            solved,
            eq(theta, rescaled),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


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
    symbols, *gains = formula()
    to_local, to_global = map(np.asarray, as_function(symbols, tuple(gains))(*values))
    inside = (to_local > 0) & (to_global > 0)
    interior = to_local / np.where(inside, to_local + to_global, 1.0)
    better_end = (s_local / np.sqrt(b) > s_global / np.sqrt(a)).astype(np.float64)
    return result(np.where(inside, interior, better_end))
