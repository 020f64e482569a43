"""Every training sample's margin between two curves, without any mean field (T11).

Statement (T11): let M_i ← M_i + η Σ_j 𝒦_ij q_j from a zero start, no two margins ever further apart than Δ, and
κ_i^± = 𝒦_ii + Σ_{j≠i} (𝒦⁺_ij e^{±Δ} − 𝒦⁻_ij e^{∓Δ}), with the positive and negative parts of 𝒦. Whenever
κ_i^- > 0 and ηκ_i^+ ≤ 4, x(t; ηκ_i^-) ≤ M_i(t) ≤ x(t; ηκ_i^+) + ηκ_i^+/2 for all t, where x(t; c) solves
x + e^x = ct + 1 (T10).
"""

from functools import cache
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import sandwich
from theory.dynamics.margin_kernel import square
from theory.numerics.validation import ArrayLike, finite, nonnegative, positive
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
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


@cache
def _letters() -> SimpleNamespace:
    """What the lemmas share: the two parts of 𝒦_ij, residuals, κ_i^±, and the margin and drive of sample i."""
    import sympy

    i, j, count, t = sympy.symbols("i j m t", integer=True, positive=True)
    plus, minus, residual = (sympy.IndexedBase(name, nonnegative=True) for name in ("K^+", "K^-", "q"))
    low, high = sympy.symbols("kappa_i^- kappa_i^+", positive=True)
    found = SimpleNamespace(j=j, t=t, eta=letters().eta, low=low, high=high)
    found.plus, found.minus, found.q_j = plus[i, j], minus[i, j], residual[j]
    found.q_i, found.drive = sympy.Symbol("q_i", nonnegative=True), sympy.Symbol("D_i", real=True)
    found.margin = sympy.Function("M_i", real=True)
    found.others = lambda summand: sympy.Sum(summand, (j, 1, count))
    return found


@cache
def derivation() -> Derivation:
    """Derive T11: the kernel's rows bounded by κ_i^±, and the comparison with T10."""
    lemmas = (_residuals(), _drive(), _recursions(), _upper_bound(), _lower_bound())
    return Derivation(RESULT, statement=lemmas[-1].states + lemmas[-2].states, lemmas=lemmas)


@cache
def _residuals() -> Lemma:
    """Margins at most Δ apart have residuals at most a factor e^Δ apart."""
    import sympy

    spread = formula()[0][-1]
    first, second = sympy.symbols("M_i M_j", real=True)
    factor, shrink = sympy.symbols("f s", nonnegative=True)
    widest = eq(spread, sympy.log(1 + factor))
    apart = spread - sympy.log(1 + shrink)
    below = relation("<=", 1 / (1 + sympy.exp(second)), sympy.exp(spread) / (1 + sympy.exp(first)))
    above = relation(">=", 1 / (1 + sympy.exp(second)), sympy.exp(-spread) / (1 + sympy.exp(first)))
    steps = (
        Step.sign(
            "If M_i is at most Δ above M_j, that is M_i = M_j + Δ − log(1+s) with s ≥ 0 and Δ = log(1+f):",
            below,
            eq(first, second + apart),
            widest,
        ),
        Step.sign(
            "If M_j is at most Δ above M_i, that is M_j = M_i + Δ − log(1+s):",
            above,
            eq(second, first + apart),
            widest,
        ),
    )
    return Lemma(
        "Margins at most Δ apart have residuals at most a factor e^Δ apart", steps, states=(below, above)
    )


@cache
def _drive() -> Lemma:
    """The drive Σ_j 𝒦_ij q_j lies between κ_i^- q_i and κ_i^+ q_i."""
    import sympy

    d, ((own, plus, minus, spread), lower_rate, upper_rate) = _letters(), formula()
    a, b = (sympy.IndexedBase(name, nonnegative=True)[d.j] for name in ("a", "b"))
    grow, fall = sympy.exp(spread), sympy.exp(-spread)
    excess, surplus = grow * d.q_i - d.q_j, d.q_j - fall * d.q_i
    sums = (eq(plus, d.others(d.plus)), eq(minus, d.others(d.minus)))
    define_upper = eq(d.high, own + d.others(d.plus * grow - d.minus * fall))
    define_lower = eq(d.low, own + d.others(d.plus * fall - d.minus * grow))
    drive_of = eq(d.drive, own * d.q_i + d.others((d.plus - d.minus) * d.q_j))
    upper = relation("<=", d.eta * d.drive, d.eta * d.high * d.q_i)
    lower = relation(">=", d.eta * d.drive, d.eta * d.low * d.q_i)

    def not_negative(text: str, part: Formula, gap: Formula, named: Formula) -> Step:
        terms = d.eta * d.others(part * gap)
        return Step.sign(text, relation(">=", terms, 0), eq(terms, d.eta * d.others(part * named)))

    plus_below = not_negative(
        "By Lemma 1 a_j = e^Δ q_i − q_j ≥ 0. With 𝒦⁺ ≥ 0, over the others:", d.plus, excess, a
    )
    minus_above = not_negative("By Lemma 1 b_j = q_j − e^{−Δ} q_i ≥ 0. With 𝒦⁻ ≥ 0:", d.minus, surplus, b)
    plus_above = not_negative("The same b_j with 𝒦⁺:", d.plus, surplus, b)
    minus_below = not_negative("The same a_j with 𝒦⁻:", d.minus, excess, a)
    steps = (
        Step.assumed("The drive of sample i; the other samples are numbered j = 1 … m.", drive_of),
        Step.assumed("Definition of κ_i^+.", define_upper),
        Step.assumed("Definition of κ_i^-.", define_lower),
        Step.identity(
            "Only the sums S^± of the two parts enter.", eq(d.high, upper_rate), define_upper, *sums
        ),
        Step.identity("The same for κ_i^-.", eq(d.low, lower_rate), define_lower, *sums),
        Step.sign(
            "It is the smaller one, so ηκ_i^+ ≤ 4 bounds both (Δ = log(1+f)).",
            relation(">=", upper_rate, lower_rate),
            eq(spread, sympy.log(1 + sympy.Symbol("f", nonnegative=True))),
        ),
        plus_below,
        minus_above,
        Step.chain(
            "Hence the drive is at most κ_i^+ q_i …",
            upper,
            drive_of,
            define_upper,
            plus_below.claim,
            minus_above.claim,
        ),
        plus_above,
        minus_below,
        Step.chain(
            "… and at least κ_i^- q_i.", lower, drive_of, define_lower, plus_above.claim, minus_below.claim
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

    d, (most, least) = _letters(), _drive().states
    now, after = d.margin(d.t), d.margin(d.t + 1)
    moved = eq(after, now + d.eta * d.drive)
    residual = eq(d.q_i, 1 / (1 + sympy.exp(now)))
    upper = relation("<=", after, _ahead(d.eta * d.high, now))
    lower = relation(">=", after, _ahead(d.eta * d.low, now))
    steps = (
        Step.assumed("The kernel moves the margin by η times the drive (T11, the kernel).", moved),
        Step.assumed("The residual of the logistic loss (T3).", residual),
        Step.chain("With the drive's upper bound (Lemma 2) …", upper, moved, residual, most),
        Step.chain("… and its lower bound.", lower, moved, residual, least),
        Step.assumed("Two margins u ≤ u + g keep their order in a step of T10 with c ≤ 4.", _order()),
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
    return eq(u, low), eq(g, high - low), eq(generic, c)


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

    d = _letters()
    c, t, margin = d.eta * d.high, d.t, d.margin
    other, curve = (sympy.Function(f"{name}^+", real=True) for name in ("m", "x"))
    recursion = eq(other(t + 1), _ahead(c, other(t)))
    hypothesis = relation("<=", margin(t), other(t))
    kept = relation("<=", margin(t + 1), other(t + 1))
    bound = _cited(sandwich.derivation().statement[1], c, other, curve)
    claim = relation("<=", margin(t + 1), bound.rhs)
    steps = (
        Step.assumed("Let m^+ follow the recursion of T10 with c = ηκ_i^+ ≤ 4, from zero.", recursion),
        Step.assumed("Induction hypothesis (an equality at t = 0).", hypothesis),
        Step.chain(
            "Induction step: the order of u = M_i and u + g = m^+ is kept, with g ≥ 0 by the hypothesis.",
            kept,
            _recursions().states[0],
            _order(),
            recursion,
            *_in_order(margin(t), other(t), c),
        ),
        Step.assumed("T10 for that recursion.", bound),
        Step.chain("The upper bound.", claim, kept, bound),
    )
    return Lemma("Upper bound", steps)


@cache
def _lower_bound() -> Lemma:
    import sympy

    d = _letters()
    c, t, margin, factor = d.eta * d.low, d.t, d.margin, sympy.Symbol("f", nonnegative=True)
    other, curve = (sympy.Function(f"{name}^-", real=True) for name in ("m", "x"))
    recursion = eq(other(t + 1), _ahead(c, other(t)))
    hypothesis = relation(">=", margin(t), other(t))
    kept = relation(">=", margin(t + 1), other(t + 1))
    energies = relation(">=", margin(t) + sympy.exp(margin(t)), other(t) + sympy.exp(other(t)))
    bound = _cited(sandwich.derivation().statement[0], c, other, curve)
    claim = relation(">=", energies.lhs, bound.rhs)
    steps = (
        Step.assumed("Let m^- follow the recursion of T10 with c = ηκ_i^- ≤ 4, from zero.", recursion),
        Step.assumed("Induction hypothesis (an equality at t = 0).", hypothesis),
        Step.chain(
            "Induction step: the order of u = m^- and u + g = M_i is kept, with g ≥ 0 by the hypothesis.",
            kept,
            _recursions().states[1],
            _order(),
            recursion,
            *_in_order(other(t), margin(t), c),
        ),
        Step.sign(
            "v + e^v increases with v, and M_i ≥ m^- (M_i = m^- + log(1+f), f ≥ 0).",
            energies,
            eq(margin(t), other(t) + sympy.log(1 + factor)),
        ),
        Step.assumed("T10 for that recursion.", bound),
        Step.chain("The lower bound; as in T10 it says M_i ≥ x^-.", claim, energies, bound),
    )
    return Lemma("Lower bound", steps)


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
    symbols, *both = formula()
    return Rates(*as_function(symbols, tuple(both))(*arguments))


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
