"""The portfolio of two prompts and its logistic loss (T3).

Statement (T3): mixing features is mixing logits, ⟨g, H⟩ = (1−θ)⟨g, h_G⟩ + θ⟨g, h_L⟩, with the global prompt
alone at θ = 0 and the local one at θ = 1. The loss of a margin decreases with slope −q, q = 1/(1+e^M), and is
convex. Along the global prompt's feature the loss has the gradient −(1−θ) q y g, along the local one's −θ q y g.

Both numeric functions are stable twins of the formulas: e^{−M} overflows for M < −709, and 1 + e^{−M} loses it
for M > 36.
"""

from functools import cache

import numpy as np
from scipy.special import expit

from theory.numerics.validation import ArrayLike, Values, finite, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T3",
    title="Portfolio and loss",
    problem="How does the logistic loss of a mixture depend on each of its two prompts?",
    assumptions=(
        "Text features are mixed with weights 1−θ and θ, and not normalised again (mixture and loss as in the "
        "paper's abstract and the authors' code).",
    ),
    bound="exact",
    sources=(
        "Radford et al. (2021), Learning Transferable Visual Models From Natural Language Supervision, "
        "arXiv:2103.00020 (scores as inner products of an image feature and a text feature)",
    ),
)


@cache
def formula() -> tuple[Formula, Formula, Formula]:
    """Return the symbol M, the loss log(1 + e^{−M}) and the residual q, minus its derivative.

    >>> margin, loss, residual = formula()
    >>> residual.subs(margin, 0)
    1/2
    """
    import sympy

    margin = sympy.Symbol("M", real=True)
    loss = sympy.log(1 + sympy.exp(-margin))
    return margin, loss, sympy.simplify(-sympy.diff(loss, margin))


@cache
def derivation() -> Derivation:
    """Derive T3: mixture of logits, slope and convexity of the loss, and its gradient along each feature."""
    import sympy

    theta = letters().theta
    margin, loss, residual = formula()
    r, rows = sympy.symbols("r m", integer=True, positive=True)
    feature, h_global, h_local = (sympy.IndexedBase(name, real=True) for name in ("g", "h_G", "h_L"))
    entry_global, entry_local, mixed, g, rest, y = sympy.symbols("h_G h_L H g f_0 y", real=True)
    in_rows = (r, 1, rows)
    mixture = eq(mixed, (1 - theta) * entry_global + theta * entry_local)
    logits = eq(
        sympy.Sum(feature[r] * ((1 - theta) * h_global[r] + theta * h_local[r]), in_rows),
        (1 - theta) * sympy.Sum(feature[r] * h_global[r], in_rows)
        + theta * sympy.Sum(feature[r] * h_local[r], in_rows),
    )
    slope = eq(sympy.Derivative(loss, margin), -residual)
    q = sympy.Symbol("q", positive=True)
    score = rest + g * mixture.rhs  # one row of the mixture, the others held fixed in f_0
    by_global, by_local = (
        eq(sympy.Derivative(sympy.log(1 + sympy.exp(-y * score)), entry), -share * q * y * g)
        for entry, share in ((entry_global, 1 - theta), (entry_local, theta))
    )
    q_here = eq(q, residual.subs(margin, y * score))
    at_zero, at_one = (eq(mixed, entry) for entry in (entry_global, entry_local))
    steps = (
        Step.assumed("An entry of the portfolio's text feature.", mixture),
        Step.modelled("θ = 0 is the global prompt alone …", at_zero, mixture, eq(theta, 0)),
        Step.modelled("… and θ = 1 the local one.", at_one, mixture, eq(theta, 1)),
        Step.identity("Scores are linear in the text feature: mixing features is mixing logits.", logits),
        Step.identity("The loss of one margin has slope −q …", slope),
        Step.sign("… where the residual q lies above 0 …", relation(">", residual, 0)),
        Step.sign("… and below 1.", relation("<", residual, 1)),
        Step.identity(
            "The residual falls with the margin at the rate q(1−q) …",
            eq(sympy.Derivative(residual, margin), -residual * (1 - residual)),
        ),
        Step.sign(
            "… so the loss is convex: its second derivative is positive.",
            relation(">", sympy.Derivative(loss, margin, 2), 0),
        ),
        Step.identity(
            "Along an entry of the global prompt's feature the loss falls by the residual times 1−θ (one row; f_0 "
            "holds the other rows) …",
            by_global,
            q_here,
        ),
        Step.identity("… and along the local prompt's by the residual times θ.", by_local, q_here),
    )
    return Derivation(RESULT, statement=(logits, slope, by_global, by_local), steps=steps)


def loss(margin: ArrayLike) -> Values:
    """Return the logistic loss log(1 + e^{−M}) of a margin (T3).

    Let M be `margin`, of any shape, in the units of ⟨g, H⟩. The loss is in nats.

    Raises:
        ValueError: a margin that is not finite.

    >>> round(float(loss(0.0)), 6), float(loss(-800.0))
    (0.693147, 800.0)
    """
    return result(np.logaddexp(0.0, -finite("margin", margin)))


def residual(margin: ArrayLike) -> Values:
    """Return the residual q = 1/(1+e^M), minus the slope of the loss (T3); a number between 0 and 1.

    Let M be `margin`, of any shape.

    Raises:
        ValueError: a margin that is not finite.

    >>> residual([0.0, 800.0]).tolist()
    [0.5, 0.0]
    """
    return result(expit(-finite("margin", margin)))


def mixture(theta: ArrayLike, encoded_global: ArrayLike, encoded_local: ArrayLike) -> Values:
    """Return the portfolio's text feature H = (1−θ) h_G + θ h_L, or the same mixture of logits (T3).

    Let θ be `theta`, h_G `encoded_global` and h_L `encoded_local`; arguments broadcast.

    Raises:
        ValueError: θ outside [0, 1], features that are not finite.

    >>> mixture(0.25, [4.0, 0.0], [0.0, 4.0]).tolist()
    [3.0, 1.0]
    """
    weight = unit_interval("theta", theta)
    shared, own = finite("encoded_global", encoded_global), finite("encoded_local", encoded_local)
    return result((1 - weight) * shared + weight * own)
