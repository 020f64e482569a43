"""One global prompt with many local steps: a closed recursion over rounds (T13).

Statement (T13): τ ← τ + [F(κ_G τ, κ_L ηE) − κ_G τ]/κ_L, where F(M_0, c) solves x + e^x = c + M_0 + e^{M_0}.

A round starts at the averaged prompt's margin κ_G τ. Within it, what a client adds is not averaged yet, so its
margin grows at the faster rate κ_L and saturates by T9; averaging brings it back to κ_G times the new τ.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import saturation
from theory.dynamics.margin_rate import global_rate, local_rate
from theory.dynamics.residuals import increasing_rounds
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, between, nonnegative, positive, result
from theory.proof.derivation import Derivation, Formula, Result, Step, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T13",
    title="Recursion over rounds",
    problem="How does the averaged prompt move in a round of E local steps?",
    assumptions=(
        "The mean field of T12 with equal clients, one global prompt.",
        "Continuous time within a round (small ηκ_L).",
    ),
    bound="asymptotic",
    uses=("T8", "T9", "T12"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (κ_G, κ_L, η, E, τ) and τ after one round, through the closed form of T9.

    >>> symbols, after = formula()
    >>> after.subs(symbols[-1], 0).subs(symbols[3], 0)
    0
    """
    import sympy

    at = letters()
    scaled_time, start, margin_of = saturation.formula()
    k_global, k_local, steps = sympy.symbols("kappa_G kappa_L E", positive=True)
    begins = k_global * at.tau
    ends = margin_of.subs({scaled_time: k_local * at.eta * steps, start: begins}, simultaneous=True)
    return (k_global, k_local, at.eta, steps, at.tau), at.tau + (ends - begins) / k_local


@cache
def derivation() -> Derivation:
    """Derive T13 from the margin of T12 within a round, its closed form T9, and the average of equal clients."""
    import sympy

    at = letters()
    (k_global, k_local, eta, steps_of, tau), after = formula()
    u = sympy.Symbol("u", nonnegative=True)
    j = sympy.Symbol("j", integer=True, positive=True)
    x, drift = sympy.Symbol("x", real=True), sympy.Symbol("delta", positive=True)
    margin_of, delta_of, M = sympy.Function("M"), sympy.Function("delta"), sympy.Symbol("M_E")
    tau_new = sympy.Symbol("tau_new")
    c = k_local * eta * u + k_global * tau + sympy.exp(k_global * tau)
    solution = c - sympy.LambertW(sympy.exp(c))
    within = k_global * tau + k_local * delta_of(u)
    residual = eq(sympy.Derivative(delta_of(u), u), eta / (1 + sympy.exp(margin_of(u))))
    equation = eq(sympy.Derivative(margin_of(u), u), eta * k_local / (1 + sympy.exp(margin_of(u))))
    end = solution.subs(u, steps_of)
    statement = eq(tau_new, after)
    drift_at_end = eq(drift, (M - k_global * tau) / k_local)
    steps = (
        Step.assumed(
            "Within a round the client's drift δ grows by its residual, η per unit of time u …", residual
        ),
        Step.identity(
            "… and the margin is κ_G τ + κ_L δ (T12), so it grows at the rate κ_L.",
            eq(sympy.Derivative(within, u), equation.rhs),
            residual,
        ),
        Step.ode(
            "T9 solves this equation, from the margin of the averaged prompt.",
            eq(margin_of(u), solution),
            equation,
        ),
        Step.identity(
            "At u = 0 the solution solves x + e^x = c with c = κ_G τ + e^{κ_G τ}, that is x = κ_G τ.",
            eq(margin_of(0) + sympy.exp(margin_of(0)), k_global * tau + sympy.exp(k_global * tau)),
            eq(margin_of(0), solution.subs(u, 0)),
        ),
        Step.sign(
            "No other x does, because the left side increases.",
            relation(">", sympy.Derivative(x + sympy.exp(x), x), 0),
        ),
        Step.root(
            "At the round's end the margin M_E = κ_G τ + κ_L δ gives the drift.",
            drift_at_end,
            eq(M, k_global * tau + k_local * drift),
        ),
        Step.identity(
            "Averaging K equal clients, with weights 1/K, adds the same δ to τ.",
            eq(sympy.Sum((tau + drift) / at.K, (j, 1, at.K)), tau + drift),
        ),
        Step.identity(
            "Together: τ after a round, with T9 at u = E for the margin at its end.",
            statement,
            eq(tau_new, tau + drift),
            drift_at_end,
            eq(M, end),
        ),
        Step.identity(
            "One client alone (κ_G = κ_L = κ, M = κτ): rounds do not matter, the energy M + e^M grows by ηκE "
            "in each.",
            eq(
                k_local * tau_new + sympy.exp(k_local * tau_new),
                k_local * tau + sympy.exp(k_local * tau) + eta * k_local * steps_of,
            ),
            statement,
            eq(k_global, k_local),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def after_round(
    equal: EqualClients, tau: ArrayLike, learning_rate: ArrayLike, local_steps: ArrayLike
) -> Values:
    """Return τ after one more round of E local steps (T13).

    Let `equal` describe the clients, τ be `tau`, η `learning_rate` and E `local_steps`; all broadcast.
    [F(κ_G τ, κ_L ηE) − κ_G τ]/κ_L is computed as one increment, which neither overflows nor cancels.

    Raises:
        ValueError: a negative τ, fewer than one local step, a learning rate that is not positive.

    >>> equal = EqualClients(global_feature_sq=0, local_feature_sq=1, noise_dim=40, clients=4, samples=10)
    >>> round(float(after_round(equal, 0.0, 0.01, 5)), 4)
    0.0221
    """
    k_global, k_local, before = global_rate(equal), local_rate(equal), nonnegative("tau", tau)
    time = positive("learning_rate", learning_rate) * between("local_steps", local_steps, 1)
    return result(before + saturation.accumulated(k_local * time, k_local, k_global * before))


def accumulated(
    equal: EqualClients,
    rounds: Sequence[int] | NDArray[Any],
    learning_rate: ArrayLike,
    local_steps: ArrayLike,
) -> NDArray[np.float64]:
    """Return τ of the global prompt at the recorded rounds, from a zero start (T13).

    Let `rounds` be increasing whole numbers; the other arguments are those of `after_round`, and broadcast to a
    shape (…). The cost is proportional to the last round, whatever E.

    Returns:
        Array of shape (rounds, …), in units of learning rate times steps.

    Raises:
        ValueError: rounds that are not increasing whole numbers, and as `after_round`.

    >>> equal = EqualClients(global_feature_sq=0, local_feature_sq=1, noise_dim=40, clients=4, samples=10)
    >>> accumulated(equal, [0, 1, 2], 0.01, [1, 5]).round(4).tolist()
    [[0.0, 0.0], [0.0049, 0.0221], [0.0097, 0.0431]]
    """
    recorded = increasing_rounds(rounds)
    shape = np.broadcast(*map(np.asarray, (learning_rate, local_steps, global_rate(equal)))).shape
    tau: Values = np.zeros(shape)
    history, done = [], 0
    for count in recorded.astype(int):
        for _ in range(done, count):
            tau = after_round(equal, tau, learning_rate, local_steps)
        history.append(np.asarray(tau))
        done = count
    return np.stack(history)
