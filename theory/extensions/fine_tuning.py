"""Fine-tuning: every client goes on alone from the global prompt (T31).

Statement (T31): each client starts from the global prompt after t rounds, whose accumulated residual is τ_G and
whose margin is M_0 = κ_G τ_G, and takes s steps on its own samples, without communication. Its prompt is the global
one and a local part with the accumulated residual τ_F, so M = M_0 + κ_L τ_F and dM/ds = ηκ_L/(1+e^M). The ratio R
does not depend on length: the path passes once through every mixture of T15, that with θ/(1−θ) = τ_F/τ_G, and so
through the best one, at

    τ_F* = odds* τ_G,   M* = M_0 + κ_L τ_F*,   s* = (M* − M_0 + e^{M*} − e^{M_0})/(ηκ_L),

odds* of T17. With g = odds* κ_L/κ_G, the limiting odds of T20, s* = odds* t for small t, and
ηκ_L s* = (ηκ_G t)^{1+g} up to a factor that tends to 1 for large t.

Continuous time costs a share of s* that is proportional to ηκ_L: with the letters of `stopping`'s example it is too
large by 0.10 ηκ_L of it at ηκ_L t = 4, and too small by 0.03 ηκ_L from 40 on, where discrete steps have taken the
global prompt, and so the goal, farther. `theory.extensions.fine_tuned_clients` counts discrete steps.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from theory.dynamics.margin_rate import global_rate, local_rate
from theory.dynamics.residuals import Accumulated
from theory.dynamics.saturation import accumulated as saturated
from theory.mixing import leading_order
from theory.mixing.tangency import optimum
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, between, nonnegative, positive, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T31",
    title="Fine-tuning from the global prompt",
    problem="How many steps of its own should a client take from the global prompt, and how good is what it gets?",
    assumptions=(
        "The symmetric mean field of T8 in continuous time (T9).",
        "Training data and steps as before: plain gradient descent with the same η, on the client's own samples.",
    ),
    bound="asymptotic",
    uses=("T8", "T9", "T15", "T17", "T20"),
)


class Expressions(NamedTuple):
    """T31 as SymPy expressions of `symbols` (odds, τ_G, κ_G, κ_L, η): τ_F*, M_0, M* and s*."""

    symbols: tuple[Formula, ...]
    tau: Formula
    start: Formula
    margin: Formula
    step: Formula


@cache
def formula() -> Expressions:
    """Return τ_F*, M_0, M* and s*; the last solves the separated equation of T9 from M_0 to M*.

    >>> parts = formula()
    >>> parts.tau, parts.margin
    (odds*tau_G, kappa_G*tau_G + kappa_L*odds*tau_G)
    """
    import sympy

    at = letters()
    odds, k_global, k_local = sympy.symbols("odds kappa_G kappa_L", positive=True)
    passed = sympy.Symbol("s", nonnegative=True)
    tau, start = odds * at.tau_G, k_global * at.tau_G
    margin = start + k_local * tau
    reached = eq(margin + sympy.exp(margin), at.eta * k_local * passed + start + sympy.exp(start))
    (step,) = sympy.solve(reached, passed)
    return Expressions((odds, at.tau_G, k_global, k_local, at.eta), tau, start, margin, step)


@cache
def derivation() -> Derivation:
    """Derive T31: the mixtures that fine-tuning passes through, when it reaches the best, and how that grows."""
    import sympy

    at, parts, best = letters(), formula(), optimum()
    odds, tau_global, k_global, k_local, eta = parts.symbols
    s_global, s_local, *_ = best.symbols
    tau_fine = sympy.Symbol("tau_F", positive=True)
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    u, v = (sympy.IndexedBase(name, real=True)[l] for name in "uv")

    def squared(vector: Formula) -> Formula:
        return sympy.Sum(vector**2, (l, 1, at.L))

    theta, R_F, H = sympy.Symbol("theta", real=True), sympy.Symbol("R_F"), sympy.Symbol("H", positive=True)
    lengths = (eq(at.A, squared(u)), eq(at.B, squared(v)), eq(at.C, sympy.Sum(u * v, (l, 1, at.L))))
    signal = tau_global * s_global + tau_fine * s_local
    noise = tau_global**2 * at.A + 2 * tau_global * tau_fine * at.C + tau_fine**2 * at.B
    share = tau_fine / (tau_global + tau_fine)
    mixture = eq(theta / (1 - theta), tau_fine / tau_global)
    path = Lemma(
        "Fine-tuning passes through the mixtures",
        (
            Step.modelled(
                "In the linear band outputs add up. Per unit of τ the global prompt has the signal s_G and the "
                "noise u, the client's own samples add s_L and v, whoever they start from: the squared noise is …",
                eq(squared(tau_global * u + tau_fine * v), noise),
                *lengths,
            ),
            Step.modelled(
                "… and the ratio of the fine-tuned prompt (T7) has no unit of length:",
                eq(R_F, signal / (at.sigma * sympy.sqrt(noise))),
                eq(R_F, signal / (at.sigma * H)),
                eq(H, sympy.sqrt(noise)),
            ),
            Step.identity(
                "it is that of the mixture (T15) with θ = τ_F/(τ_G + τ_F), the prompts taken per unit of τ …",
                eq(best.ratio.subs(theta, share), signal / (at.sigma * sympy.sqrt(noise))),
            ),
            Step.identity("… whose odds are τ_F/τ_G.", mixture, eq(theta, share)),
        ),
        (mixture,),
    )

    s = sympy.Symbol("s", nonnegative=True)
    margin_of, tau_of = sympy.Function("M"), sympy.Function("tau_F")
    grows = eq(sympy.Derivative(margin_of(s), s), eta * k_local / (1 + sympy.exp(margin_of(s))))
    c = eta * k_local * s + at.M_0 + sympy.exp(at.M_0)
    solved = eq(margin_of(s), c - sympy.LambertW(sympy.exp(c)))
    reached, start, margin = sympy.Symbol("M^*", real=True), at.M_0, sympy.Symbol("M", real=True)
    own, passed = sympy.Symbol(r"\tau_F^*"), sympy.Symbol(r"s^*")
    tau_claim, start_claim = eq(own, odds * tau_global), eq(start, k_global * tau_global)
    margin_claim = eq(reached, start + k_local * own)
    step_claim = eq(passed, (reached - start + sympy.exp(reached) - sympy.exp(start)) / (eta * k_local))
    margin_at = k_global * tau_global + k_local * tau_fine
    time = Lemma(
        "When it reaches the best mixture",
        (
            Step.modelled(
                "A margin is κ_G τ_G through the global prompt and κ_L τ_F through what the client's own steps "
                "add (T8). Before them it is …",
                start_claim,
                eq(start, margin_at),
                eq(tau_fine, 0),
            ),
            Step.identity("… and after them", eq(margin_at, start + k_local * tau_fine), start_claim),
            Step.modelled(
                "The residual is q = 1/(1+e^M), and τ_F grows at the rate ηq. So the margin follows …",
                grows,
                eq(sympy.Derivative(margin_of(s), s), k_local * sympy.Derivative(tau_of(s), s)),
                eq(sympy.Derivative(tau_of(s), s), eta / (1 + sympy.exp(margin_of(s)))),
            ),
            Step.ode("… the equation of T9 with the rate κ_L, from M_0.", solved, grows),
            Step.sign(
                "The margin, and with it τ_F, always grows: no mixture is passed twice …",
                relation(">", eta * k_local / (1 + sympy.exp(margin)), 0),
            ),
            Step.identity(
                "… and M + e^M, which is ηκ_L s and a constant, has no bound: every mixture is reached.",
                eq(margin_of(s) + sympy.exp(margin_of(s)), c),
                solved,
            ),
            Step.root("The best mixture has the odds of T17 …", tau_claim, eq(own / tau_global, odds)),
            Step.identity(
                "… and with them this margin, …",
                margin_claim,
                eq(reached, margin_at),
                eq(tau_fine, own),
                start_claim,
            ),
            Step.root(
                "… at which M + e^M has grown by ηκ_L s*:",
                step_claim,
                eq(reached + sympy.exp(reached), eta * k_local * passed + start + sympy.exp(start)),
            ),
            Step.identity(
                "The form of it that is evaluated.",
                eq(passed, parts.step),
                step_claim,
                margin_claim,
                tau_claim,
                start_claim,
            ),
        ),
        (tau_claim, margin_claim, start_claim, step_claim),
    )

    g, x = sympy.symbols("g x", positive=True)
    rounds, steps = x + sympy.exp(x) - 1, g * x + sympy.exp((1 + g) * x) - sympy.exp(x)
    early = eq(sympy.Limit(steps / k_local / (rounds / k_global), x, 0), g * k_global / k_local)
    late = (
        eq(sympy.Limit(1 + g * x * sympy.exp(-(1 + g) * x) - sympy.exp(-g * x), x, sympy.oo), 1),
        eq(sympy.Limit(rounds * sympy.exp(-x), x, sympy.oo), 1),
    )
    long = Lemma(
        "How that grows with the rounds of the global prompt",
        (
            Step.identity(
                "Let x = M_0 and g = odds* κ_L/κ_G, so that M* = (1+g) x; ηκ_L s* in these letters.",
                eq(eta * k_local * parts.step, steps.subs({x: parts.start, g: odds * k_local / k_global})),
            ),
            Step.identity(
                "The global prompt has taken ηκ_G t = x + e^x − 1 (T9). For small t, s*/t tends to this …",
                early,
            ),
            Step.identity("… which is odds*.", eq(early.rhs, odds), eq(g, odds * k_local / k_global)),
            Step.identity(
                "For large t, ηκ_L s* over e^{(1+g)x} …",
                eq(steps * sympy.exp(-(1 + g) * x), late[0].lhs.args[0]),
            ),
            Step.identity("… tends to 1 …", late[0]),
            Step.identity("… and so does ηκ_G t over e^x: ηκ_L s* grows like (ηκ_G t)^{1+g}.", late[1]),
        ),
        (early, *late),
    )
    return Derivation(
        RESULT,
        statement=(mixture, tau_claim, margin_claim, start_claim, step_claim),
        lemmas=(path, time, long),
    )


class Stopping(NamedTuple):
    """Where fine-tuning passes through the best mixture.

    Attributes:
        tau: τ_F*, accumulated residual of the local part, in units of learning rate times steps.
        margin: M*, margin of the client's samples there.
        step: s*, steps from the global prompt; 0 where θ* = 0, infinite where θ* = 1.
    """

    tau: Values
    margin: Values
    step: Values


def stopping(equal: EqualClients, step: ArrayLike, learning_rate: ArrayLike) -> Stopping:
    """Return τ_F*, M* and s* after t rounds of the global prompt, in continuous time (T31).

    Let `equal` describe the clients, t be `step` and η `learning_rate`; arguments broadcast. At t = 0 all three are
    0: there is nothing to hold on to, and nothing to add to it.

    Raises:
        ValueError: a negative step, a learning rate that is not positive, and as `leading_order.posthoc_odds`.

    >>> equal = EqualClients(global_feature_sq=1, local_feature_sq=3, noise_dim=2000, clients=10, samples=20)
    >>> stopping(equal, [0, 10, 20], 1 / local_rate(equal)).step.round(1).tolist()
    [0.0, 5.7, 24.0]
    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=9, noise_dim=20000, clients=10, samples=20)
    >>> stopping(equal, [10, 20], 1 / local_rate(equal)).step.round(1).tolist()
    [5.7, 24.0]
    """
    eta, t = positive("learning_rate", learning_rate), nonnegative("step", step)
    k_global, k_local, odds = global_rate(equal), local_rate(equal), leading_order.posthoc_odds(equal)
    start, tau_global = (
        k_global * saturated(eta * k_global * t, k_global),
        saturated(eta * k_global * t, k_global),
    )
    bounded = np.where(np.isinf(odds), 1.0, odds)
    tau = as_function(formula().symbols, formula().tau)(bounded, tau_global, k_global, k_local, eta)
    tau = np.where(np.isinf(odds) & (tau_global > 0), np.inf, tau)
    return Stopping(result(tau), result(start + k_local * tau), steps_to(tau, start, k_local, eta))


def steps_to(tau: ArrayLike, start: ArrayLike, rate: ArrayLike, learning_rate: ArrayLike) -> Values:
    """Return the steps in which a local part grows to τ, in continuous time (T31).

    Let τ be `tau`, M_0 `start`, κ_L `rate` and η `learning_rate`; arguments broadcast. They are
    (κ_L τ + e^{M_0} (e^{κ_L τ} − 1))/(ηκ_L), infinite where e^{M} is too large for a float64.

    Raises:
        ValueError: a negative τ or start, a rate or a learning rate that is not positive.

    >>> float(steps_to(0.5e-6, 0.0, 20.0, 1e-6).round(6))
    1.000003
    """
    grown = positive("rate", rate) * between("tau", tau, 0, finite=False)
    margin = nonnegative("start", start)
    with np.errstate(over="ignore"):
        taken = grown + np.exp(margin) * np.expm1(grown)
    return result(taken / (positive("learning_rate", learning_rate) * np.asarray(rate)))


def path(
    equal: EqualClients, step: ArrayLike, finetune_step: ArrayLike, learning_rate: ArrayLike
) -> Accumulated:
    """Return (τ_G, τ_F) after t rounds of the global prompt and s steps of fine-tuning, in continuous time (T31).

    Let `equal` describe the clients, t be `step`, s `finetune_step` and η `learning_rate`; arguments broadcast.
    `symmetric_ratio.predicted_ratio(equal, "finetuned", 1.0, …)` gives the ratio of the fine-tuned prompt.

    Raises:
        ValueError: a negative t or s, a learning rate that is not positive.

    >>> equal = EqualClients(global_feature_sq=1, local_feature_sq=3, noise_dim=2000, clients=10, samples=20)
    >>> eta = 1 / local_rate(equal)
    >>> tau = path(equal, 10, stopping(equal, 10, eta).step, eta)
    >>> round(float(tau.local_prompt / tau.global_prompt), 12)  # odds of T17
    0.3
    """
    eta, t = positive("learning_rate", learning_rate), nonnegative("step", step)
    s, k_global, k_local = nonnegative("finetune_step", finetune_step), global_rate(equal), local_rate(equal)
    tau_global = saturated(eta * k_global * t, k_global)
    tau_fine = saturated(eta * k_local * s, k_local, k_global * tau_global)
    shared, own = np.broadcast_arrays(tau_global, tau_fine)
    return Accumulated(result(shared), result(own))
