"""The optimal mixing of joint training (T21).

Statement (T21): a jointly trained prompt grows in proportion to its own weight, so the effective weights are
((1−θ)², θ²), and θ*_joint = √odds/(1 + √odds), where odds are those of post-hoc mixing of equally long
trained prompts (equal τ). It is the same at every time.
"""

from functools import cache
from typing import Any

import numpy as np

from theory.numerics.validation import ArrayLike, Values, between, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T21",
    title="Joint mixing law",
    problem="Which mixing is best when both prompts are trained through the mixture?",
    assumptions=("The symmetric mean field of T8 and T9.",),
    bound="asymptotic",
    uses=("T15",),
)


@cache
def formula() -> tuple[Formula, Formula]:
    """Return the symbol for √odds and θ*_joint, solved from θ²/(1−θ)² = odds.

    >>> root, mixing = formula()
    >>> mixing.subs(root, 1)
    1/2
    """
    import sympy

    root = sympy.Symbol("x", positive=True)
    theta = letters().theta
    # both sides are squares of nonnegative numbers for θ in [0, 1), so the equation is that of their roots
    (solution,) = sympy.solve(sympy.Eq(theta / (1 - theta), root), theta)
    return root, solution


@cache
def derivation() -> Derivation:
    """Derive T21 from the growth of a prompt in proportion to its weight.

    >>> derivation().result.tag
    'T21'
    """
    import sympy

    at = letters()
    odds = sympy.Symbol("odds", positive=True)
    growth, output = sympy.symbols("g omega", positive=True)
    root, solution = formula()
    s_global, s_local, tau = at.s_G, at.s_L, at.tau
    w_global, w_local = (1 - at.theta) ** 2, at.theta**2
    ratio_of = (w_global * s_global + w_local * s_local) / sympy.sqrt(
        w_global**2 * at.A + 2 * w_global * w_local * at.C + w_local**2 * at.B
    )
    scaled = ratio_of.subs(
        {
            s_global: s_global * tau,
            s_local: s_local * tau,
            at.A: at.A * tau**2,
            at.B: at.B * tau**2,
            at.C: at.C * tau**2,
        },
        simultaneous=True,
    )
    inside = sympy.Symbol("theta", positive=True)
    statement = relation("=", inside, sympy.sqrt(odds) / (1 + sympy.sqrt(odds)))
    steps = (
        Step(
            "A prompt with weight ω has coefficients proportional to ω (T5) and enters the output with "
            "ω again.",
            relation("=", output * (growth * output), growth * output**2),
            "identity",
        ),
        Step(
            "Both prompts share the residuals, hence τ, and a common τ cancels from the ratio: θ* does "
            "not move.",
            relation("=", scaled, ratio_of),
            "identity",
        ),
        Step(
            "Maximising over the ratio of weights is T15: the optimum has θ²/(1−θ)² = odds, which "
            "gives this θ.",
            statement,
            "root",
            (relation("=", inside**2 / (1 - inside) ** 2, odds),),
        ),
        Step(
            "It is the only one in [0, 1): θ/(1−θ) increases (written with x = 1−θ).",
            relation(">", sympy.diff(inside / (1 - inside), inside), 0),
            "sign",
            (relation("=", inside, 1 - sympy.Symbol("x", positive=True)),),
        ),
        Step(
            "The numeric function evaluates the solved expression.",
            relation("=", solution.subs(root, sympy.sqrt(odds)), statement.rhs),
            "identity",
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


@cache
def _numeric() -> Any:
    root, solution = formula()
    return as_function((root,), solution)


def joint_mixing(odds: ArrayLike) -> Values:
    """Return θ*_joint = √odds/(1 + √odds) (T21).

    Let odds = θ*/(1−θ*) be `odds`, the optimal post-hoc odds at equal τ, e.g. `leading_order.posthoc_odds`;
    infinite odds give 1. Any shape.

    Raises:
        ValueError: negative odds or NaN.

    >>> joint_mixing([0.0, 0.25, float("inf")]).round(3).tolist()
    [0.0, 0.333, 1.0]
    """
    root = np.sqrt(between("odds", odds, 0, finite=False))
    unbounded = np.isinf(root)
    return result(np.where(unbounded, 1.0, _numeric()(np.where(unbounded, 0.0, root))))
