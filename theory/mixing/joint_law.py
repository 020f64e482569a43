"""The optimal mixing of joint training (T21).

Statement (T21): a jointly trained prompt grows in proportion to its own weight, so the effective weights are
((1−θ)², θ²), and θ*_joint = √odds/(1 + √odds), where odds are those of post-hoc mixing of equally long
trained prompts (equal τ). It is the same at every time.
"""

from functools import cache

import numpy as np

from theory.model import update_rule
from theory.numerics.validation import ArrayLike, Values, between, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T21",
    title="Joint mixing law",
    problem="Which mixing is best when both prompts are trained through the mixture?",
    assumptions=("The symmetric mean field of T8 and T9, where both prompts share τ.",),
    bound="asymptotic",
    uses=("T2", "T5", "T8", "T15"),
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
    """Derive T21 from the growth of a prompt in proportion to its weight."""
    import sympy

    at, (symbols, moved) = letters(), update_rule.formula()
    omega, slope = symbols[1], symbols[3]
    increment = moved.subs(symbols[2], sympy.Symbol("w_r", positive=True))
    odds, theta, x = sympy.symbols("odds theta x", positive=True)
    output, of_full = sympy.Symbol("h_r", real=True), sympy.Symbol(r"h_r^{\omega=1}", real=True)
    root, solution = formula()
    w_global, w_local = (1 - theta) ** 2, theta**2

    def ratio_of(w_g: Formula, w_l: Formula, scale: Formula = 1) -> Formula:
        variance = w_g**2 * at.A * scale**2 + 2 * w_g * w_l * at.C * scale**2 + w_l**2 * at.B * scale**2
        return (w_g * at.s_G * scale + w_l * at.s_L * scale) / sympy.sqrt(variance)

    variance = at.A + 2 * x * at.C + x**2 * at.B
    to_local, to_global = at.s_L * at.A - at.s_G * at.C, at.s_G * at.B - at.s_L * at.C
    statement = eq(theta, solution.subs(root, sympy.sqrt(odds)))
    steps = (
        Step.identity(
            "A step moves a coefficient in proportion to the prompt's weight ω (T5), the output follows with "
            "the encoder's slope (T2), and the mixture reads it with ω again: ω² times what full weight gives.",
            eq(omega * output, omega**2 * of_full),
            eq(output, slope * increment),
            eq(of_full, slope * increment.subs(omega, 1)),
        ),
        Step.identity(
            "Both prompts share the residuals, hence τ, and a common τ cancels from the ratio: θ* does not move.",
            eq(ratio_of(w_global, w_local, at.tau), ratio_of(w_global, w_local)),
        ),
        Step.identity(
            "Only the proportion x of the weights counts …",
            eq(ratio_of(w_global, w_local), ratio_of(sympy.Integer(1), w_local / w_global)),
            eq(theta, 1 / (1 + x)),
        ),
        Step.identity(
            "… and along x the ratio rises while x is below the odds of T15, and falls beyond.",
            eq(
                sympy.Derivative(ratio_of(sympy.Integer(1), x), x) * variance ** sympy.Rational(3, 2),
                to_local - x * to_global,
            ),
        ),
        Step.root(
            "So the optimum has θ²/(1−θ)² = odds, which gives this θ, the only one:",
            statement,
            eq(theta**2 / (1 - theta) ** 2, odds),
        ),
        Step.sign(
            "θ/(1−θ) increases on [0, 1), where θ = 1 − x.",
            relation(">", sympy.Derivative(theta / (1 - theta), theta), 0),
            eq(theta, 1 - x),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


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
    symbol, mixing = formula()
    return result(np.where(unbounded, 1.0, as_function((symbol,), mixing)(np.where(unbounded, 0.0, root))))
