"""The optimal mixture if the two prompts had seen disjoint data (T18).

Statement (T18): with A = B/K and C = 0, odds_ind = (a+b)/(Ka + χb). It exceeds the odds of T17 iff R_G > R_L:
leaving the overlap out gives too much weight to the worse prompt.
"""

from functools import cache

import numpy as np

from theory.mixing import leading_order
from theory.mixing.tangency import optimum
from theory.model.federation import EqualClients
from theory.numerics.validation import Values, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
from theory.proof.gaussian import expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T18",
    title="Independent assets",
    problem="Which mixture would be best if the two prompts had been trained on disjoint data?",
    assumptions=("As T17, with uncorrelated noise vectors of the two prompts.",),
    bound="asymptotic",
    uses=("T15", "T17"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (a, b, K, χ) and the odds, from T15 with C = 0.

    >>> symbols, odds = formula()
    >>> odds.subs(dict(zip(symbols, (3, 8, 4, 1))))
    11/20
    """
    at, terms = letters(), leading_order.inserted(0)
    return (at.a, at.b, at.K, at.chi), terms.to_local / terms.to_global


@cache
def derivation() -> Derivation:
    """Derive T18, and compare it with T17."""
    import sympy

    at, best = letters(), optimum()
    (a, b, clients, chi), derived = formula()
    _, overlapping = leading_order.formula()
    s_global, s_local, *_ = best.symbols
    x, z = sympy.symbols("x z", real=True)
    odds, shared = sympy.symbols("odds_ind odds")
    tangency = eq(odds, best.gain_at_global / best.gain_at_local)
    statement = eq(odds, derived)
    moments = (
        eq(s_global, (a + b * chi / clients) * at.tau),
        eq(s_local, (a + b) * at.tau),
        eq(at.A, at.B / clients),
        eq(at.C, 0),
    )
    held = (clients * a + chi * b) * ((clients - 1) * a + (chi - 1) * b)
    surplus = clients * (a + b * chi / clients) ** 2 - (a + b) ** 2
    steps = (
        Step.identity(
            "Samples that are not shared have independent noise of mean zero, so they add nothing to C.",
            eq(expectation(x, x, at.sigma) * expectation(z, z, at.sigma), 0),
        ),
        Step.assumed("The best odds of two prompts (T15).", tangency),
        Step.identity("Inserting C = 0, A = B/K and the signals of T17.", statement, tangency, *moments),
        Step.identity(
            "They exceed the odds of T17 by a positive multiple of K s_G² − s_L², which has the sign of "
            "R_G² − R_L² because B = K A: shared data move weight towards the better prompt.",
            eq(odds - shared, surplus / held),
            statement,
            eq(shared, overlapping),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def independent_odds(equal: EqualClients) -> Values:
    """Return (a+b)/(Ka + χb), the optimal odds if the prompts had seen disjoint data (T18).

    They are infinite when Ka + χb is zero.

    Raises:
        ValueError: both features zero, fewer than two clients.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=8, noise_dim=400, clients=4, samples=10)
    >>> float(independent_odds(equal))
    0.55
    """
    a, b, count, chi = leading_order.checked_letters(equal)
    inside = count * a + chi * b > 0
    safe = np.where(inside, chi, count)  # any χ with a positive denominator; the value is replaced below
    return result(np.where(inside, as_function(*formula())(a, b, count, safe), np.inf))
