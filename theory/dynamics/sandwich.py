"""Discrete steps against the continuous margin (T10).

Statement (T10): let M_{t+1} = M_t + c/(1+e^{M_t}) and x(t) + e^{x(t)} = ct + M_0 + e^{M_0}; then
x(t) ≤ M_t ≤ x(t) + c/(1+e^{M_0}) for all t ≥ 0. For c ≤ 4 a step also keeps the order of two margins.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from theory.dynamics.saturation import margin
from theory.numerics.validation import ArrayLike, Values, between, finite, nonnegative, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation

RESULT = Result(
    tag="T10",
    title="Sandwich for the discrete recursion",
    problem="Bound the margin after t discrete steps by the solution of the differential equation.",
    assumptions=(
        "0 < c ≤ 4; the bounds need only c > 0, that a step keeps the order of two margins needs c ≤ 4.",
    ),
    bound="sandwich",
    uses=("T3", "T9"),
)

LARGEST_STEP = 4.0
"""Largest c for which one step is an increasing function of the margin."""


@cache
def formula() -> tuple[tuple[Formula, Formula], Formula]:
    """Return the symbols (c, M) and one step's increment c q(M), q being minus the slope of the logistic loss.

    >>> (c, level), increment = formula()
    >>> increment.subs(level, 0)
    c/2
    """
    import sympy

    c, level = sympy.Symbol("c", positive=True), sympy.Symbol("M", real=True)
    residual = -sympy.diff(sympy.log(1 + sympy.exp(-level)), level)
    return (c, level), c * sympy.simplify(residual)


@cache
def _letters() -> tuple[Formula, ...]:
    """What the lemmas share: t, c, M_0, M and x as functions of t, and the claims that define these."""
    import sympy

    (c, level), increment = formula()
    t, start = sympy.Symbol("t", integer=True, positive=True), sympy.Symbol("M_0", real=True)
    discrete, smooth = sympy.Function("M", real=True), sympy.Function("x", real=True)
    recursion = eq(discrete(t + 1), discrete(t) + increment.subs(level, discrete(t)))
    curve = eq(sympy.exp(smooth(t)), c * t + start + sympy.exp(start) - smooth(t))
    return t, c, start, discrete, smooth, recursion, curve


@cache
def derivation() -> Derivation:
    """Derive T10: two inductions over t, each step of which is verified."""
    lemmas = (_lower_bound(), _growth_of_the_curve(), _upper_bound(), _order())
    return Derivation(RESULT, statement=lemmas[0].states + lemmas[2].states + lemmas[3].states, lemmas=lemmas)


@cache
def _lower_bound() -> Lemma:
    import sympy

    t, c, start, discrete, smooth, recursion, curve = _letters()
    M, x = discrete(t), smooth(t)
    r, s = sympy.symbols("r s", positive=True)
    factor = sympy.Symbol("f", positive=True)
    energy = start + sympy.exp(start)
    after = discrete(t + 1) + sympy.exp(discrete(t + 1))
    surplus = sympy.exp(M) * sympy.Integral(sympy.exp(r), (r, 0, s), (s, 0, recursion.rhs - M))
    convex = relation(">=", surplus, 0)
    one_step = relation(">=", after, M + sympy.exp(M) + c)
    hypothesis = relation(">=", M + sympy.exp(M), c * t + energy)
    claim = relation(">=", M + sympy.exp(M), x + sympy.exp(x))
    steps = (
        Step.assumed("The residual of the logistic loss gives the recursion.", recursion),
        Step.assumed("The curve x solves x + e^x = ct + M_0 + e^{M_0} (T9).", curve),
        Step.sign(
            "Convexity: e^d − 1 − d is a double integral of an exponential, so it is not negative.", convex
        ),
        Step.chain("Hence one step raises M + e^M by at least c.", one_step, recursion, convex),
        Step.assumed("Induction hypothesis (an equality at t = 0).", hypothesis),
        Step.chain("Induction step.", relation(">=", after, c * (t + 1) + energy), hypothesis, one_step),
        Step.chain("Hence the discrete energy never falls behind the curve's.", claim, hypothesis, curve),
        Step.sign(
            "That is M_t ≥ x(t): a margin M = x − log(1+f) below x, f > 0, would have a smaller energy.",
            relation("<", M + sympy.exp(M), x + sympy.exp(x)),
            eq(M, x - sympy.log(1 + factor)),
        ),
    )
    return Lemma("The curve is a lower bound", steps, states=(claim,))


@cache
def _growth_of_the_curve() -> Lemma:
    import sympy

    t, c, _, _, smooth, _, curve = _letters()
    x, before_x = smooth(t), smooth(t - 1)
    r, s, gap = sympy.symbols("r s delta", positive=True)
    factor = sympy.Symbol("f", nonnegative=True)
    before = eq(before_x, x - gap)
    earlier = eq(sympy.exp(before_x), curve.rhs.subs(t, t - 1))
    gain = eq(c, x + sympy.exp(x) - before_x - sympy.exp(before_x))
    lag = sympy.exp(x) / (1 + sympy.exp(x)) * sympy.Integral(sympy.exp(-r), (r, 0, s), (s, 0, gap))
    concave = relation(">=", lag, 0)
    slower = relation(">=", x - before_x, c / (1 + sympy.exp(x)))
    steps = (
        Step.identity(
            "The energy x + e^x grows by c from t−1 to t: the difference of the defining equations.",
            gain,
            curve,
            earlier,
        ),
        Step.sign(
            "So the curve grows: from a point x(t−1) = x(t) + log(1+f) at or above x(t) the energy would not.",
            relation("<=", gain.rhs, 0),
            eq(before_x, x + sympy.log(1 + factor)),
        ),
        Step.assumed("Let δ > 0 be its growth.", before),
        Step.sign("δ − 1 + e^{−δ} is a double integral of an exponential, so it is not negative.", concave),
        Step.chain("Hence the curve grows by at least the step at its end.", slower, gain, before, concave),
    )
    return Lemma("The curve grows by at least a step at its end", steps, states=(slower,))


@cache
def _upper_bound() -> Lemma:
    import sympy

    t, c, start, discrete, smooth, recursion, _ = _letters()
    M, x = discrete(t), smooth(t)
    gap, factor = sympy.Symbol("delta", positive=True), sympy.Symbol("f", nonnegative=True)
    first = c / (1 + sympy.exp(start))
    (slower,) = _growth_of_the_curve().states
    weaker = relation(">=", c / (1 + sympy.exp(x)), c / (1 + sympy.exp(M)))
    hypothesis = relation("<=", M, smooth(t - 1) + first)
    shifted = relation("<=", discrete(t + 1), x + first)
    growing = relation(">=", smooth(t + 1), x)
    claim = relation("<=", discrete(t + 1), smooth(t + 1) + first)
    steps = (
        Step.sign(
            "The residual falls with the margin (M = x + log(1+f), f ≥ 0): the step at M_t is at most "
            "that at x(t).",
            weaker,
            eq(M, x + sympy.log(1 + factor)),
        ),
        Step.identity(
            "At t = 1 the discrete margin is one step behind the curve, which starts at M_0.",
            eq(discrete(1), smooth(0) + first),
            eq(discrete(1), recursion.rhs.subs(t, 0)),
            *(eq(function(0), start) for function in (discrete, smooth)),
        ),
        Step.assumed("Induction hypothesis (the equality just found at t = 1).", hypothesis),
        Step.chain("Induction step.", shifted, recursion, hypothesis, weaker, slower),
        Step.sign("The curve grows (Lemma 2).", growing, eq(smooth(t + 1), x + gap)),
        Step.chain("The upper bound.", claim, shifted, growing),
    )
    return Lemma("One step above the curve is an upper bound", steps, states=(claim,))


@cache
def _order() -> Lemma:
    import sympy

    (c, level), increment = formula()
    low, r = sympy.symbols("u r", real=True)
    gap, slack = sympy.symbols("g h", nonnegative=True)
    ahead = level + increment
    slope = ((1 - sympy.exp(level)) ** 2 + (4 - c) * sympy.exp(level)) / (1 + sympy.exp(level)) ** 2
    rise = sympy.Integral(slope.subs(level, r), (r, low, low + gap))
    slope_of = eq(sympy.Derivative(ahead, level), slope)
    integrated = eq(rise, ahead.subs(level, low + gap) - ahead.subs(level, low))
    increasing = relation(">=", rise, 0)
    claim = relation("<=", ahead.subs(level, low), ahead.subs(level, low + gap))
    steps = (
        Step.identity("The slope of one step as a function of the margin …", slope_of),
        Step.sign(
            "… is not negative for c = 4 − h ≤ 4, nor is its integral from u to u + g …",
            increasing,
            eq(c, 4 - slack),
        ),
        Step.identity("… which is the difference of two steps …", integrated),
        Step.chain(
            "… so of two margins u ≤ u + g the larger stays the larger.", claim, integrated, increasing
        ),
    )
    return Lemma("For c ≤ 4 a step keeps the order of two margins", steps)


def _step_size(c: ArrayLike) -> NDArray[np.float64]:
    return between("c", c, 0, LARGEST_STEP, open_low=True)


def lower(step: ArrayLike, c: ArrayLike, initial_margin: ArrayLike = 0.0) -> Values:
    """Return x(t), a lower bound of the discrete margin M_t (T10).

    Let t be `step`, c = ηκ be `c` (0 < c ≤ 4) and M_0 be `initial_margin`; arguments broadcast.

    Raises:
        ValueError: a negative step, c outside (0, 4].

    >>> round(float(lower(5, 1.0)), 6)
    1.503336
    """
    return margin(nonnegative("step", step) * _step_size(c), initial_margin)


def upper(step: ArrayLike, c: ArrayLike, initial_margin: ArrayLike = 0.0) -> Values:
    """Return x(t) + c/(1+e^{M_0}), an upper bound of the discrete margin M_t (T10).

    The arguments are those of `lower`.

    Raises:
        ValueError: a negative step, c outside (0, 4].

    >>> float(upper(0, 1.0))
    0.5
    """
    return result(
        lower(step, c, initial_margin) + _advance(_step_size(c), finite("initial_margin", initial_margin))
    )


def recursion(c: ArrayLike, initial_margin: ArrayLike, steps: int) -> NDArray[np.float64]:
    """Return the discrete margins M_0 … M_steps of M_{t+1} = M_t + c/(1+e^{M_t}) (T10).

    Let c be `c` and M_0 be `initial_margin`; they broadcast to some shape (…).

    Returns:
        Array of shape (steps + 1, …).

    Raises:
        ValueError: c outside (0, 4], a negative number of steps.

    >>> recursion(1.0, 0.0, 1).tolist()
    [0.0, 0.5]
    """
    nonnegative("steps", steps)
    size, level = np.broadcast_arrays(_step_size(c), finite("initial_margin", initial_margin))
    margins = np.empty((steps + 1, *level.shape))
    margins[0] = level
    for t in range(steps):
        margins[t + 1] = margins[t] + _advance(size, margins[t])
    return margins


def _advance(c: Values, level: Values) -> Values:
    # beyond 700 the increment is below 1e-300 and e^M would overflow
    answer: Values = as_function(*formula())(c, np.minimum(level, 700.0))
    return answer
