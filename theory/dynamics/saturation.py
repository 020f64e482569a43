"""How margins saturate: the closed form of M' = ηκ/(1 + e^M) (T9).

Statement (T9): M(t) = c − W(e^c) with c = ηκt + M_0 + e^{M_0} and Lambert's W; that is, M + e^M = c. The
accumulated residual is τ(t) = η ∫_0^t q = (M(t) − M_0)/κ.

e^c overflows for c > 709, so the numeric function solves M + e^M = c by Newton's method for the increment M −
M_0.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from theory.numerics.validation import ArrayLike, Values, between, finite, positive, result
from theory.proof.derivation import Derivation, Formula, Result, Step, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T9",
    title="Saturation of the margin",
    problem="Integrate the growth of a margin whose gradient fades as the margin grows.",
    assumptions=("The mean field of T8.", "Continuous time (T10 bounds the difference to discrete steps)."),
    bound="exact",
    uses=("T8",),
    sources=("Corless, Gonnet, Hare, Jeffrey and Knuth (1996), On the Lambert W function",),
)


LARGEST_SCALED_TIME = 1e308
"""Just below the largest float64: e^M, which stays below the scaled time, cannot overflow by rounding."""

MAX_ITERATIONS = 80
"""Newton needs at most about 15 iterations for any float64 input; the cap only guards against a defect."""


@cache
def formula() -> tuple[Formula, Formula, Formula]:
    """Return the symbols ηκt and M_0 and the margin as a SymPy expression, solved from the separated
    equation.

    >>> scaled_time, start, margin_of = formula()
    >>> margin_of.subs(start, 0).subs(scaled_time, 0)
    0
    """
    import sympy

    start = letters().M_0
    scaled_time = sympy.Symbol("T", nonnegative=True)
    unknown = sympy.Symbol("M")
    # the separated equation (1 + e^M) dM = d(ηκt), integrated from M_0
    integrated = sympy.integrate(1 + sympy.exp(unknown), unknown)
    (solution,) = sympy.solve(sympy.Eq(integrated, scaled_time + integrated.subs(unknown, start)), unknown)
    return scaled_time, start, solution


@cache
def derivation() -> Derivation:
    """Derive T9: the solution of the differential equation, its start, and the accumulated residual."""
    import sympy

    at = letters()
    scaled_time, start, solution = formula()
    t, u = sympy.symbols("t u", nonnegative=True)
    kappa, unknown = sympy.Symbol("kappa", positive=True), sympy.Symbol("M", real=True)
    margin_of, residual_of = sympy.Function("M"), sympy.Function("q")
    closed = solution.subs(scaled_time, at.eta * kappa * t)
    c = at.eta * kappa * t + start + sympy.exp(start)

    def rate_of(time: Formula) -> Formula:
        return sympy.Derivative(margin_of(time), time)

    equation = eq(rate_of(t), at.eta * kappa / (1 + sympy.exp(margin_of(t))))
    statement = eq(margin_of(t), closed)
    implicit = eq(margin_of(t) + sympy.exp(margin_of(t)), c)
    accumulated_residual = at.eta * sympy.Integral(rate_of(u) / (at.eta * kappa), (u, 0, t))
    accumulated_claim = eq(accumulated_residual, (margin_of(t) - margin_of(0)) / kappa)
    steps = (
        Step.identity(
            "Separating the variables, the left side integrates to M + e^M.",
            eq(sympy.Integral(1 + sympy.exp(unknown), unknown), unknown + sympy.exp(unknown)),
        ),
        Step.ode(
            "M = c − W(e^c) with c = ηκt + M_0 + e^{M_0} solves the differential equation …",
            statement,
            equation,
        ),
        Step.identity("… and M + e^M = c, by the equation W e^W = e^c that defines W.", implicit, statement),
        Step.identity(
            "At t = 0 it solves M + e^M = M_0 + e^{M_0} …",
            eq(margin_of(0) + sympy.exp(margin_of(0)), start + sympy.exp(start)),
            eq(margin_of(0), closed.subs(t, 0)),
        ),
        Step.sign(
            "… which no other M than M_0 does, because the left side increases: the solution starts at M_0.",
            relation(">", sympy.Derivative(unknown + sympy.exp(unknown), unknown), 0),
        ),
        Step.identity(
            "By the differential equation the residual q = 1/(1+e^M) is M'/(ηκ).",
            eq(residual_of(t), rate_of(t) / (at.eta * kappa)),
            eq(residual_of(t), 1 / (1 + sympy.exp(margin_of(t)))),
            equation,
        ),
        Step.identity("So τ = η ∫ q is the growth of the margin over κ.", accumulated_claim),
    )
    return Derivation(RESULT, statement=(statement, implicit, accumulated_claim), steps=steps)


def margin(scaled_time: ArrayLike, initial_margin: ArrayLike = 0.0) -> Values:
    """Return the margin M that solves M + e^M = ηκt + M_0 + e^{M_0} (T9).

    Let ηκt be `scaled_time` (learning rate times margin rate times steps, without unit) and M_0 be
    `initial_margin`; arguments broadcast. The increment M − M_0 has a relative error near 1e-15 for every
    scaled time up to 1e308 and M_0 up to 600 (beyond, it may underflow against M_0).

    Raises:
        ValueError: a scaled time that is negative or above 1e308, an initial margin that is not finite.

    >>> round(float(margin(1.0)), 12)
    0.442854401002
    >>> round(float(margin(1e300)), 6)
    690.775528
    """
    c = between("scaled_time", scaled_time, 0, LARGEST_SCALED_TIME)
    start = finite("initial_margin", initial_margin)
    c, start = np.broadcast_arrays(c, start)
    return result(start + _increment(c, start))


def _increment(c: NDArray[np.float64], start: NDArray[np.float64]) -> Values:
    """Solve d + E (e^d − 1) = c with E = e^start; both sides are divided by E where E is large."""
    exponent = np.minimum(start, 0.0)
    with np.errstate(divide="ignore", under="ignore"):
        shrink = np.exp(-np.maximum(start, 0.0))
        weight = np.exp(exponent)
        goal = c * shrink
        # both bound the root from above; Newton's method on a convex increasing function descends to it
        d = np.minimum(goal / (shrink + weight), np.logaddexp(0.0, np.log(c) - start))
        for _ in range(MAX_ITERATIONS):
            slope = np.exp(d + exponent)
            # e^d − 1 overflows where e^start is tiny, and the difference cancels where d is
            growth = np.where(d < 1.0, weight * np.expm1(np.minimum(d, 1.0)), slope - weight)
            step = (shrink * d + growth - goal) / (shrink + slope)
            d = np.maximum(d - step, 0.0)
            if np.all(np.abs(step) <= 4 * np.finfo(np.float64).eps * d):
                break
    return d


def accumulated(scaled_time: ArrayLike, rate: ArrayLike, initial_margin: ArrayLike = 0.0) -> Values:
    """Return τ = η ∫ q = (M − M_0)/κ, the accumulated residual (T9).

    Let ηκt be `scaled_time`, κ be `rate` and M_0 be `initial_margin`; arguments broadcast. τ has the unit of
    a learning rate times a number of steps: an untouched prompt with q = 1/2 gains η/2 per step.

    Raises:
        ValueError: as `margin`; a rate that is not positive.

    >>> round(float(accumulated(1e-6, 20.0)) * 20 / 1e-6, 6)
    0.5
    """
    c = between("scaled_time", scaled_time, 0, LARGEST_SCALED_TIME)
    start = finite("initial_margin", initial_margin)
    kappa = positive("rate", rate)
    c, start, kappa = np.broadcast_arrays(c, start, kappa)
    return result(_increment(c, start) / kappa)
