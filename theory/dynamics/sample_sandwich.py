"""Every training sample's margin between two curves, without any mean field (T11).

Statement (T11): let M_i ← M_i + η Σ_j 𝒦_ij q_j from a zero start, no two margins ever further apart than Δ, and
κ_i^± = 𝒦_ii + Σ_{j≠i} (𝒦⁺_ij e^{±Δ} − 𝒦⁻_ij e^{∓Δ}), with the positive and negative parts of 𝒦. Whenever
κ_i^- > 0 and ηκ_i^+ ≤ 4, x(t; ηκ_i^-) ≤ M_i(t) ≤ x(t; ηκ_i^+) + ηκ_i^+/2 for all t, where x(t; c) solves
x + e^x = ct + 1 (T10).
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import sandwich
from theory.dynamics.margin_kernel import square
from theory.numerics.validation import ArrayLike, finite, nonnegative, positive
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T11",
    title="Sample-wise sandwich",
    problem="Bound every training sample's margin at every step, whatever the overlap of the noise.",
    assumptions=(
        "Margins that follow the margin kernel, zero start.",
        "No two margins further apart than Δ; κ_i^- > 0 and ηκ_i^+ ≤ 4.",
    ),
    bound="sandwich",
    uses=("T10",),
)


class Rates(NamedTuple):
    """κ_i^- and κ_i^+ of every sample, shape (samples,), in units of margin per unit of τ."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


class Bounds(NamedTuple):
    """Bounds of every sample's margin at t = 0 … steps, shape (steps + 1, samples).

    A sample that T11 says nothing about (κ_i^- ≤ 0 or ηκ_i^+ > 4) has the bounds −∞ and ∞.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (𝒦_ii, S_i^+, S_i^-, Δ) and κ_i^-, κ_i^+.

    S_i^± are the sums of the positive and negative parts of 𝒦_ij over j ≠ i.

    >>> symbols, lower_rate, upper_rate = formula()
    >>> upper_rate.subs(symbols[-1], 0)
    K_ii + S^+ - S^-
    """
    import sympy

    own = sympy.Symbol("K_ii", real=True)
    plus, minus, spread = sympy.symbols("S^+ S^- Delta", nonnegative=True)
    upper_rate = own + plus * sympy.exp(spread) - minus * sympy.exp(-spread)
    return (own, plus, minus, spread), upper_rate.subs(spread, -spread), upper_rate


def _row_steps() -> tuple[Step, ...]:
    """The drive of a sample between κ_i^- q_i and κ_i^+ q_i, from the spread of the margins."""
    import sympy

    (own, plus, minus, spread), lower_formula, upper_formula = formula()
    i, j, others = sympy.symbols("i j m", integer=True, positive=True)
    first, second = sympy.symbols("M_i M_j", real=True)
    factor, shrink = sympy.symbols("f s", nonnegative=True)
    residual, excess, surplus = (sympy.IndexedBase(name, nonnegative=True) for name in ("q", "a", "b"))
    p, n = (sympy.IndexedBase(name, nonnegative=True)[i, j] for name in ("K^+", "K^-"))
    rate_upper, rate_lower = sympy.symbols("kappa_i^+ kappa_i^-", real=True)
    q_i, q_j = residual[i], residual[j]
    grow, fall = sympy.exp(spread), sympy.exp(-spread)

    def total(summand: Formula) -> Formula:
        return sympy.Sum(summand, (j, 1, others))

    def not_negative(text: str, part: Formula, gap: Formula, named: Formula) -> Step:
        terms = total(part * gap)
        return Step(text, relation(">=", terms, 0), "sign", (relation("=", terms, total(part * named)),))

    widest = relation("=", spread, sympy.log(1 + factor))
    residuals_below = Step(
        "Margins at most Δ apart have residuals at most a factor e^Δ apart "
        "(M_i = M_j + Δ − log(1+s), s ≥ 0; Δ = log(1+f)) …",
        relation("<=", 1 / (1 + sympy.exp(second)), grow / (1 + sympy.exp(first))),
        "sign",
        (relation("=", first, second + spread - sympy.log(1 + shrink)), widest),
    )
    residuals_above = Step(
        "… in both directions (M_j = M_i + Δ − log(1+s)).",
        relation(">=", 1 / (1 + sympy.exp(second)), fall / (1 + sympy.exp(first))),
        "sign",
        (relation("=", second, first + spread - sympy.log(1 + shrink)), widest),
    )
    a, b = excess[j], surplus[j]
    plus_below = not_negative(
        "With a_j = e^Δ q_i − q_j ≥ 0 and 𝒦⁺ ≥ 0, over the others:", p, grow * q_i - q_j, a
    )
    minus_above = not_negative("With b_j = q_j − e^{−Δ} q_i ≥ 0 and 𝒦⁻ ≥ 0:", n, q_j - fall * q_i, b)
    plus_above = not_negative("The same b_j with 𝒦⁺:", p, q_j - fall * q_i, b)
    minus_below = not_negative("The same a_j with 𝒦⁻:", n, grow * q_i - q_j, a)
    define_upper = relation("=", rate_upper, own + total(p * grow - n * fall))
    define_lower = relation("=", rate_lower, own + total(p * fall - n * grow))
    sums = (relation("=", plus, total(p)), relation("=", minus, total(n)))
    drive = own * q_i + total((p - n) * q_j)
    return (
        residuals_below,
        residuals_above,
        plus_below,
        minus_above,
        plus_above,
        minus_below,
        Step("Definition of κ_i^+; the others are numbered j = 1 … m.", define_upper, "assumed"),
        Step("Definition of κ_i^-.", define_lower, "assumed"),
        Step(
            "Only the sums S^± of the two parts enter.",
            relation("=", define_upper.rhs, upper_formula),
            "identity",
            sums,
        ),
        Step("The same for κ_i^-.", relation("=", define_lower.rhs, lower_formula), "identity", sums),
        Step(
            "It is the smaller one, so ηκ_i^+ ≤ 4 bounds both (Δ = log(1+f)).",
            relation(">=", upper_formula, lower_formula),
            "sign",
            (widest,),
        ),
        Step(
            "Hence the drive Σ_j 𝒦_ij q_j of sample i is at most κ_i^+ q_i …",
            relation("<=", drive, rate_upper * q_i),
            "chain",
            (define_upper, plus_below.claim, minus_above.claim),
        ),
        Step(
            "… and at least κ_i^- q_i.",
            relation(">=", drive, rate_lower * q_i),
            "chain",
            (define_lower, plus_above.claim, minus_below.claim),
        ),
    )


def _comparison_steps() -> tuple[Step, ...]:
    """The margin of a sample against the recursions of T10 with κ_i^+ and κ_i^-; the last step of each is the
    bound."""
    import sympy

    eta = letters().eta
    t = sympy.Symbol("t", integer=True, positive=True)
    margin, drive = sympy.Function("M_i", real=True), sympy.Symbol("D_i", real=True)
    short, gap, slack, factor = sympy.symbols("d g h f", nonnegative=True)
    r = sympy.Symbol("r", real=True)
    tag_lower, tag_upper = sandwich.derivation().statement
    generic = sympy.Symbol("c", positive=True)

    def ahead(c: Formula, level: Formula) -> Formula:
        return level + c / (1 + sympy.exp(level))

    def cited(claim: Formula, c: Formula, other: Formula, curve: Formula) -> Formula:
        """T10 for the comparison recursion, from a zero start."""
        names = {sympy.Function("M", real=True): other, sympy.Function("x", real=True): curve}
        sides = [side.subs({generic: c, sympy.Symbol("M_0", real=True): 0}) for side in claim.args]
        for old, new in names.items():
            sides = [side.replace(old, new) for side in sides]
        return relation(claim.rel_op, *sides)

    def ordered(low: Formula, high: Formula, c: Formula) -> tuple[Step, ...]:
        slope = ((1 - sympy.exp(r)) ** 2 + (4 - c) * sympy.exp(r)) / (1 + sympy.exp(r)) ** 2
        rise = sympy.Integral(slope, (r, low, low + gap))
        apart = relation("=", high, low + gap)
        integrated = relation("=", rise, ahead(c, low + gap) - ahead(c, low))
        increasing = relation(">=", rise, 0)
        return (
            Step("Induction hypothesis (an equality at t = 0): g ≥ 0.", apart, "assumed"),
            Step(
                "The slope of one step is not negative for c = 4 − h ≤ 4 …",
                increasing,
                "sign",
                (relation("=", eta, (4 - slack) / (c / eta)),),
            ),
            Step("… and its integral is the difference of two steps …", integrated, "identity"),
            Step(
                "… so a step keeps the order.",
                relation("<=", ahead(c, low), ahead(c, high)),
                "chain",
                (apart, integrated, increasing),
            ),
        )

    def side(sign: str, operator: Any, claim: Formula) -> tuple[Step, ...]:
        upper = sign == "+"
        rate = sympy.Symbol(f"kappa_i^{sign}", positive=True)
        c = eta * rate
        other, curve = (sympy.Function(f"{name}^{sign}", real=True) for name in ("m", "x"))
        moved = relation("=", margin(t + 1), margin(t) + eta * drive)
        residual = rate / (1 + sympy.exp(margin(t)))
        bounded = relation(operator, margin(t + 1), ahead(c, margin(t)))
        recursion = relation("=", other(t + 1), ahead(c, other(t)))
        low, high = (margin(t), other(t)) if upper else (other(t), margin(t))
        kept = ordered(low, high, c)
        next_step = relation(operator, margin(t + 1), other(t + 1))
        cited_claim = cited(claim, c, other, curve)
        steps = (
            Step("The kernel moves the margin by η times the drive D_i.", moved, "assumed"),
            Step(
                f"By the bound of the drive (D_i = κ_i^{sign} q_i {'−' if upper else '+'} d, d ≥ 0):",
                bounded,
                "sign",
                (moved, relation("=", drive, residual - short if upper else residual + short)),
            ),
            Step(f"The recursion of T10 with c = ηκ_i^{sign} ≤ 4, from zero.", recursion, "assumed"),
            *kept,
            Step("Induction step.", next_step, "chain", (bounded, kept[-1].claim, recursion)),
            Step("T10 for that recursion.", cited_claim, "assumed"),
        )
        if upper:
            final = relation("<=", margin(t + 1), cited_claim.rhs)
            return (*steps, Step("The upper bound.", final, "chain", (next_step, cited_claim)))
        energies = relation(">=", margin(t) + sympy.exp(margin(t)), other(t) + sympy.exp(other(t)))
        final = relation(">=", energies.lhs, cited_claim.rhs)
        return (
            *steps,
            Step(
                "v + e^v increases with v, and M_i ≥ m (M_i = m + log(1+f), f ≥ 0).",
                energies,
                "sign",
                (relation("=", margin(t), other(t) + sympy.log(1 + factor)),),
            ),
            Step("The lower bound.", final, "chain", (energies, cited_claim)),
        )

    return (*side("+", "<=", tag_upper), *side("-", ">=", tag_lower))


@cache
def derivation() -> Derivation:
    """Derive T11: the kernel's rows bounded by κ_i^±, and the comparison with T10.

    >>> derivation().result.bound
    'sandwich'
    """
    row, comparison = _row_steps(), _comparison_steps()
    upper = next(step.claim for step in comparison if step.text == "The upper bound.")
    return Derivation(RESULT, statement=(comparison[-1].claim, upper), steps=(*row, *comparison))


@cache
def _numeric() -> tuple[Any, Any]:
    symbols, lower_rate, upper_rate = formula()
    return as_function(symbols, lower_rate), as_function(symbols, upper_rate)


def largest_spread(margins: ArrayLike) -> float:
    """Return Δ, the largest distance between two samples' margins at any of the steps (T11).

    Let M be `margins`, shape (steps, samples).

    >>> largest_spread([[0.0, 0.0], [1.0, 1.5]])
    0.5
    """
    values = finite("margins", margins)
    return float(np.max(values.max(axis=-1) - values.min(axis=-1)))


def rates(kernel: ArrayLike, spread: float | int) -> Rates:
    """Return κ_i^- and κ_i^+ of every sample (T11).

    Let 𝒦 be `kernel`, shape (samples, samples), and Δ be `spread`.

    Raises:
        ValueError: a kernel that is not square, a negative spread.

    >>> rates([[2.0, 1.0], [-1.0, 2.0]], 0.0)
    Rates(lower=array([3., 1.]), upper=array([3., 1.]))
    """
    matrix, width = square(kernel), float(nonnegative("spread", spread))
    own = np.diag(matrix)
    others = matrix - np.diag(own)
    arguments = own, np.maximum(others, 0).sum(axis=1), np.maximum(-others, 0).sum(axis=1), width
    return Rates(*(function(*arguments) for function in _numeric()))


def bounds(kernel: ArrayLike, learning_rate: float, spread: float | int, steps: int) -> Bounds:
    """Return the bounds of every sample's margin at t = 0 … steps (T11).

    Let 𝒦 be `kernel`, η `learning_rate` and Δ `spread`; the bounds hold if no two margins are further apart
    than Δ at any of these steps.

    Raises:
        ValueError: as `exact_margins` and `rates`.

    >>> found = bounds([[2.0]], 0.5, 0.0, 1)
    >>> found.lower.round(3).tolist(), found.upper.round(3).tolist()
    ([[0.0], [0.443]], [[0.5], [0.943]])
    """
    found, eta = rates(kernel, spread), float(positive("learning_rate", learning_rate))
    covered = (found.lower > 0) & (eta * found.upper <= sandwich.LARGEST_STEP)
    t = np.arange(int(nonnegative("steps", steps)) + 1)[:, None]
    # any allowed c where nothing is said; the value is replaced
    low, high = (np.where(covered, eta * rate, 1.0) for rate in found)
    return Bounds(
        np.where(covered, sandwich.lower(t, low), -np.inf), np.where(covered, sandwich.upper(t, high), np.inf)
    )
