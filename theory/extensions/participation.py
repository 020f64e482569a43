"""Clients that take part in some rounds only: the local prompt falls behind (T28).

Statement (T28): in the mean over draws the averaged prompt advances as with full participation, a local one r times
as far: dτ_G/dt = ηq and dτ_L/dt = rηq with the residual q of what each is trained through. Hence

- post-hoc: odds(t) = odds* τ_G/τ_L with τ_G = M(κ_G ηt)/κ_G and τ_L = M(κ_L rηt)/κ_L (T9): odds*/r at small t,
  odds* κ_L/κ_G as t → ∞, as with full participation;
- joint: both prompts share q, so τ_L = r τ_G always, the margin grows at κ(θ) = (1−θ)² κ_G + rθ² κ_L, and
  θ*/(1−θ*) = √(odds*/r) at every time;
- detached: the margin is (1−θ) κ_G τ_G + θ² κ_L τ_L.

Fewer participants push θ* towards the local prompt, which needs the weight to make up for its shorter training.
Random draws raise all noise energies over t rounds by the factor 1 + (1−r)/(rt). Predictions at any time:
`theory.dynamics.symmetric_ratio`, whose functions take r.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.mixing.leading_order import mixing_from_odds, posthoc_odds
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, between, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T28",
    title="Partial participation",
    problem="Which mixing is best when only some clients take part in a round?",
    assumptions=(
        "The symmetric mean field of T8, one local step per round.",
        "m of K equal clients drawn uniformly, independently in every round.",
        "Small steps and many rounds: draws enter by their mean.",
    ),
    bound="asymptotic",
    uses=("T6", "T8", "T9", "T20", "T21", "T25"),
    sources=(
        "McMahan, Moore, Ramage, Hampson and Agüera y Arcas (2017), Communication-Efficient Learning of Deep "
        "Networks from Decentralized Data (clients drawn in every round)",
    ),
)


class Expressions(NamedTuple):
    """T28 as SymPy expressions, each after its symbols: κ(θ), post-hoc and joint odds, and the energies' excess."""

    rate_symbols: tuple[Formula, ...]
    rate: Formula
    odds_symbols: tuple[Formula, ...]
    posthoc: Formula
    joint_symbols: tuple[Formula, ...]
    joint: Formula
    excess_symbols: tuple[Formula, ...]
    excess: Formula


@cache
def formula() -> Expressions:
    """Return κ(θ) of joint training, odds(t) of post-hoc mixing, √(odds*/r) and the excess of noise energies.

    >>> parts = formula()
    >>> parts.joint.subs(dict(zip(parts.joint_symbols, (9, 1))))
    3
    """
    import sympy

    at = letters()
    r, k_global, k_local, odds, t = sympy.symbols("r kappa_G kappa_L odds t", positive=True)
    # each prompt enters with its weight twice; per unit of τ_G the local one has moved r
    rate = (1 - at.theta) ** 2 * k_global + at.theta**2 * k_local * r
    share = sympy.Symbol("x", positive=True)
    (joint,) = sympy.solve(sympy.Eq(r * share**2, odds), share)
    return Expressions(
        (at.theta, r, k_global, k_local),
        rate,
        (odds, at.tau_G, at.tau_L),
        odds * at.tau_G / at.tau_L,
        (odds, r),
        joint,
        (r, t),
        1 + (1 - r) / (r * t),
    )


@cache
def derivation() -> Derivation:
    """Derive T28 from the chance to be drawn: how far each prompt moves, and what that does to θ*."""
    import sympy

    at, parts = letters(), formula()
    theta, r, k_global, k_local = parts.rate_symbols
    odds, rounds = parts.joint_symbols[0], parts.excess_symbols[1]
    k = sympy.Symbol("k", integer=True, positive=True)
    drawn, chance, t, M, x, other, N = sympy.symbols("m P t M x g N", positive=True)
    moves = sympy.IndexedBase("Delta")
    summed = sympy.Function("Q")(t)  # residuals of all rounds so far
    tau_global, tau_local = (sympy.Function(name)(t) for name in ("tau_G", "tau_L"))
    chance_claim = eq(chance, drawn / at.K)
    full = sympy.Sum(moves[k] / at.K, (k, 1, at.K))
    global_grows = eq(tau_global, at.eta * summed)
    local_grows = eq(tau_local, r * at.eta * summed)
    behind = eq(tau_local, r * tau_global)
    drawing = Lemma(
        "How far each prompt gets",
        (
            Step.root(
                "All K clients have the same chance P to be among the m drawn, and the K chances add up to m.",
                chance_claim,
                eq(sympy.Sum(chance, (k, 1, at.K)).doit(), drawn),
            ),
            Step.identity(
                "A client counts 1/m in the average when drawn: the averaged prompt's expected step is that of "
                "full participation.",
                eq(sympy.Sum(chance * moves[k] / drawn, (k, 1, at.K)), full),
                chance_claim,
            ),
            Step.modelled(
                "A local prompt moves by Δ when its client is drawn and else not at all: r = m/K of it on average.",
                eq(chance * moves[k], r * moves[k]),
                chance_claim,
                eq(drawn, r * at.K),
            ),
            Step.assumed(
                "Over many small steps draws enter by their mean. With Q the sum of residuals, the averaged "
                "prompt …",
                global_grows,
            ),
            Step.assumed("… and a local one trained through the same residual.", local_grows),
            Step.identity(
                "Joint training: both prompts share the residual, so the local one always lags by the factor r.",
                behind,
                local_grows,
                global_grows,
            ),
        ),
    )

    margin = (1 - theta) ** 2 * k_global * at.tau_G + theta**2 * k_local * at.tau_L
    share = sympy.Symbol("theta", positive=True)
    joint = eq(share, parts.joint / (1 + parts.joint))
    training = Lemma(
        "Joint training",
        (
            Step.modelled(
                "Each prompt carries its weight in training and in the output (T8): the margin grows at the rate "
                "κ(θ) per unit of τ_G.",
                eq(margin, parts.rate * at.tau_G),
                eq(at.tau_L, r * at.tau_G),
            ),
            Step.root(
                "T21 with effective weights (1−θ)² and rθ²: their quotient is odds* at the optimum, at every time.",
                joint,
                eq(r * share**2 / (1 - share) ** 2, odds),
            ),
            Step.sign(
                "It falls with r: fewer participants, more weight for the local prompt.",
                relation("<", sympy.Derivative(parts.joint, r), 0),
            ),
        ),
        (joint,),
    )

    time, (odds_0, odds_t) = M + sympy.exp(M) - 1, sympy.symbols("odds_0 odds_t")
    at_time = eq(odds_t, parts.posthoc)
    early = eq(odds_0, odds / r)
    quotient = (sympy.log(k_global * x) / k_global) / (sympy.log(k_local * r * x) / k_local)
    late = eq(odds * sympy.Limit(quotient, x, sympy.oo), odds * k_local / k_global)
    mixing = Lemma(
        "Post-hoc mixing",
        (
            Step.assumed("Prompts trained alone for different times have these odds (T20).", at_time),
            Step.identity(
                "A margin M is reached at ηκt = M + e^M − 1 (T9): at small times M is half the scaled time …",
                eq(sympy.Limit(M / time, M, 0), sympy.Rational(1, 2)),
            ),
            Step.identity(
                "… so τ_G = ηt/2 and τ_L = rηt/2: the odds start at odds*/r.",
                early,
                eq(odds_0, parts.posthoc),
                eq(at.tau_G, at.eta * t / 2),
                eq(at.tau_L, r * at.eta * t / 2),
            ),
            Step.identity(
                "At large times M = log of the scaled time x, and r drops out: the odds approach odds* κ_L/κ_G.",
                late,
            ),
        ),
        (early, late),
    )

    variance = r * (1 - r) ** 2 + (1 - r) * (0 - r) ** 2
    count = eq(N, sympy.sqrt((r * rounds) ** 2 + rounds * variance))
    excess = eq(N**2 / (r * rounds) ** 2, parts.excess)
    spread = Lemma(
        "What the mean over draws leaves out",
        (
            Step.identity(
                "A client is drawn (1) or not (0) with variance r(1−r) per round …", eq(variance, r * (1 - r))
            ),
            Step.identity(
                "… so over t rounds the mean square of its count N exceeds (rt)² by this factor. A, B and C of T15 "
                "are quadratic in the counts: all three get it.",
                excess,
                count,
            ),
            Step.sign(
                "It is larger than 1 for r = 1/(1+g) < 1 …",
                relation(">", excess.rhs, 1),
                eq(r, 1 / (1 + other)),
            ),
            Step.identity(
                "… and tends to 1 with many rounds.", eq(sympy.Limit(excess.rhs, rounds, sympy.oo), 1)
            ),
        ),
        (excess,),
    )
    lemmas = (drawing, training, mixing, spread)
    return Derivation(RESULT, statement=(behind, joint, early, late, excess), lemmas=lemmas)


def _share(participation: ArrayLike) -> NDArray[np.float64]:
    return between("participation", participation, 0, 1, open_low=True)


def energy_excess(participation: ArrayLike, rounds: ArrayLike) -> Values:
    """Return 1 + (1−r)/(rt), by which random draws raise the prompts' noise energies above their mean path (T28).

    Let r be `participation` and t `rounds` (at least 1); they broadcast. Near 1 draws enter by their mean.

    Raises:
        ValueError: r outside (0, 1], fewer than one round.

    >>> round(float(energy_excess(0.25, 100)), 6)
    1.03
    """
    excess = as_function(formula().excess_symbols, formula().excess)
    return result(excess(_share(participation), between("rounds", rounds, 1)))


def joint_mixing(equal: EqualClients, participation: ArrayLike) -> Values:
    """Return θ*_joint with θ*/(1−θ*) = √(odds*/r), at every time (T28).

    Let `equal` describe the clients and r be `participation`; all broadcast.

    Raises:
        ValueError: r outside (0, 1], and as `leading_order.posthoc_odds`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=4, noise_dim=400, clients=4, samples=10)
    >>> joint_mixing(equal, [1, 0.25]).round(3).tolist()
    [0.366, 0.536]
    """
    effective = as_function(formula().joint_symbols, formula().joint)
    return mixing_from_odds(effective(posthoc_odds(equal), _share(participation)))
