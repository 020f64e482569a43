"""Predicted signal-to-noise ratio of the mixture at any time, for equal clients (T14, symmetric).

Statement (T14, equal n and χ): with effective weights (w_G, w_L) and accumulated residuals τ_G, τ_L,

    R = [w_G τ_G (a + bχ/K) + w_L τ_L (a + b)]
        / (σ_p² e √L √[w_G² τ_G²/(nK) + 2 w_G w_L τ_G τ_L/(nK) + w_L² τ_L²/n]).

The fast special case of `theory.dynamics.predicted_ratio`: τ comes in closed form, and every argument broadcasts.
"""

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from scipy.optimize import minimize_scalar

from theory.dynamics import detached
from theory.dynamics.margin_rate import global_rate, joint_rate, local_rate
from theory.dynamics.saturation import accumulated
from theory.mixing.tangency import TrainingScheme, effective_weights
from theory.model.accuracy import ratio
from theory.numerics.validation import (
    ArrayLike,
    Values,
    between,
    checked_group_size,
    nonnegative,
    positive,
    result,
    unit_interval,
)
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
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


Accumulated: TypeAlias = detached.Accumulated


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
    statement = relation("=", R, displayed)
    coefficients = (
        relation("=", beta_global, 2 * at.a * at.tau_G),
        relation("=", beta_local, 2 * at.a * at.tau_L),
        relation("=", gamma_global, 2 * at.b * at.tau_G * at.chi / at.K),
        relation("=", gamma_local, 2 * at.b * at.tau_L),
    )
    entries = w_global * (beta_global + gamma_global) + w_local * (beta_local + gamma_local)
    signal_of = relation("=", s, signal)
    noise_of = relation("=", H**2, 16 * at.e**2 * at.sigma**2 * at.L * inner)
    steps = (
        Step.identity(
            "The relevant entries of H are the coefficients of T9 (full weights) times the slope h = 2 (T2).",
            signal_of,
            relation("=", s, h * entries),
            *coefficients,
            relation("=", h, 2),
        ),
        Step.identity(
            "The client's own samples enter both prompts with their noise, the others only the average.",
            noise_of,
            relation("=", H**2, _noise(w_global, w_local)),
        ),
        Step.identity(
            "The factor 4 of both cancels from R = s/(σ_p ‖H_ξ‖) (T7).",
            statement,
            relation("=", R, s / (at.sigma * sympy.sqrt(H**2))),
            signal_of,
            noise_of,
        ),
        Step.identity(
            "Joint training: both prompts share τ, which cancels too.",
            relation(
                "=",
                displayed.subs({at.tau_G: at.tau, at.tau_L: at.tau}),
                displayed.subs({at.tau_G: 1, at.tau_L: 1}),
            ),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


@cache
def _numeric() -> tuple[Any, Any]:
    symbols, signal, noise = formula()
    return as_function(symbols, signal), as_function(symbols, noise)


def predicted_ratio(
    theta: ArrayLike,
    *,
    scheme: TrainingScheme,
    tau_global: ArrayLike,
    tau_local: ArrayLike,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_feature_sq: ArrayLike,
    noise_std: ArrayLike,
    noise_dim: ArrayLike,
    clients: ArrayLike,
    samples: ArrayLike,
    group_size: ArrayLike,
) -> Values:
    """Return the predicted ratio R of a client's mixture (T14 for equal clients).

    Let θ be `theta`, τ_G and τ_L `tau_global` and `tau_local` (from `symmetric_tau`), a `global_feature_sq`, b
    `local_feature_sq`, e `noise_feature_sq`, σ_p `noise_std`, L `noise_dim`, K `clients`, n `samples` per
    client and χ `group_size`; arguments broadcast. `scheme` selects the effective weights
    (`tangency.effective_weights`). The predicted accuracy is `accuracy.accuracy(R)`. Untrained prompts have R =
    0.

    Raises:
        ValueError: any argument outside its range (named in the message), or an unknown scheme.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                clients=4, samples=10, group_size=1)
    >>> R = predicted_ratio([0, 1], scheme="posthoc", tau_global=0.1, tau_local=0.1, **letters)
    >>> R.round(4).tolist()
    [1.5021, 1.5811]
    """
    w_global, w_local = effective_weights(theta, scheme)
    count = between("clients", clients, 1)
    arguments = (
        w_global,
        w_local,
        nonnegative("tau_global", tau_global),
        nonnegative("tau_local", tau_local),
        nonnegative("global_feature_sq", global_feature_sq),
        nonnegative("local_feature_sq", local_feature_sq),
        positive("noise_feature_sq", noise_feature_sq),
        positive("noise_std", noise_std),
        between("noise_dim", noise_dim, 1),
        between("samples", samples, 1),
        count,
        checked_group_size(group_size, count, symmetric=True),
    )
    signal, noise = _numeric()[0](*arguments), _numeric()[1](*arguments)
    return ratio(signal, np.sqrt(noise), noise_std)


def symmetric_tau(
    scheme: TrainingScheme,
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    *,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_feature_sq: ArrayLike,
    noise_std: ArrayLike,
    noise_dim: ArrayLike,
    clients: ArrayLike,
    samples: ArrayLike,
    group_size: ArrayLike,
) -> Accumulated:
    """Return the accumulated residuals (τ_G, τ_L) after t steps, in units of learning rate times steps (T9,
    T25).

    Let t be `step` and η be `learning_rate`; the other arguments are those of `predicted_ratio`, and all
    broadcast.

    - `joint`: both prompts share τ = M/κ(θ) of T9 with the rate κ(θ) of T8;
    - `posthoc`: each prompt has its own, with κ_G and κ_L; θ plays no role but in the shape;
    - `detached`: T25, iterated over whole steps (cost proportional to the largest step).

    Raises:
        ValueError: as `predicted_ratio`; a negative step, a learning rate that is not positive.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                clients=4, samples=10, group_size=1)
    >>> tau = symmetric_tau("posthoc", 0.5, 10, 0.01, **letters)
    >>> bool(tau.global_prompt > tau.local_prompt)
    True
    """
    mixing = unit_interval("theta", theta)
    eta, t = positive("learning_rate", learning_rate), nonnegative("step", step)
    feature, deviation = positive("noise_feature_sq", noise_feature_sq), positive("noise_std", noise_std)
    energies = dict(
        global_feature_sq=global_feature_sq,
        local_feature_sq=local_feature_sq,
        noise_energy=between("noise_dim", noise_dim, 1) * deviation**2 * feature,
        samples=samples,
    )
    federation = dict(clients=clients, group_size=group_size)
    if scheme == "joint":
        k_joint = joint_rate(mixing, **energies, **federation)
        tau = accumulated(eta * k_joint * t, k_joint)
        return Accumulated(tau, tau)
    k_global, k_local = global_rate(**energies, **federation), local_rate(**energies)
    if scheme == "detached":
        return detached.accumulated(mixing, t, eta, rate_global=k_global, rate_local=k_local)
    if scheme == "posthoc":
        taus = (accumulated(eta * rate * t, rate) for rate in (k_global, k_local))
        shaped = np.broadcast_arrays(*taus, mixing)
        return Accumulated(result(shaped[0]), result(shaped[1]))
    raise ValueError(f"`scheme` is {scheme!r}; allowed: 'joint', 'posthoc', 'detached'")


def best_mixing(
    scheme: TrainingScheme, step: float | int, learning_rate: float, **letters_of: float | int
) -> float:
    """Return the θ in [0, 1] with the largest predicted ratio after t steps, by scalar maximisation (T14).

    For post-hoc and joint training T20 and T21 give it in closed form; the detached scheme has none. The
    arguments are scalars: those of `symmetric_tau`, without θ. The result is accurate to about 1e-7.

    Raises:
        ValueError: as `symmetric_tau`.

    >>> letters = dict(global_feature_sq=3, local_feature_sq=7, noise_feature_sq=1, noise_std=1, noise_dim=400,
    ...                clients=4, samples=10, group_size=1)
    >>> round(best_mixing("joint", 50, 0.001, **letters), 3)
    0.433
    """

    def value(theta: ArrayLike) -> Values:
        tau = symmetric_tau(scheme, theta, step, learning_rate, **letters_of)
        return predicted_ratio(
            theta, scheme=scheme, tau_global=tau.global_prompt, tau_local=tau.local_prompt, **letters_of
        )

    grid = np.linspace(0.0, 1.0, 101)
    best = int(np.argmax(value(grid)))
    bracket = grid[max(best - 1, 0)], grid[min(best + 1, 100)]
    found = minimize_scalar(
        lambda theta: -float(value(theta)), bounds=bracket, method="bounded", options={"xatol": 1e-8}
    )
    candidates = [float(found.x), *map(float, bracket)]
    return max(candidates, key=lambda theta: float(value(theta)))
