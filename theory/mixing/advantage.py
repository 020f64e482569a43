"""What mixing gains over the better single prompt (T16).

Statement (T16): R*² = (R_G² + R_L² − 2ρ R_G R_L)/(1 − ρ²), at least max(R_G, R_L)², with equality iff
ρ = min(R)/max(R). For ρ = 0 the squares add.

With weights confined to θ ∈ [0, 1] the value is attained iff ρ ≤ min(R)/max(R). For a larger correlation the
formula describes a mixture with a negative weight, and the best admissible one is the better end point:
`optimal_ratio_squared` returns that, `unconstrained_ratio_squared` the formula.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from theory.mixing.tangency import optimum
from theory.numerics.validation import ArrayLike, Values, between, positive, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T16",
    title="Advantage of the mixture",
    problem="How much larger is the ratio of the best mixture than that of the better single prompt?",
    assumptions=(
        "Positive ratios and noise vectors that are not parallel.",
        "ρ below min(R)/max(R) for θ in [0, 1].",
    ),
    bound="exact",
    uses=("T15",),
    sources=("Sharpe (1966), Mutual Fund Performance, The Journal of Business 39",),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (R_G, R_L, ρ) and R*², found by inserting the θ* of T15 into the ratio.

    >>> symbols, squared = formula()
    >>> squared.subs(symbols[2], 0)
    R_G**2 + R_L**2
    """
    import sympy

    at = letters()
    best = optimum()
    theta = sympy.Symbol("theta", real=True)
    s_global, s_local, _, _, _ = best.symbols
    substitution = {
        s_global: at.R_G * at.sigma * sympy.sqrt(at.A),
        s_local: at.R_L * at.sigma * sympy.sqrt(at.B),
        at.C: at.rho * sympy.sqrt(at.A * at.B),
    }
    squared = sympy.simplify((best.ratio**2).subs(theta, best.mixing).subs(substitution))
    return (at.R_G, at.R_L, at.rho), sympy.simplify(squared)


@cache
def derivation() -> Derivation:
    """Derive T16: the optimal ratio, its advantage over either prompt, and the case of equality."""
    import sympy

    at, best = letters(), optimum()
    (r_global, r_local, rho), evaluated = formula()
    s_global, s_local, *_ = best.symbols
    theta, distance = sympy.Symbol("theta", real=True), sympy.Symbol("d", real=True, nonzero=True)
    squared, x = sympy.symbols("R_*^2 x", positive=True)
    displayed = (r_global**2 + r_local**2 - 2 * rho * r_global * r_local) / (1 - rho**2)
    statement = eq(squared, displayed)
    energy = at.A * s_local**2 - 2 * at.C * s_global * s_local + at.B * s_global**2
    inserted = eq(squared, energy / (at.sigma**2 * (at.A * at.B - at.C**2)))
    ratios = (
        eq(s_global, r_global * at.sigma * sympy.sqrt(at.A)),
        eq(s_local, r_local * at.sigma * sympy.sqrt(at.B)),
        eq(at.C, rho * sympy.sqrt(at.A) * sympy.sqrt(at.B)),
    )
    # every number in (−1, 1) is one of these
    correlated = eq(rho, (1 - x) / (1 + x))
    steps = (
        Step.identity(
            "Inserting the θ* of T15 into R² gives sᵀΣ⁻¹s/σ_p² …",
            inserted,
            eq(squared, (best.ratio**2).subs(theta, best.mixing)),
        ),
        Step.identity(
            "… which depends on the two ratios and their correlation alone.", statement, inserted, *ratios
        ),
        Step.identity("The form of it that is evaluated.", eq(squared, evaluated), statement),
        Step.identity(
            "Its excess over R_G² is a square over 1−ρ² …",
            eq(displayed - r_global**2, (r_local - rho * r_global) ** 2 / (1 - rho**2)),
        ),
        Step.identity(
            "… and so is its excess over R_L², …",
            eq(displayed - r_local**2, (r_global - rho * r_local) ** 2 / (1 - rho**2)),
        ),
        Step.sign(
            "… so no prompt alone is better, for any ρ = (1−x)/(1+x) in (−1, 1).",
            relation(">=", displayed, r_global**2),
            correlated,
        ),
        Step.sign(
            "The excess over R_G vanishes only for R_L = ρ R_G: away from it, at ρ R_G + d, it is positive.",
            relation(">", displayed, r_global**2),
            eq(r_local, rho * r_global + distance),
            correlated,
        ),
        Step.identity(
            "For R_L ≤ R_G that is ρ = min(R)/max(R), and the mixture is no better than the global prompt alone.",
            eq(squared, r_global**2),
            statement,
            eq(rho, r_local / r_global),
        ),
        Step.identity(
            "T15 stays inside (0, 1) iff R_L > ρ R_G …",
            eq(best.gain_at_global, at.A * sympy.sqrt(at.B) * at.sigma * (r_local - rho * r_global)),
            *ratios,
        ),
        Step.identity(
            "… and R_G > ρ R_L, that is iff ρ < min(R)/max(R).",
            eq(best.gain_at_local, at.B * sympy.sqrt(at.A) * at.sigma * (r_global - rho * r_local)),
            *ratios,
        ),
        Step.identity(
            "Independent assets: the squares add.",
            eq(squared, r_global**2 + r_local**2),
            statement,
            eq(rho, 0),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def _checked(
    ratio_global: ArrayLike, ratio_local: ArrayLike, correlation: ArrayLike
) -> list[NDArray[np.float64]]:
    return list(
        np.broadcast_arrays(
            positive("ratio_global", ratio_global),
            positive("ratio_local", ratio_local),
            between("correlation", correlation, -1, 1),
        )
    )


def equality_correlation(ratio_global: ArrayLike, ratio_local: ArrayLike) -> Values:
    """Return min(R)/max(R), the correlation above which mixing gains nothing (T16).

    Let R_G be `ratio_global` and R_L be `ratio_local`, both positive; arguments broadcast.

    Raises:
        ValueError: ratios that are not positive.

    >>> float(equality_correlation(1.0, 2.0))
    0.5
    """
    first, second, _ = _checked(ratio_global, ratio_local, 0.0)
    return result(np.minimum(first, second) / np.maximum(first, second))


def unconstrained_ratio_squared(
    ratio_global: ArrayLike, ratio_local: ArrayLike, correlation: ArrayLike
) -> Values:
    """Return (R_G² + R_L² − 2ρ R_G R_L)/(1 − ρ²), the optimum over weights of any sign (T16, also T23 for two
    assets).

    Let R_G be `ratio_global`, R_L `ratio_local`, ρ `correlation`; arguments broadcast. At ρ = ±1 the noise
    can be hedged away and the value is infinite, except for R_G = R_L and ρ = 1, where the mixture equals
    either prompt.

    Raises:
        ValueError: ratios that are not positive, ρ outside [−1, 1].

    >>> round(float(unconstrained_ratio_squared(1.0, 1.0, 0.25)), 6)
    1.6
    """
    first, second, rho = _checked(ratio_global, ratio_local, correlation)
    singular = np.abs(rho) == 1
    inside = as_function(*formula())(first, second, np.where(singular, 0.0, rho))
    hedged = np.where((rho == 1) & (first == second), first**2, np.inf)
    return result(np.where(singular, hedged, inside))


def optimal_ratio_squared(ratio_global: ArrayLike, ratio_local: ArrayLike, correlation: ArrayLike) -> Values:
    """Return R(θ*)², the largest squared ratio over θ in [0, 1] (T16).

    Let R_G be `ratio_global`, R_L `ratio_local`, ρ `correlation`; arguments broadcast. For ρ < min(R)/max(R)
    this is (R_G² + R_L² − 2ρ R_G R_L)/(1 − ρ²), otherwise max(R_G, R_L)².

    Raises:
        ValueError: ratios that are not positive, ρ outside [−1, 1].

    >>> optimal_ratio_squared(1.0, 2.0, [0.0, 0.5, 0.9]).round(6).tolist()
    [5.0, 4.0, 4.0]
    """
    first, second, rho = _checked(ratio_global, ratio_local, correlation)
    gains = rho < np.minimum(first, second) / np.maximum(first, second)
    formula_value = np.asarray(unconstrained_ratio_squared(first, second, rho))
    return result(np.where(gains, formula_value, np.maximum(first, second) ** 2))
