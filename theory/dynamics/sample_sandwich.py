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
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T11",
    title="Sample-wise sandwich",
    problem="Bound every training sample's margin at every step, whatever the overlap of the noise.",
    assumptions=(
        "Margins that follow the margin kernel, with its assumptions; zero start.",
        "No two margins further apart than Δ, which is measured, or assumed and then verified; κ_i^- > 0 and "
        "ηκ_i^+ ≤ 4.",
    ),
    bound="sandwich",
    uses=("T10", "T11 (kernel)"),
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


class _Letters(NamedTuple):
    """What the lemmas share: q_i, κ_i^±, the margin of sample i, the time t, and the drive D_i = Σ_j 𝒦_ij q_j."""

    residual: Formula
    rates: tuple[Formula, Formula]
    margin: Formula
    t: Formula
    drive: Formula


def _others(summand: Formula) -> Formula:
    import sympy

    j, count = sympy.symbols("j m", integer=True, positive=True)
    return sympy.Sum(summand, (j, 1, count))


def _entries() -> tuple[Formula, Formula, Formula, Formula]:
    """Positive and negative part of 𝒦_ij, q_i and q_j."""
    import sympy

    i, j = sympy.symbols("i j", integer=True, positive=True)
    plus, minus, residual = (sympy.IndexedBase(name, nonnegative=True) for name in ("K^+", "K^-", "q"))
    return plus[i, j], minus[i, j], sympy.Symbol("q_i", nonnegative=True), residual[j]


@cache
def _letters() -> _Letters:
    import sympy

    _, _, q_i, _ = _entries()
    rates_of = sympy.Symbol("kappa_i^-", positive=True), sympy.Symbol("kappa_i^+", positive=True)
    t = sympy.Symbol("t", integer=True, positive=True)
    return _Letters(q_i, rates_of, sympy.Function("M_i", real=True), t, sympy.Symbol("D_i", real=True))


@cache
def derivation() -> Derivation:
    """Derive T11: the kernel's rows bounded by κ_i^±, and the comparison with T10.

    >>> derivation().result.bound
    'sandwich'
    """
    lemmas = (_residuals(), _drive(), _recursions(), _upper_bound(), _lower_bound())
    return Derivation(RESULT, statement=lemmas[-1].states + lemmas[-2].states, lemmas=lemmas)


@cache
def _residuals() -> Lemma:
    """Margins at most Δ apart have residuals at most a factor e^Δ apart."""
    import sympy

    spread = formula()[0][-1]
    first, second = sympy.symbols("M_i M_j", real=True)
    factor, shrink = sympy.symbols("f s", nonnegative=True)
    widest = relation("=", spread, sympy.log(1 + factor))
    apart = spread - sympy.log(1 + shrink)
    below = relation("<=", 1 / (1 + sympy.exp(second)), sympy.exp(spread) / (1 + sympy.exp(first)))
    above = relation(">=", 1 / (1 + sympy.exp(second)), sympy.exp(-spread) / (1 + sympy.exp(first)))
    steps = (
        Step(
            "If M_i is at most Δ above M_j, that is M_i = M_j + Δ − log(1+s) with s ≥ 0 and Δ = log(1+f):",
            below,
            "sign",
            (relation("=", first, second + apart), widest),
        ),
        Step(
            "If M_j is at most Δ above M_i, that is M_j = M_i + Δ − log(1+s):",
            above,
            "sign",
            (relation("=", second, first + apart), widest),
        ),
    )
    return Lemma(
        "Margins at most Δ apart have residuals at most a factor e^Δ apart", steps, states=(below, above)
    )


@cache
def _drive() -> Lemma:
    """The drive lies between κ_i^- q_i and κ_i^+ q_i."""
    import sympy

    (own, plus, minus, spread), lower_rate, upper_rate = formula()
    p, n, q_i, q_j = _entries()
    eta, drive, (kappa_low, kappa_high) = letters().eta, _letters().drive, _letters().rates
    j, factor = sympy.Symbol("j", integer=True, positive=True), sympy.Symbol("f", nonnegative=True)
    a, b = (sympy.IndexedBase(name, nonnegative=True)[j] for name in ("a", "b"))
    grow, fall = sympy.exp(spread), sympy.exp(-spread)
    excess, surplus = grow * q_i - q_j, q_j - fall * q_i
    sums = (relation("=", plus, _others(p)), relation("=", minus, _others(n)))
    define_upper = relation("=", kappa_high, own + _others(p * grow - n * fall))
    define_lower = relation("=", kappa_low, own + _others(p * fall - n * grow))
    drive_of = relation("=", drive, own * q_i + _others((p - n) * q_j))
    upper = relation("<=", eta * drive, eta * kappa_high * q_i)
    lower = relation(">=", eta * drive, eta * kappa_low * q_i)

    def not_negative(text: str, part: Formula, gap: Formula, named: Formula) -> Step:
        terms = eta * _others(part * gap)
        return Step(
            text, relation(">=", terms, 0), "sign", (relation("=", terms, eta * _others(part * named)),)
        )

    plus_below = not_negative(
        "By Lemma 1 a_j = e^Δ q_i − q_j ≥ 0. With 𝒦⁺ ≥ 0, over the others:", p, excess, a
    )
    minus_above = not_negative("By Lemma 1 b_j = q_j − e^{−Δ} q_i ≥ 0. With 𝒦⁻ ≥ 0:", n, surplus, b)
    plus_above = not_negative("The same b_j with 𝒦⁺:", p, surplus, b)
    minus_below = not_negative("The same a_j with 𝒦⁻:", n, excess, a)
    steps = (
        Step("The drive of sample i; the other samples are numbered j = 1 … m.", drive_of, "assumed"),
        Step("Definition of κ_i^+.", define_upper, "assumed"),
        Step("Definition of κ_i^-.", define_lower, "assumed"),
        Step(
            "Only the sums S^± of the two parts enter.",
            relation("=", kappa_high, upper_rate),
            "identity",
            (define_upper, *sums),
        ),
        Step("The same for κ_i^-.", relation("=", kappa_low, lower_rate), "identity", (define_lower, *sums)),
        Step(
            "It is the smaller one, so ηκ_i^+ ≤ 4 bounds both (Δ = log(1+f)).",
            relation(">=", upper_rate, lower_rate),
            "sign",
            (relation("=", spread, sympy.log(1 + factor)),),
        ),
        plus_below,
        minus_above,
        Step(
            "Hence the drive is at most κ_i^+ q_i …",
            upper,
            "chain",
            (drive_of, define_upper, plus_below.claim, minus_above.claim),
        ),
        plus_above,
        minus_below,
        Step(
            "… and at least κ_i^- q_i.",
            lower,
            "chain",
            (drive_of, define_lower, plus_above.claim, minus_below.claim),
        ),
    )
    return Lemma("The drive of a sample is bounded by its own residual", steps, states=(upper, lower))


def _ahead(c: Formula, level: Formula) -> Formula:
    """The margin one step of T10 later."""
    import sympy

    return level + c / (1 + sympy.exp(level))


@cache
def _recursions() -> Lemma:
    """A step of the margin against a step of T10."""
    import sympy

    eta, (q_i, (kappa_low, kappa_high), margin, t, drive) = letters().eta, _letters()
    moved = relation("=", margin(t + 1), margin(t) + eta * drive)
    residual = relation("=", q_i, 1 / (1 + sympy.exp(margin(t))))
    most, least = _drive().states
    upper = relation("<=", margin(t + 1), _ahead(eta * kappa_high, margin(t)))
    lower = relation(">=", margin(t + 1), _ahead(eta * kappa_low, margin(t)))
    steps = (
        Step("The kernel moves the margin by η times the drive (T11, the kernel).", moved, "assumed"),
        Step("The residual of the logistic loss (T3).", residual, "assumed"),
        Step("With the drive's upper bound (Lemma 2) …", upper, "chain", (moved, residual, most)),
        Step("… and its lower bound.", lower, "chain", (moved, residual, least)),
        Step("Two margins u ≤ u + g keep their order in a step of T10 with c ≤ 4.", _order(), "assumed"),
    )
    return Lemma("A step of the margin against a step of T10", steps, states=(upper, lower))


def _order() -> Formula:
    return sandwich.derivation().statement[2]


def _in_order(low: Formula, high: Formula, c: Formula) -> tuple[Formula, ...]:
    """The letters of `_order` for two margins and a step size."""
    import sympy

    generic, u, g = (
        sympy.Symbol("c", positive=True),
        sympy.Symbol("u", real=True),
        sympy.Symbol("g", nonnegative=True),
    )
    return relation("=", u, low), relation("=", g, high - low), relation("=", generic, c)


def _cited(claim: Formula, c: Formula, discrete: Formula, smooth: Formula) -> Formula:
    """A bound of T10 for another recursion and its curve, from a zero start."""
    import sympy

    values = {sympy.Symbol("c", positive=True): c, sympy.Symbol("M_0", real=True): 0}
    old = [sympy.Function(name, real=True) for name in ("M", "x")]
    sides = [side.subs(values).replace(old[0], discrete).replace(old[1], smooth) for side in claim.args]
    return relation(claim.rel_op, *sides)


@cache
def _upper_bound() -> Lemma:
    import sympy

    eta, (_, (_, kappa), margin, t, _) = letters().eta, _letters()
    c = eta * kappa
    other, curve = (sympy.Function(f"{name}^+", real=True) for name in ("m", "x"))
    recursion = relation("=", other(t + 1), _ahead(c, other(t)))
    hypothesis = relation("<=", margin(t), other(t))
    kept = relation("<=", margin(t + 1), other(t + 1))
    bound = _cited(sandwich.derivation().statement[1], c, other, curve)
    claim = relation("<=", margin(t + 1), bound.rhs)
    steps = (
        Step("Let m^+ follow the recursion of T10 with c = ηκ_i^+ ≤ 4, from zero.", recursion, "assumed"),
        Step("Induction hypothesis (an equality at t = 0).", hypothesis, "assumed"),
        Step(
            "Induction step: the order of u = M_i and u + g = m^+ is kept, with g ≥ 0 by the hypothesis.",
            kept,
            "chain",
            (_recursions().states[0], _order(), recursion, *_in_order(margin(t), other(t), c)),
        ),
        Step("T10 for that recursion.", bound, "assumed"),
        Step("The upper bound.", claim, "chain", (kept, bound)),
    )
    return Lemma("Upper bound", steps)


@cache
def _lower_bound() -> Lemma:
    import sympy

    eta, (_, (kappa, _), margin, t, _) = letters().eta, _letters()
    c, factor = eta * kappa, sympy.Symbol("f", nonnegative=True)
    other, curve = (sympy.Function(f"{name}^-", real=True) for name in ("m", "x"))
    recursion = relation("=", other(t + 1), _ahead(c, other(t)))
    hypothesis = relation(">=", margin(t), other(t))
    kept = relation(">=", margin(t + 1), other(t + 1))
    energies = relation(">=", margin(t) + sympy.exp(margin(t)), other(t) + sympy.exp(other(t)))
    bound = _cited(sandwich.derivation().statement[0], c, other, curve)
    claim = relation(">=", energies.lhs, bound.rhs)
    steps = (
        Step("Let m^- follow the recursion of T10 with c = ηκ_i^- ≤ 4, from zero.", recursion, "assumed"),
        Step("Induction hypothesis (an equality at t = 0).", hypothesis, "assumed"),
        Step(
            "Induction step: the order of u = m^- and u + g = M_i is kept, with g ≥ 0 by the hypothesis.",
            kept,
            "chain",
            (_recursions().states[1], _order(), recursion, *_in_order(other(t), margin(t), c)),
        ),
        Step(
            "v + e^v increases with v, and M_i ≥ m^- (M_i = m^- + log(1+f), f ≥ 0).",
            energies,
            "sign",
            (relation("=", margin(t), other(t) + sympy.log(1 + factor)),),
        ),
        Step("T10 for that recursion.", bound, "assumed"),
        Step("The lower bound; as in T10 it says M_i ≥ x^-.", claim, "chain", (energies, bound)),
    )
    return Lemma("Lower bound", steps)


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
