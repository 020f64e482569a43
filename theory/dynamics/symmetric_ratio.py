"""Predicted signal-to-noise ratio of the mixture at any time, for equal clients (T14, symmetric).

Statement (T14, equal n and χ): with effective weights (w_G, w_L) and accumulated residuals τ_G, τ_L,

    R = [w_G τ_G (a + bχ/K) + w_L τ_L (a + b)]
        / (σ_p² e √L √[w_G² τ_G²/(nK) + 2 w_G w_L τ_G τ_L/(nK) + w_L² τ_L²/n]).

The fast special case of `theory.dynamics.predicted_ratio`: τ comes in closed form, and every argument broadcasts.
"""

from functools import cache

import numpy as np

from theory.dynamics import detached
from theory.dynamics.margin_rate import global_rate, joint_rate, local_rate
from theory.dynamics.residuals import Accumulated
from theory.dynamics.saturation import accumulated
from theory.model.accuracy import ratio
from theory.model.federation import EqualClients
from theory.model.schemes import TrainingScheme, effective_weights
from theory.numerics.validation import (
    ArrayLike,
    Values,
    between,
    nonnegative,
    positive,
    result,
    unit_interval,
)
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
from theory.proof.symbols import letters

RESULT = Result(
    tag="T14 (symmetric)",
    title="Predicted ratio, equal clients",
    problem="Which ratio does the mixture have after training, under each scheme?",
    assumptions=(
        "Linear band and the symmetric mean field.",
        "Squared noise norms equal their expectation (large L).",
    ),
    bound="asymptotic",
    uses=("T2", "T7", "T9", "T9 (coefficients)", "T25"),
)

_CANDIDATES, _BRACKETINGS = 65, 9  # each bracket is 64 times as narrow as the one before: 1/64^9 < 1e-16


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols, the signal s and the expected ‖H_ξ‖² of the mixture, assembled from coefficients
    (T9).

    Weights of training and output are merged into w_G and w_L; the coefficients are those of full weights.

    >>> symbols, signal, noise = formula()
    >>> signal.subs({symbols[0]: 0, symbols[1]: 0})
    0
    """
    import sympy

    at = letters()
    w_global, w_local = sympy.symbols("w_G w_L", nonnegative=True)
    slope = sympy.Integer(2)
    shared, own = 2 * (at.a + at.b * at.chi / at.K) * at.tau_G, 2 * (at.a + at.b) * at.tau_L
    signal = slope * (w_global * shared + w_local * own)
    noise = sympy.factor(sympy.expand(_noise(w_global, w_local).doit()))
    symbols = (
        *(w_global, w_local, at.tau_G, at.tau_L, at.a, at.b, at.e, at.sigma, at.L, at.n, at.K, at.chi),
    )
    return symbols, signal, noise


def _noise(w_global: Formula, w_local: Formula) -> Formula:
    """L times the variance that the training samples add to a coordinate of H: the client's n, and the others.

    φ_l = 2eτ (mean of y x_l): every training sample of the client itself enters both means, the others one.
    """
    import sympy

    at, j = letters(), sympy.Symbol("j", integer=True, positive=True)
    average = 4 * at.e * w_global * at.tau_G / (at.n * at.K)
    own = average + 4 * at.e * w_local * at.tau_L / at.n
    of_client = sympy.Sum(own**2 * at.sigma**2, (j, 1, at.n))
    of_others = sympy.Sum(average**2 * at.sigma**2, (j, 1, at.n * (at.K - 1)))
    return at.L * (of_client + of_others)


@cache
def _best_proportion() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Numerator and denominator of the proportion w_L τ_L/(w_G τ_G) with the largest ratio.

    R is that of two fixed assets with signals s and noise A, B and C, in which it is largest at the odds
    (s_L A − s_G C)/(s_G B − s_L C).

    >>> _best_proportion()[1:]
    (b*(K - chi), K*(a*(K - 1) + b*(chi - 1)))
    """
    import sympy

    at = letters()
    (w_global, w_local, *_), signal, noise = formula()

    def of(expression: Formula, share: int, other: int) -> Formula:
        return expression.subs({w_global: share, w_local: other, at.tau_G: 1, at.tau_L: 1})

    s_global, s_local = of(signal, 1, 0), of(signal, 0, 1)
    a, b = of(noise, 1, 0), of(noise, 0, 1)
    c = (of(noise, 1, 1) - a - b) / 2
    odds = sympy.cancel((s_local * a - s_global * c) / (s_global * b - s_local * c))
    parts = (sympy.factor(part) for part in sympy.fraction(odds))
    symbols = (at.a, at.b, at.K, at.chi)
    return symbols, *(sympy.collect(part, (at.a, at.b)) for part in parts)


@cache
def derivation() -> Derivation:
    """Derive the symmetric case of T14 from the coefficients of both prompts."""
    import sympy

    at = letters()
    (w_global, w_local, *_), signal, _ = formula()
    inner = (
        w_global**2 * at.tau_G**2 / (at.n * at.K)
        + 2 * w_global * w_local * at.tau_G * at.tau_L / (at.n * at.K)
        + w_local**2 * at.tau_L**2 / at.n
    )
    numerator = w_global * at.tau_G * (at.a + at.b * at.chi / at.K) + w_local * at.tau_L * (at.a + at.b)
    R, s, H, h = sympy.symbols("R s H_xi h")
    beta_global, beta_local, gamma_global, gamma_local = sympy.symbols("beta_G beta_L gamma_G gamma_L")
    displayed = numerator / (at.sigma**2 * at.e * sympy.sqrt(at.L) * sympy.sqrt(inner))
    statement = eq(R, displayed)
    coefficients = (
        eq(beta_global, 2 * at.a * at.tau_G),
        eq(beta_local, 2 * at.a * at.tau_L),
        eq(gamma_global, 2 * at.b * at.tau_G * at.chi / at.K),
        eq(gamma_local, 2 * at.b * at.tau_L),
    )
    entries = w_global * (beta_global + gamma_global) + w_local * (beta_local + gamma_local)
    signal_of = eq(s, signal)
    noise_of = eq(H**2, 16 * at.e**2 * at.sigma**2 * at.L * inner)
    steps = (
        Step.identity(
            "The relevant entries of H are the coefficients of T9 (full weights) times the slope h = 2 (T2).",
            signal_of,
            eq(s, h * entries),
            *coefficients,
            eq(h, 2),
        ),
        Step.identity(
            "The client's own samples enter both prompts with their noise, the others only the average.",
            noise_of,
            eq(H**2, _noise(w_global, w_local)),
        ),
        Step.identity(
            "The factor 4 of both cancels from R = s/(σ_p ‖H_ξ‖) (T7).",
            statement,
            eq(R, s / (at.sigma * sympy.sqrt(H**2))),
            signal_of,
            noise_of,
        ),
        Step.identity(
            "Joint training: both prompts share τ, which cancels too.",
            eq(
                displayed.subs({at.tau_G: at.tau, at.tau_L: at.tau}),
                displayed.subs({at.tau_G: 1, at.tau_L: 1}),
            ),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def predicted_ratio(
    equal: EqualClients, scheme: TrainingScheme, theta: ArrayLike, tau: Accumulated
) -> Values:
    """Return the predicted ratio R of a client's mixture (T14 for equal clients).

    Let `equal` describe the clients, θ be `theta` and (τ_G, τ_L) be `tau`, from `symmetric_tau`; all broadcast.
    `scheme` selects the effective weights (`schemes.effective_weights`). The predicted accuracy is
    `accuracy.accuracy(R)`. Untrained prompts have R = 0.

    Raises:
        ValueError: θ outside [0, 1], a negative τ, an unknown scheme.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10)
    >>> tau = Accumulated(np.float64(0.1), np.float64(0.1))
    >>> predicted_ratio(equal, "posthoc", [0, 1], tau).round(4).tolist()
    [1.5021, 1.5811]
    """
    arguments = (
        *effective_weights(theta, scheme),
        nonnegative("tau.global_prompt", tau.global_prompt),
        nonnegative("tau.local_prompt", tau.local_prompt),
        *(equal.global_feature_sq, equal.local_feature_sq, equal.noise_feature_sq, equal.noise_std),
        *(equal.noise_dim, equal.samples, equal.clients, equal.group_size),
    )
    symbols, *moments = formula()
    signal, noise = as_function(symbols, tuple(moments))(*arguments)
    return ratio(signal, np.sqrt(noise), equal.noise_std)


def symmetric_tau(
    equal: EqualClients,
    scheme: TrainingScheme,
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    participation: ArrayLike = 1.0,
) -> Accumulated:
    """Return the accumulated residuals (τ_G, τ_L) after t steps, in units of learning rate times steps (T9,
    T25, T28).

    Let `equal` describe the clients, θ be `theta`, t `step`, η `learning_rate` and r `participation`, the share of
    the clients that are drawn in each round; all broadcast. Draws enter by their mean, which is exact for r = 1.

    - `joint`: τ_G = M/κ(θ) of T9 with the rate κ(θ) of T28, which is that of T8 for r = 1, and τ_L = r τ_G;
    - `posthoc`: each prompt has its own, with κ_G and rκ_L; θ plays no role but in the shape;
    - `detached`: T25, iterated over whole steps (cost proportional to the largest step).

    Raises:
        ValueError: θ outside [0, 1], a negative step, a learning rate that is not positive, r outside (0, 1], an
            unknown scheme.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10)
    >>> tau = symmetric_tau(equal, "posthoc", 0.5, 10, 0.01)
    >>> bool(tau.global_prompt > tau.local_prompt)
    True
    >>> tau = symmetric_tau(equal, "joint", 0.5, 100, 0.001, participation=0.5)
    >>> float(tau.local_prompt / tau.global_prompt)
    0.5
    """
    if scheme == "detached":
        return detached.accumulated(equal, theta, step, learning_rate, participation)
    mixing = unit_interval("theta", theta)
    share = between("participation", participation, 0, 1, open_low=True)
    time = positive("learning_rate", learning_rate) * nonnegative("step", step)
    if scheme == "joint":
        rate = joint_rate(equal, mixing, share)
        tau_global = accumulated(time * rate, rate)
        return Accumulated(tau_global, result(share * tau_global))
    if scheme != "posthoc":
        raise ValueError(f"`scheme` is {scheme!r}; allowed: 'joint', 'posthoc', 'detached'")
    k_global, k_local = global_rate(equal), local_rate(equal)
    taus = accumulated(time * k_global, k_global), accumulated(time * share * k_local, k_local)
    shaped = np.broadcast_arrays(*taus, mixing)
    return Accumulated(result(shaped[0]), result(shaped[1]))


def best_mixing(
    equal: EqualClients, scheme: TrainingScheme, step: float, learning_rate: float, participation: float = 1.0
) -> float:
    """Return the θ in [0, 1] with the largest predicted ratio after t steps, to rounding (T14, T28).

    The ratio of T14 depends on θ through the proportion w_L τ_L/(w_G τ_G) alone, in which it is a mixture of two
    fixed assets: it is largest where the proportion, which grows with θ, equals odds* of T17. That place is
    bracketed ever more closely. Odds of 0 give θ = 0 and infinite ones θ = 1, exactly. At t = 0 the answer is the
    limit t → 0. For post-hoc and joint training T20, T21 and T28 give the same in closed form; the detached scheme
    has none. The arguments are those of `symmetric_tau`, all scalars.

    Raises:
        ValueError: as `symmetric_tau`; both features zero, fewer than two clients.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10)
    >>> round(best_mixing(equal, "joint", 50, 0.001), 3), round(best_mixing(equal, "joint", 0, 0.001), 3)
    (0.433, 0.433)
    >>> round(best_mixing(equal, "joint", 50, 0.001, participation=0.25), 3)
    0.604
    """
    between("clients", equal.clients, 2)
    symbols, *parts = _best_proportion()
    features = equal.global_feature_sq, equal.local_feature_sq
    to_local, to_global = as_function(symbols, tuple(parts))(*features, equal.clients, equal.group_size)
    positive("global_feature_sq + local_feature_sq", sum(features))
    low, high = 0.0, 1.0
    if to_local <= 0 or to_global <= 0:
        symmetric_tau(equal, scheme, low, step, learning_rate, participation)  # refuses what it must
        return low if to_local <= 0 else high
    for _ in range(_BRACKETINGS):
        theta = np.linspace(low, high, _CANDIDATES)
        tau_global, tau_local = symmetric_tau(equal, scheme, theta, step, learning_rate, participation)
        if step == 0:
            tau_global, tau_local = np.ones_like(theta), np.full_like(theta, participation)
        w_global, w_local = effective_weights(theta, scheme)
        below = to_global * w_local * tau_local < to_local * w_global * tau_global
        last = int(np.flatnonzero(below).max(initial=0))
        low, high = float(theta[last]), float(theta[min(last + 1, theta.size - 1)])
    return (low + high) / 2
