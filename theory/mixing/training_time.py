"""How the optimal post-hoc mixing drifts with training time (T20).

Statement (T20): odds*(t) = odds* τ_G(t)/τ_L(t) with odds* of T17. It increases from odds* at t → 0 to
odds* κ_L/κ_G as t → ∞.
"""

from functools import cache
from typing import Any

import numpy as np

from theory.dynamics.margin_rate import global_rate, local_rate
from theory.dynamics.saturation import accumulated
from theory.mixing import leading_order
from theory.mixing.tangency import optimum
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, nonnegative, positive, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T20",
    title="Drift of the optimum with training time",
    problem="Which post-hoc mixing is best after t steps of separate training?",
    assumptions=(
        "The symmetric mean field of T8.",
        "Continuous time (T9).",
        "κ_G < κ_L for the direction of the drift.",
    ),
    bound="asymptotic",
    uses=("T15", "T9"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (odds, τ_G, τ_L) and the odds at time t, from T15 with scaled signals and noise.

    >>> symbols, odds_at = formula()
    >>> odds_at
    odds*tau_G/tau_L
    """
    import sympy

    at = letters()
    best = optimum()
    odds = best.gain_at_global / best.gain_at_local
    scaled = odds.subs(_grown(), simultaneous=True)
    symbol = sympy.Symbol("odds", positive=True)
    # the growth factor does not depend on the moments
    return (symbol, at.tau_G, at.tau_L), symbol * sympy.cancel(scaled / odds)


def _grown() -> dict[Formula, Formula]:
    at = letters()
    s_global, s_local, a, b, c = optimum().symbols
    return {
        s_global: s_global * at.tau_G,
        s_local: s_local * at.tau_L,
        a: a * at.tau_G**2,
        b: b * at.tau_L**2,
        c: c * at.tau_G * at.tau_L,
    }


@cache
def derivation() -> Derivation:
    """Derive T20: the odds at time t, that they increase, and both limits.

    >>> derivation().result.tag
    'T20'
    """
    import sympy

    best = optimum()
    odds = best.gain_at_global / best.gain_at_local
    (symbol, tau_global, tau_local), odds_at = formula()
    M, r, s = sympy.symbols("M r s", positive=True)
    k_global, k_local, scale = sympy.symbols("kappa_G kappa_L x", positive=True)
    energy = M + sympy.exp(M) - 1  # the scaled time at which the margin is M (T9 from a zero start)
    elasticity = energy / (M * sympy.diff(energy, M))
    numerator = M * (2 - M) * sympy.exp(M) + 1 - sympy.exp(2 * M)
    hyperbolic = sympy.Integral(sympy.Integral(2 * sympy.sinh(r), (r, 0, s)), (s, 0, M))
    statement = relation("=", odds.subs(_grown(), simultaneous=True), odds * tau_global / tau_local)
    steps = (
        Step(
            "Signals grow like τ, squared noise norms like τ²; T15 then gives the odds at time t.",
            statement,
            "identity",
        ),
        Step(
            "The numeric function evaluates this factor.",
            relation("=", odds_at, symbol * tau_global / tau_local),
            "identity",
        ),
        Step(
            "A margin M is reached at ηκt = M + e^M − 1. At small times M = ηκt/2 for every κ, so "
            "τ_G/τ_L → 1.",
            relation("=", sympy.Limit(M / energy, M, 0), sympy.Rational(1, 2)),
            "identity",
        ),
        Step(
            "At large times M = log(ηκt) up to a factor that tends to 1 …",
            relation("=", sympy.Limit(M / sympy.log(energy), M, sympy.oo), 1),
            "identity",
        ),
        Step(
            "… and log(κ_G x)/log(κ_L x) → 1 (x = ηt), so τ_G/τ_L → (1/κ_G)/(1/κ_L) = κ_L/κ_G.",
            relation(
                "=",
                sympy.Limit(sympy.log(k_global * scale) / sympy.log(k_local * scale), scale, sympy.oo)
                * (1 / k_global)
                / (1 / k_local),
                k_local / k_global,
            ),
            "identity",
        ),
        Step(
            "The drift is monotone. The derivative of log τ_G/τ_L along log t is the difference of the "
            "elasticities of "
            "the margins, and the elasticity d log M/d log(ηκt) as a function of the margin has this "
            "derivative.",
            relation("=", sympy.diff(elasticity, M), numerator / (M * (1 + sympy.exp(M))) ** 2),
            "identity",
        ),
        Step(
            "Its numerator is e^M (2M − M² − 2 sinh M), and 2 sinh M − 2M is a double integral of 2 sinh.",
            relation("=", numerator, -sympy.exp(M) * (M**2 + hyperbolic)),
            "identity",
        ),
        Step(
            "So the elasticity falls with the margin; the smaller rate κ_G has the smaller margin, "
            "hence the larger "
            "elasticity, and τ_G/τ_L increases.",
            relation(">", sympy.exp(M) * M**2, 0),
            "sign",
        ),
        Step(
            "The double integral is positive.",
            relation(">", sympy.Integral(2 * sympy.sinh(r), (r, 0, s), (s, 0, M)), 0),
            "sign",
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


@cache
def _numeric() -> Any:
    return as_function(*formula())


def posthoc_odds_at(equal: EqualClients, step: ArrayLike, learning_rate: ArrayLike) -> Values:
    """Return the optimal post-hoc odds θ*/(1−θ*) after t steps of separate training (T20).

    Let t be `step` and η `learning_rate`; arguments broadcast with the clients' letters. The odds are odds*
    τ_G(t)/τ_L(t) with τ(t) = M(t)/κ of T9, and odds* of T17 at t = 0.

    Raises:
        ValueError: a negative step, a learning rate that is not positive, and as `leading_order.posthoc_odds`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=6, noise_dim=400, clients=4, samples=10)
    >>> posthoc_odds_at(equal, [0, 10, 1000], learning_rate=0.01).round(3).tolist()
    [0.5, 0.964, 1.417]
    """
    eta, t = positive("learning_rate", learning_rate), nonnegative("step", step)
    k_global, k_local = global_rate(equal), local_rate(equal)
    tau_global = np.asarray(accumulated(eta * k_global * t, k_global))
    tau_local = np.asarray(accumulated(eta * k_local * t, k_local))
    started = tau_local > 0
    # before the first step both are zero and their ratio is its limit, 1
    ratio = np.where(started, tau_global, 1.0), np.where(started, tau_local, 1.0)
    return result(_numeric()(leading_order.posthoc_odds(equal), *ratio))


def limiting_odds(equal: EqualClients) -> Values:
    """Return odds* κ_L/κ_G, the odds that `posthoc_odds_at` approaches (logarithmically slowly) as t → ∞
    (T20).

    Raises:
        ValueError: as `leading_order.posthoc_odds`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=6, noise_dim=400, clients=4, samples=10)
    >>> round(float(limiting_odds(equal)), 3)
    1.69
    """
    return result(leading_order.posthoc_odds(equal) * local_rate(equal) / global_rate(equal))
