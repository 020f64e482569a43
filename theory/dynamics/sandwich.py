"""Discrete steps against the continuous margin (T10).

Statement (T10): let M_{t+1} = M_t + c/(1+e^{M_t}) and x(t) + e^{x(t)} = ct + M_0 + e^{M_0}; then
x(t) ≤ M_t ≤ x(t) + c/(1+e^{M_0}) for all t ≥ 0.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.dynamics.saturation import margin
from theory.numerics.validation import ArrayLike, Values, between, finite, nonnegative, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation

RESULT = Result(
    tag="T10",
    title="Sandwich for the discrete recursion",
    problem="Bound the margin after t discrete steps by the solution of the differential equation.",
    assumptions=("0 < c ≤ 4.",),
    bound="sandwich",
    uses=(),
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
def derivation() -> Derivation:
    """Derive T10: two inductions over t, each step of which is verified.

    >>> derivation().result.bound
    'sandwich'
    """
    import sympy

    (c, level), increment = formula()
    t = sympy.Symbol("t", integer=True, positive=True)
    r, s, gap = sympy.symbols("r s delta", positive=True)
    factor, slack = sympy.symbols("f h", nonnegative=True)
    start = sympy.Symbol("M_0", real=True)
    discrete, smooth = sympy.Function("M", real=True), sympy.Function("x", real=True)
    M, x = discrete(t), smooth(t)
    energy = start + sympy.exp(start)
    first = c / (1 + sympy.exp(start))

    recursion_step = relation("=", discrete(t + 1), M + increment.subs(level, M))
    curve = relation("=", sympy.exp(x), c * t + energy - x)
    surplus = sympy.exp(M) * sympy.Integral(sympy.exp(r), (r, 0, s), (s, 0, increment.subs(level, M)))
    convex = relation(">=", surplus, 0)
    hypothesis = relation(">=", M + sympy.exp(M), c * t + energy)
    after = discrete(t + 1) + sympy.exp(discrete(t + 1))
    one_step = relation(">=", after, M + sympy.exp(M) + c)
    lower_claim = relation(">=", M + sympy.exp(M), x + sympy.exp(x))

    before = relation("=", smooth(t - 1), x - gap)
    earlier = relation("=", sympy.exp(x - gap), c * (t - 1) + energy - (x - gap))
    spent = relation("=", c, gap + sympy.exp(x) - sympy.exp(x - gap))
    lag = sympy.exp(x) / (1 + sympy.exp(x)) * sympy.Integral(sympy.exp(-r), (r, 0, s), (s, 0, gap))
    concave = relation(">=", lag, 0)
    slower = relation(">=", x - smooth(t - 1), c / (1 + sympy.exp(x)))
    weaker = relation(">=", c / (1 + sympy.exp(x)), c / (1 + sympy.exp(M)))
    shifted = relation("<=", M, smooth(t - 1) + first)
    shifted_next = relation("<=", discrete(t + 1), x + first)
    growing = relation(">=", smooth(t + 1), x)
    upper_claim = relation("<=", discrete(t + 1), smooth(t + 1) + first)
    slope = ((1 - sympy.exp(level)) ** 2 + (4 - c) * sympy.exp(level)) / (1 + sympy.exp(level)) ** 2
    steps = (
        Step("The residual of the logistic loss gives the recursion.", recursion_step, "assumed"),
        Step("The curve x solves x + e^x = ct + M_0 + e^{M_0}.", curve, "assumed"),
        Step(
            "Convexity: e^d − 1 − d is a double integral of an exponential, so it is not negative.",
            convex,
            "sign",
        ),
        Step(
            "Hence one step raises M + e^M by at least c.",
            one_step,
            "chain",
            (recursion_step, convex),
        ),
        Step("Induction hypothesis (an equality at t = 0).", hypothesis, "assumed"),
        Step(
            "Induction step.",
            relation(">=", after, c * (t + 1) + energy),
            "chain",
            (hypothesis, one_step),
        ),
        Step(
            "Hence the discrete energy never falls behind the curve's.",
            lower_claim,
            "chain",
            (hypothesis, curve),
        ),
        Step(
            "v + e^v increases with v, so M_t ≥ x(t): the lower bound.",
            relation(">", sympy.Integral(1 + sympy.exp(r), (r, gap, gap + s)), 0),
            "sign",
        ),
        Step(
            "The residual falls with the margin (M = x + log(1+f), f ≥ 0): the step at M_t is at most "
            "that at x(t).",
            weaker,
            "sign",
            (relation("=", M, x + sympy.log(1 + factor)),),
        ),
        Step("The curve grows by δ > 0 from t−1 to t …", before, "assumed"),
        Step(
            "… and its energy by c: the difference of the defining equations at t and t−1.",
            spent,
            "identity",
            (earlier, curve),
        ),
        Step(
            "δ − 1 + e^{−δ} is a double integral of an exponential, so it is not negative.", concave, "sign"
        ),
        Step(
            "Hence the curve grows by at least the step at its end.",
            slower,
            "chain",
            (spent, before, concave),
        ),
        Step(
            "At t = 1 the discrete margin is M_0 + c/(1+e^{M_0}), and x(0) = M_0.",
            relation("=", start + increment.subs(level, start), start + first),
            "identity",
        ),
        Step("Induction hypothesis (the equality just found at t = 1).", shifted, "assumed"),
        Step("Induction step.", shifted_next, "chain", (recursion_step, shifted, weaker, slower)),
        Step("The curve grows.", growing, "sign", (relation("=", smooth(t + 1), x + gap),)),
        Step("The upper bound.", upper_claim, "chain", (shifted_next, growing)),
        Step(
            "The slope of one step as a function of the margin …",
            relation("=", sympy.diff(level + increment, level), slope),
            "identity",
        ),
        Step(
            "… is not negative for c = 4 − h ≤ 4.",
            relation(">=", slope, 0),
            "sign",
            (relation("=", c, 4 - slack),),
        ),
    )
    return Derivation(RESULT, statement=(lower_claim, upper_claim), steps=steps)


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


@cache
def _numeric() -> Callable[..., Any]:
    return as_function(*formula())


def _advance(c: Values, level: Values) -> Values:
    # beyond 700 the increment is below 1e-300 and e^M would overflow
    answer: Values = _numeric()(c, np.minimum(level, 700.0))
    return answer
