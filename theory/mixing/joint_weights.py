"""The optimal weights of joint training, for any number of prompts (T23, T21).

Statement (T23, joint): a prompt grows in proportion to its own weight, so the effective weights are θ_i², and
the best joint weights are θ_i = √w_i*/Σ_j √w_j*, with w* the best weights of prompts trained alone, at every time.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from theory.numerics.validation import ArrayLike, nonnegative
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T23 (joint)",
    title="Joint weights of many prompts",
    problem="Which weights are best when all prompts are trained through the mixture?",
    assumptions=("The symmetric mean field of T8 and T9, where all prompts share τ.",),
    bound="asymptotic",
    uses=("T21", "T23"),
)


@cache
def formula() -> tuple[tuple[Formula, Formula], Formula]:
    """Return the symbols (w_i, r) and θ_i = √w_i/r, where r = Σ √w_j makes the weights sum to one.

    >>> formula()[1]
    sqrt(w)/r
    """
    import sympy

    weight, total, theta, scale = sympy.symbols("w r theta c", positive=True)
    # the effective weights θ_i² are c w_i with a common c; the sum of the θ_i then fixes c = 1/r²
    (solution,) = sympy.solve(sympy.Eq(theta**2, scale * weight), theta)
    return (weight, total), solution.subs(scale, 1 / total**2)


@cache
def derivation() -> Derivation:
    """Derive the joint law from the growth of a prompt in proportion to its weight, for three prompts."""
    import sympy

    at, (total, scale) = letters(), sympy.symbols("r c", positive=True)
    w, theta = sympy.symbols("w_1:4", positive=True), sympy.symbols("theta_1:4", positive=True)
    effective, signals = sympy.symbols("W_1:4", positive=True), sympy.symbols("s_1:4", real=True)
    gram = [
        [sympy.Symbol(f"Sigma_{min(i, j)}{max(i, j)}", positive=True) for j in (1, 2, 3)] for i in (1, 2, 3)
    ]
    (entry, norm), share = formula()
    shares = tuple(eq(theta[i], share.subs({entry: w[i], norm: total}, simultaneous=True)) for i in range(3))
    roots = eq(total, sum(sympy.sqrt(value) for value in w))
    variance = sum(effective[i] * effective[j] * gram[i][j] for i in range(3) for j in range(3))
    squared_of = sum(effective[i] * signals[i] for i in range(3)) ** 2 / (at.sigma**2 * variance)
    squared = sympy.Symbol("R^2")
    scaled = squared_of.subs({value: scale * at.tau * value for value in effective}, simultaneous=True)
    statement = eq(theta[0], sympy.sqrt(w[0]) / sum(sympy.sqrt(value) for value in w))
    steps = (
        Step.assumed(
            "A prompt trained with weight θ_i enters the mixture with the effective weight θ_i² (T21).",
            eq(effective[0], theta[0] ** 2),
        ),
        Step.identity(
            "All prompts share τ. It cancels from the ratio of the effective weights W_i, and so does any other"
            " common factor c: only their proportions count, at every time.",
            eq(squared, squared_of),
            eq(squared, scaled),
        ),
        Step.identity(
            "The best proportions are those of w* (T23); these θ have them (here for three prompts) …",
            eq(theta[0] ** 2 / theta[1] ** 2, w[0] / w[1]),
            *shares,
        ),
        Step.identity("… and sum to one …", eq(sum(theta), 1), *shares, roots),
        Step.sign(
            "… and are the only ones, because the square of a weight grows with it.",
            relation(">", sympy.Derivative(theta[0] ** 2, theta[0]), 0),
        ),
        Step.identity("The joint weights.", statement, shares[0], roots),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def joint_weights(weights: ArrayLike) -> NDArray[np.float64]:
    """Return θ_i = √w_i / Σ √w_j, the best weights of joint training (T23).

    Let w be `weights`, of shape (…, prompts): the best weights of prompts trained alone, equally long, as by
    `many_assets.optimal_weights`. They need not sum to one.

    Returns:
        Array of the same shape.

    Raises:
        ValueError: negative weights, or none that is positive.

    >>> joint_weights([0.8, 0.2, 0.0]).round(3).tolist()
    [0.667, 0.333, 0.0]
    """
    w = nonnegative("weights", weights)
    total = np.sqrt(w).sum(axis=-1, keepdims=True)
    if np.any(total == 0):
        raise ValueError("`weights` are all 0.0 for some mixture; allowed: at least one positive weight")
    return np.asarray(as_function(*formula())(w, total))
