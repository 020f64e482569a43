"""The optimal mixture to leading order, in three letters (T17, T18, T19).

Problem: insert the signals and noise of the first steps into the tangency mixing T15.

Statement: for equal sample counts A = B/K and, because the client's own data are part of the average, C =
B/K, so

- (T17) odds* = b(1 − χ/K)/((K−1)a + (χ−1)b);
- (T18) odds_ind = (a+b)/(Ka + χb) if the two prompts had seen disjoint data (C = 0);
- (T19) R*² = (R_G² + R_L² − 2 R_G R_L/√K)/(1 − 1/K).

The odds are θ*/(1−θ*), and depend on neither n, L, σ_p nor e. They rise with b/a and fall with χ. They fall
with K at χ = 1, and at a fixed share χ/K; at a fixed χ > 1 they can rise, because a group of fixed size
becomes a smaller share.

Assumptions: linear band, first order in time, near-orthogonal noise, equal sample counts, K ≥ 2.
Provenance: derived. Bound: asymptotic. Reference: T15, T16, T6; `DERIVED_HERE` in `theory.derivation`.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory import advantage
from theory.arguments import ArrayLike, Values, alignment_of, between, nonnegative, result
from theory.derivation import DERIVED_HERE, Derivation, Formula, Step, as_function, relation
from theory.symbols import letters
from theory.tangency import optimum


@cache
def inserted() -> SimpleNamespace:
    """Return T15's two terms (up to a common positive factor) and odds with the leading-order moments
    inserted.

    >>> inserted().independent_odds.has(inserted().K)
    True
    """
    import sympy

    at = letters()
    best = optimum()
    s_global, s_local, _, _, _ = best.symbols
    tau, common = at.tau, sympy.Symbol("B", positive=True)
    signals = {s_global: (at.a + at.b * at.chi / at.K) * tau, s_local: (at.a + at.b) * tau}
    own_data = {at.A: common / at.K, at.C: common / at.K}
    disjoint = {at.A: common / at.K, at.C: 0}

    def term(gain: Formula, noise: dict[Formula, Formula]) -> Formula:
        return sympy.expand(sympy.expand(gain.subs(noise).subs(signals)) * at.K / (common * tau))

    gains = best.gain_at_global, best.gain_at_local
    to_local, to_global = (term(gain, own_data) for gain in gains)
    full = (gains[0] / gains[1]).subs(own_data).subs(signals)
    independent = sympy.cancel(term(gains[0], disjoint) / term(gains[1], disjoint))
    (r_global, r_local, rho), squared = advantage.formula()
    ratio_squared = squared.subs(rho, 1 / sympy.sqrt(at.K))
    return SimpleNamespace(
        to_local=sympy.factor(to_local),
        to_global=to_global,
        odds=to_local / to_global,
        full_odds=full,
        common=common,
        independent_odds=independent,
        ratio_squared=ratio_squared,
        R_G=r_global,
        R_L=r_local,
        a=at.a,
        b=at.b,
        K=at.K,
        chi=at.chi,
    )


@cache
def derivation() -> Derivation:
    """Derive T17, T18 and T19, and the signs of the dependence on K, b/a and χ.

    >>> [str(formula.lhs)[:4] for formula in derivation().statement]
    ['odds', 'odds', 'R**2']
    """
    import sympy

    at, d = letters(), inserted()
    j = sympy.Symbol("j", integer=True, positive=True)
    more, extra = sympy.symbols("x k", positive=True)
    share = sympy.Symbol("h", positive=True)
    noise = at.sigma**2 * at.e**2 * at.L / at.n
    variance = sympy.Sum(at.sigma**2, (j, 1, at.n))
    displayed = d.b * (1 - d.chi / d.K) / ((d.K - 1) * d.a + (d.chi - 1) * d.b)
    names = sympy.symbols("odds odds_ind R**2")
    posthoc = relation("=", names[0], displayed)
    independent = relation("=", names[1], (d.a + d.b) / (d.K * d.a + d.chi * d.b))
    squared = relation(
        "=", names[2], (d.R_G**2 + d.R_L**2 - 2 * d.R_G * d.R_L / sympy.sqrt(d.K)) / (1 - 1 / d.K)
    )
    derived = (
        relation("=", names[0], d.odds),
        relation("=", names[1], d.independent_odds),
        relation("=", names[2], d.ratio_squared),
    )
    # 1 ≤ χ < K, written with positive symbols
    range_of_chi = (relation("=", d.K, d.chi + extra), relation("=", d.chi, 1 + more))
    at_share = displayed.subs(d.chi, share * d.K)

    def sign(text: str, operator: Any, expression: Formula, *given: Formula) -> Step:
        return Step(text, relation(operator, expression, 0), "sign", given)

    steps = (
        Step(
            "A mean over all nK samples has 1/K of the variance of a mean over the client's n: A = B/K.",
            relation(
                "=",
                sympy.Sum(at.sigma**2, (j, 1, at.n * at.K)) / (at.n * at.K) ** 2,
                variance / at.n**2 / at.K,
            ),
            "identity",
        ),
        Step(
            "The two means share the client's own n samples, so their covariance is B/K as well: C = B/K.",
            relation("=", variance / (at.n * (at.n * at.K)), variance / at.n**2 / at.K),
            "identity",
        ),
        Step(
            "The correlation is therefore 1/√K.",
            relation("=", d.common / d.K / sympy.sqrt(d.common * d.common / d.K), 1 / sympy.sqrt(d.K)),
            "identity",
        ),
        Step(
            "Inserting these and the signals a + bχ/K and a + b into T15 gives T17.",
            posthoc,
            "identity",
            derived[:1],
        ),
        Step(
            "For χ = 1 this is θ* = b/(Ka + b).",
            relation("=", (displayed / (1 + displayed)).subs(d.chi, 1), d.b / (d.K * d.a + d.b)),
            "identity",
        ),
        Step("With C = 0 the same insertion gives T18.", independent, "identity", derived[1:2]),
        Step("Inserting ρ = 1/√K into T16 gives T19.", squared, "identity", derived[2:]),
        *(
            Step(
                f"The odds do not depend on {symbol}.",
                relation("=", sympy.Derivative(d.full_odds.subs(d.common, noise), symbol), 0),
                "identity",
            )
            for symbol in (at.n, at.L, at.sigma, at.e)
        ),
        sign("They rise with b (at fixed a: with b/a).", ">", sympy.diff(displayed, d.b), *range_of_chi),
        sign("They fall with a.", "<", sympy.diff(displayed, d.a), *range_of_chi),
        sign("They fall with χ.", "<", sympy.diff(displayed, d.chi), *range_of_chi),
        sign(
            "They fall with K in the fully heterogeneous case χ = 1.",
            "<",
            sympy.diff(displayed.subs(d.chi, 1), d.K),
            relation("=", d.K, 1 + extra),
        ),
        sign(
            "They fall with K at a fixed share h = χ/K of like clients.",
            "<",
            sympy.diff(at_share, d.K),
            relation("=", share, (1 + more) / d.K),
            relation("=", d.K, 1 + more + extra),
        ),
        sign(
            "At fixed χ = 2 they rise from K = 2, where all clients are alike, to K = 3.",
            ">",
            displayed.subs({d.chi: 2, d.K: 3}) - displayed.subs({d.chi: 2, d.K: 2}),
        ),
        Step("θ* = 0 when all clients are alike.", relation("=", displayed.subs(d.chi, d.K), 0), "identity"),
        Step(
            "θ* = 1 when they share nothing: the term that holds θ back vanishes for a = 0, χ = 1.",
            relation("=", d.to_global.subs(d.chi, 1).subs(d.a, 0), 0),
            "identity",
        ),
    )
    return Derivation(
        tag="T17-T19",
        title="Leading-order optimum",
        problem="Insert the signals and noise of the first steps into the tangency mixing.",
        assumptions=(
            "Linear band, first order in time.",
            "Near-orthogonal noise, equal sample counts.",
            "K ≥ 2.",
        ),
        statement=(posthoc, independent, squared),
        bound="asymptotic",
        provenance="derived",
        reference=DERIVED_HERE,
        steps=steps,
    )


@cache
def _numeric() -> tuple[Any, Any, Any]:
    d = inserted()
    symbols = (d.a, d.b, d.K, d.chi)
    return (
        as_function(symbols, d.to_local),
        as_function(symbols, d.to_global),
        as_function(symbols, d.independent_odds),
    )


def _checked(
    global_signal: ArrayLike, local_signal: ArrayLike, clients: ArrayLike, alignment: ArrayLike
) -> list[NDArray[np.float64]]:
    count = between("clients", clients, 2)
    a, b, count, chi = np.broadcast_arrays(
        nonnegative("global_signal", global_signal),
        nonnegative("local_signal", local_signal),
        count,
        alignment_of(alignment, count, symmetric=False),
    )
    if np.any(a + b == 0):
        raise ValueError(
            "`global_signal` and `local_signal` are both 0.0; allowed: at least one of them positive"
        )
    return [a, b, count, chi]


def posthoc_odds(
    *, global_signal: ArrayLike, local_signal: ArrayLike, clients: ArrayLike, alignment: ArrayLike
) -> Values:
    """Return the optimal post-hoc odds θ*/(1−θ*) = b(1 − χ/K)/((K−1)a + (χ−1)b) (T17).

    Let a be `global_signal`, b `local_signal`, K `clients` (at least 2) and χ `alignment`; arguments
    broadcast. The odds are infinite (θ* = 1) when the denominator is not positive: the clients share too
    little.

    Raises:
        ValueError: negative signals or both zero, fewer than two clients, χ outside [2−K, K].

    >>> float(posthoc_odds(global_signal=3, local_signal=6, clients=4, alignment=1))
    0.5
    """
    values = _checked(global_signal, local_signal, clients, alignment)
    to_local, to_global = (np.asarray(term(*values)) for term in _numeric()[:2])
    inside = to_global > 0
    return result(np.where(inside, to_local / np.where(inside, to_global, 1.0), np.inf))


def independent_odds(
    *, global_signal: ArrayLike, local_signal: ArrayLike, clients: ArrayLike, alignment: ArrayLike
) -> Values:
    """Return (a+b)/(Ka + χb), the optimal odds if the prompts had seen disjoint data (T18).

    The arguments are those of `posthoc_odds`. The odds are infinite when Ka + χb is not positive.

    Raises:
        ValueError: as `posthoc_odds`.

    >>> float(independent_odds(global_signal=3, local_signal=8, clients=4, alignment=1))
    0.55
    """
    values = _checked(global_signal, local_signal, clients, alignment)
    a, b, count, chi = values
    inside = count * a + chi * b > 0
    safe = np.where(inside, chi, count)  # any χ with a positive denominator; the value is replaced below
    return result(np.where(inside, _numeric()[2](a, b, count, safe), np.inf))


def optimal_ratio_squared_leading(
    ratio_global: ArrayLike, ratio_local: ArrayLike, clients: ArrayLike
) -> Values:
    """Return R*² = (R_G² + R_L² − 2 R_G R_L/√K)/(1 − 1/K) (T19).

    Let R_G be `ratio_global`, R_L `ratio_local` (both positive) and K `clients` (at least 2); arguments
    broadcast. As in T16, the better single prompt's square is returned where its advantage is too large for
    mixing to help.

    Raises:
        ValueError: ratios that are not positive, fewer than two clients.

    >>> round(float(optimal_ratio_squared_leading(1.0, 1.0, 4)), 12)
    1.333333333333
    """
    return advantage.optimal_ratio_squared(
        ratio_global, ratio_local, 1 / np.sqrt(between("clients", clients, 2))
    )


def mixing_from_odds(odds: ArrayLike) -> Values:
    """Return θ = odds/(1 + odds); infinite odds give 1 (T17).

    Raises:
        ValueError: negative odds or NaN.

    >>> mixing_from_odds([0.0, 1.0, float("inf")]).tolist()
    [0.0, 0.5, 1.0]
    """
    values = between("odds", odds, 0, finite=False)
    unbounded = np.isinf(values)
    bounded = np.where(unbounded, 0.0, values)
    return result(np.where(unbounded, 1.0, bounded / (1 + bounded)))


def strict_advantage(
    *, global_signal: ArrayLike, local_signal: ArrayLike, clients: ArrayLike, alignment: ArrayLike
) -> NDArray[np.bool_] | np.bool_:
    """Return whether some mixture beats both prompts: b > 0, χ < K and (K−1)a + (χ−1)b > 0 (T17).

    In words: the clients differ, and they share something. The arguments are those of `posthoc_odds`.

    Raises:
        ValueError: as `posthoc_odds`.

    >>> bool(strict_advantage(global_signal=3, local_signal=8, clients=4, alignment=4))
    False
    """
    values = _checked(global_signal, local_signal, clients, alignment)
    to_local, to_global = (np.asarray(term(*values)) for term in _numeric()[:2])
    answer: NDArray[np.bool_] | np.bool_ = ((to_local > 0) & (to_global > 0))[()]
    return answer
