"""The optimal mixture to leading order, in three letters (T17).

Statement (T17): for equal sample counts A = B/K and, because the client's own data are part of the average,
C = B/K, so odds* = b(1 − χ/K)/((K−1)a + (χ−1)b) with odds* = θ*/(1−θ*). They depend on neither n, L, σ_p nor
e. They rise with b/a and fall with χ. They fall with K at χ = 1, and at a fixed share χ/K; at a fixed χ > 1
they can rise, because a group of fixed size becomes a smaller share.

What would happen without the shared data is T18 (`theory.mixing.independent_assets`); how much the best mixture
gains is T19 (`theory.mixing.leading_advantage`).
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.mixing.tangency import optimum
from theory.model.aggregation import chi_definition
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, between, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.gaussian import expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T17",
    title="Leading-order optimum",
    problem="Insert the signals and noise of the first steps into the tangency mixing.",
    assumptions=(
        "Linear band, first order in time.",
        "Near-orthogonal noise, equal sample counts.",
        "K ≥ 2; χ ≥ 1 for the signs of the derivatives.",
    ),
    bound="asymptotic",
    uses=("T5", "T6", "T15"),
)


class Terms(NamedTuple):
    """T15's two terms up to a common positive factor; the odds are `to_local / to_global`."""

    to_local: Formula
    to_global: Formula


@cache
def inserted(overlap: Formula) -> Terms:
    """Return T15's terms at the signals of the first steps, A = B/K and C = `overlap` B/K.

    The prompts share the client's own data when the overlap is 1, and nothing when it is 0.

    >>> inserted(1).to_global.has(letters().chi)
    True
    """
    import sympy

    at = letters()
    best = optimum()
    s_global, s_local, _, _, _ = best.symbols
    moments = {
        s_global: (at.a + at.b * at.chi / at.K) * at.tau,
        s_local: (at.a + at.b) * at.tau,
        at.A: at.B / at.K,
        at.C: overlap * at.B / at.K,
    }
    gains = best.gain_at_global, best.gain_at_local
    return Terms(*(sympy.factor(gain.subs(moments) * at.K / (at.B * at.tau)) for gain in gains))


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (a, b, K, χ) and the optimal odds, from T15 with the leading-order moments.

    >>> symbols, odds = formula()
    >>> odds.subs(dict(zip(symbols, (3, 6, 4, 1))))
    1/2
    """
    at, terms = letters(), inserted(1)
    return (at.a, at.b, at.K, at.chi), terms.to_local / terms.to_global


@cache
def derivation() -> Derivation:
    """Derive T17, and the signs of the dependence on K, b/a and χ."""
    import sympy

    at, best = letters(), optimum()
    (a, b, clients, chi), derived = formula()
    s_global, s_local, *_ = best.symbols
    (j, l), x = sympy.symbols("j l", integer=True, positive=True), sympy.Symbol("x", real=True)  # noqa: E741
    odds, (more, extra, share) = sympy.Symbol("odds"), sympy.symbols("x k h", positive=True)
    unit = eq(sympy.Symbol("v", positive=True), (at.e * at.tau * at.sigma) ** 2 * at.L)
    own, everyone = (sympy.Sum(unit.lhs, (j, 1, count)) for count in (at.n, at.n * clients))
    own_noise = eq(at.B, own / at.n**2)
    held = (clients - 1) * a + (chi - 1) * b
    displayed = b * (1 - chi / clients) / held
    posthoc = eq(odds, displayed)
    tangency = eq(odds, best.gain_at_global / best.gain_at_local)
    signals = (eq(s_global, (a + b * chi / clients) * at.tau), eq(s_local, (a + b) * at.tau))
    noise = eq(at.A, at.B / clients), eq(at.C, at.B / clients)
    unreduced = tangency.rhs.subs([(fact.lhs, fact.rhs) for fact in (*signals, *noise)])
    # 1 ≤ χ < K, written with positive symbols
    range_of_chi = (eq(clients, chi + extra), eq(chi, 1 + more))
    at_share = displayed.subs(chi, share * clients)

    def sign(text: str, operator: Any, left: Formula, right: Formula, *given: Formula) -> Step:
        return Step.sign(text, relation(operator, left, right), *given)

    moments = Lemma(
        "Signals and noise of the first steps",
        (
            Step.modelled(
                "The average moves along a client's feature by the mean of its inner products G_j with all "
                "clients' (T6); all entries of the outputs share a factor 4, which is dropped.",
                signals[0],
                eq(s_global, at.tau * (a + chi_definition().lhs / clients)),
                chi_definition(),
            ),
            Step.identity(
                "One sample adds e τ x_l along row l of a prompt's output (T5): noise of mean square length v.",
                unit,
                eq(unit.lhs, sympy.Sum(expectation((at.e * at.tau * x) ** 2, x, at.sigma), (l, 1, at.L))),
            ),
            Step.identity(
                "The local prompt's noise is a mean over n samples, the global one's over all nK: 1/K of it.",
                noise[0],
                eq(at.A, everyone / (at.n * clients) ** 2),
                own_noise,
            ),
            Step.identity(
                "The two means share the client's own n samples, which give them the inner product B/K.",
                noise[1],
                eq(at.C, own / (at.n * (at.n * clients))),
                own_noise,
            ),
        ),
        states=(signals[0], *noise),
    )
    optimum_of = Lemma(
        "The best odds",
        (
            Step.assumed("The best odds of two prompts (T15).", tangency),
            Step.identity("Inserting signals and noise gives T17.", posthoc, tangency, *signals, *noise),
            Step.identity("The form of it that is evaluated.", eq(odds, derived), posthoc),
            Step.identity(
                "The numbers n, L, σ_p and e enter through B = v/n alone, which cancels: the odds depend on none.",
                eq(sympy.Derivative(unreduced, at.B), 0),
            ),
            Step.identity(
                "For χ = 1 this is θ* = b/(Ka + b).",
                eq(odds / (1 + odds), b / (clients * a + b)),
                posthoc,
                eq(chi, 1),
            ),
            Step.identity("θ* = 0 when all clients are alike.", eq(odds, 0), posthoc, eq(chi, clients)),
            Step.identity(
                "θ* = 1 when they share nothing: the odds' denominator, which holds θ back, vanishes.",
                eq(sympy.denom(derived), 0),
                eq(a, 0),
                eq(chi, 1),
            ),
        ),
        states=(posthoc,),
    )
    signs = (
        sign(
            "They rise with b (at fixed a: with b/a).", ">", sympy.Derivative(displayed, b), 0, *range_of_chi
        ),
        sign("They fall with a.", "<", sympy.Derivative(displayed, a), 0, *range_of_chi),
        sign("They fall with χ.", "<", sympy.Derivative(displayed, chi), 0, *range_of_chi),
        sign(
            "They fall with K in the fully heterogeneous case χ = 1.",
            "<",
            sympy.Derivative(displayed.subs(chi, 1), clients),
            0,
            eq(clients, 1 + extra),
        ),
        sign(
            "They fall with K at a fixed share h = χ/K of like clients.",
            "<",
            sympy.Derivative(at_share, clients),
            0,
            eq(share, (1 + more) / clients),
            eq(clients, 1 + more + extra),
        ),
        sign(
            "At fixed χ = 2 they rise from zero at K = 2, where all clients are alike, to this at K = 3.",
            ">",
            displayed.subs({chi: 2, clients: 3}),
            displayed.subs({chi: 2, clients: 2}),
        ),
    )
    dependence = Lemma("What the odds rise and fall with", signs, tuple(step.claim for step in signs))
    return Derivation(RESULT, statement=(posthoc,), lemmas=(moments, optimum_of, dependence))


def _gains(equal: EqualClients) -> tuple[NDArray[np.float64], ...]:
    (symbols, _), terms = formula(), inserted(1)
    return tuple(map(np.asarray, as_function(symbols, tuple(terms))(*checked_letters(equal))))


def checked_letters(equal: EqualClients) -> list[NDArray[np.float64]]:
    """Return a, b, K and χ broadcast against each other, after checking that a mixture exists (T17, T18).

    Raises:
        ValueError: both features zero, fewer than two clients.

    >>> equal = EqualClients(global_feature_sq=1, local_feature_sq=2, noise_dim=400, clients=3, samples=10)
    >>> [float(value) for value in checked_letters(equal)]
    [1.0, 2.0, 3.0, 1.0]
    """
    a, b = equal.global_feature_sq, equal.local_feature_sq
    if np.any(a + b == 0):
        raise ValueError(
            "`global_feature_sq` and `local_feature_sq` are both 0.0; allowed: at least one of them positive"
        )
    return list(np.broadcast_arrays(a, b, between("clients", equal.clients, 2), equal.group_size))


def posthoc_odds(equal: EqualClients) -> Values:
    """Return the optimal post-hoc odds θ*/(1−θ*) = b(1 − χ/K)/((K−1)a + (χ−1)b) (T17).

    They are infinite (θ* = 1) when the denominator is not positive: the clients share too little.

    Raises:
        ValueError: both features zero, fewer than two clients.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=6, noise_dim=400, clients=4, samples=10)
    >>> float(posthoc_odds(equal))
    0.5
    """
    to_local, to_global = _gains(equal)
    inside = to_global > 0
    return result(np.where(inside, to_local / np.where(inside, to_global, 1.0), np.inf))


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


def strict_advantage(equal: EqualClients) -> NDArray[np.bool_] | np.bool_:
    """Return whether some mixture beats both prompts: b > 0, χ < K and (K−1)a + (χ−1)b > 0 (T17).

    In words: the clients differ, and they share something.

    Raises:
        ValueError: as `posthoc_odds`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=8, noise_dim=400, clients=4, samples=10)
    >>> bool(strict_advantage(equal)), bool(strict_advantage(equal.replace(group_size=4)))
    (True, False)
    """
    to_local, to_global = _gains(equal)
    answer: NDArray[np.bool_] | np.bool_ = ((to_local > 0) & (to_global > 0))[()]
    return answer
