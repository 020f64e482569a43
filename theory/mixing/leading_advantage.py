"""The ratio of the best mixture to leading order (T19).

Statement (T19): the client's own data are 1/K of the average, so ρ = 1/√K and
R*² = (R_G² + R_L² − 2 R_G R_L/√K)/(1 − 1/K). As K grows the prompts become independent assets, and the squares
of their ratios add.
"""

from functools import cache

import numpy as np

from theory.mixing import advantage
from theory.numerics.validation import ArrayLike, Values, between, positive, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T19",
    title="Advantage to leading order",
    problem="How large is the ratio of the best mixture after the first steps?",
    assumptions=(
        "Near-orthogonal noise, equal sample counts, K ≥ 2.",
        "An interior optimum: 1/√K at most min(R)/max(R).",
    ),
    bound="asymptotic",
    uses=("T16", "T17"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (R_G, R_L, K) and R*², T16 at ρ = 1/√K.

    >>> symbols, squared = formula()
    >>> squared.subs(dict(zip(symbols, (1, 1, 4))))
    4/3
    """
    import sympy

    clients = letters().K
    (r_global, r_local, rho), squared = advantage.formula()
    return (r_global, r_local, clients), squared.subs(rho, 1 / sympy.sqrt(clients))


@cache
def derivation() -> Derivation:
    """Derive T19: the correlation, the insertion into T16, and the limit of many clients."""
    import sympy

    at = letters()
    (r_global, r_local, clients), derived = formula()
    squared, gap, weaker = sympy.symbols("R_*^2 k r", positive=True)
    displayed = (r_global**2 + r_local**2 - 2 * r_global * r_local / sympy.sqrt(clients)) / (1 - 1 / clients)
    correlation = eq(at.rho, 1 / sympy.sqrt(clients))
    advantage_of = eq(squared, advantage.formula()[1])
    statement = eq(squared, displayed)
    moments = eq(at.A, at.B / clients), eq(at.C, at.B / clients)
    excess = (r_global - r_local / sympy.sqrt(clients)) ** 2 / (1 - 1 / clients)
    steps = (
        Step.identity(
            "T17 found A = C = B/K, so the correlation ρ = C/√(AB) is 1/√K.",
            correlation,
            eq(at.rho, at.C / sympy.sqrt(at.A * at.B)),
            *moments,
        ),
        Step.assumed("The ratio of the best mixture (T16).", advantage_of),
        Step.identity("Inserting the correlation gives T19.", statement, advantage_of, correlation),
        Step.identity("The form of it that is evaluated.", eq(squared, derived), statement),
        Step.identity(
            "With many clients the squares add, as for independent assets.",
            eq(sympy.Limit(displayed, clients, sympy.oo), r_global**2 + r_local**2),
        ),
        Step.identity(
            "The gain over a prompt alone is a square over 1 − 1/K, …",
            eq(squared - r_local**2, excess),
            statement,
        ),
        Step.sign(
            "… positive as soon as the weaker ratio exceeds 1/√K of the other.",
            relation(">", displayed, r_local**2),
            eq(r_global, r_local / sympy.sqrt(clients) + weaker),
            eq(clients, 1 + gap),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


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
    r_global, r_local = positive("ratio_global", ratio_global), positive("ratio_local", ratio_local)
    count = between("clients", clients, 2)
    better, worse = np.maximum(r_global, r_local), np.minimum(r_global, r_local)
    inside = np.sqrt(count) * worse >= better
    return result(np.where(inside, as_function(*formula())(r_global, r_local, count), better**2))
