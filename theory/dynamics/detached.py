"""The detached scheme: the local prompt trains through the mixture, the global one by itself (T25).

Statement (T25): the local prompt is trained on the margin M = (1−θ) κ_G τ_G + θ² κ_L τ_L and dτ_L/dt = η/(1+e^M),
while τ_G follows the recursion of the global prompt alone; the effective weights are (1−θ) and θ².

There is no closed form in t, so `accumulated` iterates the discrete recursion, one scalar pair per parameter
set. It is the fast special case of `mean_field.accumulated`, which takes unequal clients and local steps.
"""

from functools import cache

import numpy as np
from scipy.special import expit

from theory.dynamics.margin_rate import global_rate, local_rate
from theory.dynamics.residuals import Accumulated
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, between, nonnegative, positive, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
from theory.proof.symbols import letters

RESULT = Result(
    tag="T25",
    title="Detached scheme",
    problem="How do the prompts grow when only the local one is trained through the mixture?",
    assumptions=("The symmetric mean field of T8.", "One local step per round."),
    bound="asymptotic",
    uses=("T2", "T5", "T8", "T9 (coefficients)"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (θ, κ_G, κ_L, τ_G, τ_L) and the margin of the mixture.

    Each prompt contributes (weight in the output) × (weight in its training) × κ τ.

    >>> symbols, margin_of = formula()
    >>> margin_of.subs(symbols[0], 0)
    kappa_G*tau_G
    """
    import sympy

    at = letters()
    k_global, k_local = sympy.symbols("kappa_G kappa_L", positive=True)
    output, training = (1 - at.theta, at.theta), (sympy.Integer(1), at.theta)
    margin_of = output[0] * training[0] * k_global * at.tau_G + output[1] * training[1] * k_local * at.tau_L
    return (at.theta, k_global, k_local, at.tau_G, at.tau_L), margin_of


@cache
def derivation() -> Derivation:
    """Derive T25 from the coefficients of T5 and the margin kernel of T8."""
    import sympy

    at = letters()
    (theta, k_global, k_local, tau_global, tau_local), margin_of = formula()
    norm, out, training, s = sympy.symbols("w omega_out omega_train s", positive=True)
    gi, gj, coefficient, moved = sympy.symbols(r"g_i g_j a_r \Delta{M_i}", real=True)
    read_global, read_local, trained_global, trained_local = sympy.symbols("o_G o_L t_G t_L", positive=True)
    t, u, margin = sympy.Symbol("t", nonnegative=True), sympy.Symbol("u"), sympy.Symbol("M")
    q = sympy.Function("q")
    statement = eq(margin, margin_of)
    by_global = read_global * trained_global * k_global * tau_global
    by_local = read_local * trained_local * k_local * tau_local
    tau_of = sympy.Function(r"{\tau_L}")
    steps = (
        Step.identity(
            "A prompt trained with weight ω_train has by one sample the coefficient a_r (T9); read with weight "
            "ω_out, at the slope s = 2 of the linear band (T2), it moves a margin through that row by ω_out "
            "ω_train times the growth with full weights, whose sum is κ τ (T8).",
            eq(moved, out * training * (4 * norm * gi * gj * at.tau)),
            eq(moved, out * s * gi * coefficient),
            eq(coefficient, training * norm * s * gj * at.tau),
            eq(s, 2),
        ),
        Step.modelled(
            "So each prompt adds its weight o in the output times its weight t in training times κ τ. The global "
            "one is trained alone and read with 1−θ, the local one trained and read with θ.",
            statement,
            eq(margin, by_global + by_local),
            eq(read_global, 1 - theta),
            eq(trained_global, 1),
            eq(read_local, theta),
            eq(trained_local, theta),
        ),
        Step.modelled(
            "The local prompt's residual is that of the mixture, so τ_L grows at the rate η/(1+e^M) = η q.",
            eq(sympy.Derivative(tau_of(t), t), at.eta * q(t)),
            eq(tau_of(t), at.eta * sympy.Integral(q(u), (u, 0, t))),
        ),
        Step.identity(
            "θ = 1 is the local prompt alone …", eq(margin, k_local * tau_local), statement, eq(theta, 1)
        ),
        Step.identity(
            "… and θ = 0 the global prompt alone.", eq(margin, k_global * tau_global), statement, eq(theta, 0)
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def accumulated(
    equal: EqualClients,
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    participation: ArrayLike = 1.0,
) -> Accumulated:
    """Return (τ_G, τ_L) after t discrete steps of the detached scheme (T25).

    Let `equal` describe the clients, θ be `theta`, t `step` (whole numbers), η `learning_rate` and r
    `participation`, the share of the steps that a local prompt takes on average (T28: 1 if all clients are in
    every round); all broadcast. The cost is proportional to the largest step.

    Raises:
        ValueError: θ outside [0, 1], steps that are negative or not whole, a learning rate that is not positive, r
            outside (0, 1].

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10)
    >>> tau = accumulated(equal, 0.5, 1, 0.1)
    >>> float(tau.global_prompt), float(tau.local_prompt)
    (0.05, 0.05)
    """
    t = nonnegative("step", step)
    if np.any(t != np.round(t)):
        raise ValueError(f"`step` is {t[t != np.round(t)].flat[0]}; allowed: whole numbers")
    mixing, t, eta, k_global, k_local, share = np.broadcast_arrays(
        unit_interval("theta", theta),
        t,
        positive("learning_rate", learning_rate),
        global_rate(equal),
        local_rate(equal),
        between("participation", participation, 0, 1, open_low=True),
    )
    tau_global, tau_local = np.zeros(t.shape), np.zeros(t.shape)
    mixed = as_function(*formula())
    for now in range(int(t.max(initial=0))):
        running = np.where(now < t, eta, 0.0)
        margin = mixed(mixing, k_global, k_local, tau_global, tau_local)
        # both increments use the prompts of the round's start
        tau_local = tau_local + share * running * expit(-margin)
        tau_global = tau_global + running * expit(-k_global * tau_global)
    return Accumulated(result(tau_global), result(tau_local))
