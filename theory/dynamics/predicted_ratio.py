"""Predicted signal-to-noise ratio of every client's mixture, at any mixing and time (T14).

Statement (T14): with effective weights (w_G, w_L), which are ((1−θ)², θ²) for joint, (1−θ, θ) for post-hoc and
(1−θ, θ²) for detached training, 𝒯 = Σ_j p_j τ^G_j and 𝒯_k the part of it from client k's group,

    R_k = [w_G (a𝒯 + b𝒯_k) + w_L (a + b) τ^L_k]
          / (σ_p² e √L √[w_G² Σ_j p_j² (τ^G_j)²/n_j + 2 w_G w_L p_k τ^G_k τ^L_k/n_k + w_L² (τ^L_k)²/n_k]).

Samples of several types (`theory.dynamics.sample_types`) enter the signal with their signs and the noise
without, and a fresh sample has a ratio for each type.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics.margin_rate import kernel_sums
from theory.dynamics.residuals import Accumulated
from theory.dynamics.sample_types import Population, with_axes
from theory.model.accuracy import ratio
from theory.model.federation import Federation
from theory.model.schemes import TrainingScheme, effective_weights
from theory.numerics.validation import ArrayLike, nonnegative
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
from theory.proof.symbols import letters

RESULT = Result(
    tag="T14",
    title="Predicted ratio",
    problem="Which ratio does every client's mixture have after training, under each scheme?",
    assumptions=(
        "Linear band and the mean field of T12.",
        "Squared noise norms equal their expectation (large L).",
    ),
    bound="asymptotic",
    uses=("T2", "T7", "T9 (coefficients)", "T12", "T14 (symmetric)"),
)


class Expressions(NamedTuple):
    """The two sides of the ratio as SymPy expressions, each after its symbols."""

    signal_symbols: tuple[Formula, ...]
    signal: Formula
    noise_symbols: tuple[Formula, ...]
    noise: Formula


@cache
def formula() -> Expressions:
    """Return the signal that one feature gives the mixture, and the mixture's expected ‖H_ξ‖² (T14).

    The signal's symbols are (w_G, w_L, s, σ, P_G, P_L): a feature's squared norm and its sign for the fresh
    sample, and the signed pull of the training samples on it. The noise's are (w_G, w_L, e, σ_p, L, Q_GG, Q_GL,
    Q_LL): Q_XY = Σ_i u^X_i u^Y_i sums over training samples, u_i the weight of a sample's noise in a prompt.

    >>> print(formula().signal)
    4*s*sigma*(P_G*w_G + P_L*w_L)
    """
    import sympy

    at, slope = letters(), kernel_sums().slope
    w_global, w_local = sympy.symbols("w_G w_L", nonnegative=True)
    norm, sign = sympy.Symbol("s", positive=True), sympy.Symbol("sigma", real=True)
    pulls = sympy.symbols("P_G P_L", real=True)
    sums = sympy.symbols("Q_GG Q_GL Q_LL", real=True)
    # coefficients are h' = 2 times squared norm times pull (T5); the output multiplies them by h' again
    signal = slope**2 * sign * norm * (w_global * pulls[0] + w_local * pulls[1])
    energy = w_global**2 * sums[0] + 2 * w_global * w_local * sums[1] + w_local**2 * sums[2]
    return Expressions(
        (w_global, w_local, norm, sign, *pulls),
        signal,
        (w_global, w_local, at.e, at.sigma, at.L, *sums),
        slope**4 * at.L * at.e**2 * at.sigma**2 * energy,
    )


@cache
def derivation() -> Derivation:
    """Derive T14: the signal from the pulls, the noise from the samples' weights, and the equal case."""
    import sympy

    from theory.dynamics import symmetric_ratio

    at = letters()
    signal_symbols, signal, noise_symbols, noise = formula()
    w_global, w_local = signal_symbols[:2]
    i, j, c = sympy.symbols("i j c", integer=True, positive=True)
    types, all_samples = sympy.symbols("C N", integer=True, positive=True)
    p, tau, member, n, pi, u, v = (sympy.IndexedBase(name) for name in ("p", "tau", "G", "n", "pi", "u", "v"))
    p_k, n_k, tau_global, tau_local = sympy.symbols("p_k n_k tau_Gk tau_Lk", positive=True)
    in_one, in_other = sympy.symbols("x y", positive=True)
    R, s_k, H = sympy.symbols("R_k s_k H_xi")

    def over_clients(summand: Formula) -> Formula:
        return sympy.Sum(summand, (j, 1, at.K))

    def over_samples(summand: Formula) -> Formula:
        return sympy.Sum(summand, (i, 1, all_samples))

    def signal_of(norm: Formula, pull_global: Formula, pull_local: Formula) -> Formula:
        values = (w_global, w_local, norm, 1, pull_global, pull_local)
        return signal.subs(dict(zip(signal_symbols, values, strict=True)), simultaneous=True)

    def noise_of(*sums: Formula) -> Formula:
        return noise.subs(dict(zip(noise_symbols[5:], sums, strict=True)), simultaneous=True)

    total, group_total = over_clients(p[j] * tau[j]), over_clients(member[j] * p[j] * tau[j])
    both = signal_of(at.a, total, tau_local) + signal_of(at.b, group_total, tau_local)
    numerator = w_global * (at.a * total + at.b * group_total) + w_local * (at.a + at.b) * tau_local
    coordinate = 4 * at.e * (w_global * u[i] + w_local * v[i])
    expected = over_samples(sympy.expand(coordinate**2)) * at.sigma**2 * at.L
    products = (over_samples(u[i] ** 2), over_samples(u[i] * v[i]), over_samples(v[i] ** 2))
    moments = (
        over_clients(p[j] ** 2 * tau[j] ** 2 / n[j]),
        p_k * tau_global * tau_local / n_k,
        tau_local**2 / n_k,
    )
    sums_of = tuple(eq(name, value) for name, value in zip(noise_symbols[5:], moments, strict=True))
    inner = w_global**2 * moments[0] + 2 * w_global * w_local * moments[1] + w_local**2 * moments[2]
    statement = eq(R, numerator / (at.sigma**2 * at.e * sympy.sqrt(at.L) * sympy.sqrt(inner)))
    signal_claim = eq(s_k, 4 * numerator)
    noise_claim = eq(H**2, 16 * at.e**2 * at.sigma**2 * at.L * inner)
    typed = sympy.Sum((n_k * pi[c]) * (tau[c] / n_k) ** 2, (c, 1, types))
    one_client = both**2 / noise_of(*moments)
    for old, new in ((total, at.tau), (group_total, at.tau), (moments[0], at.tau**2 / n_k)):
        one_client = one_client.subs(old, new)
    one_client = one_client.subs({p_k: 1, tau_global: at.tau, tau_local: at.tau})
    one_client = one_client.subs({w_global: (1 - at.theta) ** 2, w_local: at.theta**2})
    # equal clients: p = 1/K, n_j = n, the same τ
    even_values = {p_k: 1 / at.K, n_k: at.n, tau_global: at.tau_G, tau_local: at.tau_L}
    even_average = over_clients(at.tau_G**2 / (at.K**2 * at.n))
    even = noise_of(even_average, *(moment.subs(even_values) for moment in moments[1:]))
    even_group = over_clients(member[j] * at.tau_G / at.K)
    even_signal = signal_of(at.a, over_clients(at.tau_G / at.K), at.tau_L) + signal_of(
        at.b, even_group, at.tau_L
    )
    symmetric_symbols, symmetric_signal, symmetric_noise = symmetric_ratio.formula()
    weights = dict(zip(symmetric_symbols[:2], (w_global, w_local), strict=True))
    group_size = eq(over_clients(member[j]), at.chi)
    steps = (
        Step.modelled(
            "The shared feature has been pulled by all clients, the group's by its members (G_j = 1); both "
            "entries of H carry the slope 2 and the coefficients 2aτ and 2bτ, a factor 4.",
            signal_claim,
            eq(s_k, both),
        ),
        Step.identity(
            "The noise of training sample i enters H with 4e (w_G u_i + w_L v_i); over independent coordinates of "
            "variance σ_p² the squares add.",
            eq(expected, noise_of(*products)),
        ),
        Step.identity(
            "A client's n_k samples, with the weight x/n_k each in one prompt and y/n_k in another, together give "
            "xy/n_k: p²τ²/n_k in the average alone, pτ_Gτ_L/n_k across both prompts, τ_L²/n_k in the client's own.",
            eq(sympy.Sum(in_one / n_k * (in_other / n_k), (i, 1, n_k)), in_one * in_other / n_k),
        ),
        Step.modelled(
            "With several types τ² becomes its mean over the client's samples.",
            eq(typed, sympy.Sum(pi[c] * tau[c] ** 2, (c, 1, types)) / n_k),
        ),
        Step.modelled(
            "With these sums over all clients, Q_GG, Q_GL and Q_LL, the noise of the mixture.",
            noise_claim,
            eq(H**2, noise),
            *sums_of,
        ),
        Step.identity(
            "The factor 4 cancels from R = s/(σ_p ‖H_ξ‖) (T7).",
            statement,
            eq(R, s_k / (at.sigma * sympy.sqrt(H**2))),
            signal_claim,
            noise_claim,
        ),
        Step.identity(
            "Joint training, one client alone: both prompts hold the same, and mixing makes no difference to R².",
            eq(one_client, (at.a + at.b) ** 2 * n_k / (at.e**2 * at.sigma**2 * at.L)),
        ),
        Step.assumed("The members of a group are counted by χ.", group_size),
        Step.identity(
            "Equal clients: the signal of the symmetric formula …",
            eq(even_signal, symmetric_signal.subs(weights)),
            group_size,
        ),
        Step.identity("… and its noise.", eq(even, symmetric_noise.subs(weights))),
    )
    return Derivation(RESULT, statement=(statement, signal_claim, noise_claim), steps=steps)


def predicted_ratio(
    federation: Federation | Population, scheme: TrainingScheme, theta: ArrayLike, tau: Accumulated
) -> NDArray[np.float64]:
    """Return the predicted ratio R_k of every client's mixture (T14).

    Let `federation` describe the clients, θ be `theta` and (τ^G, τ^L) `tau`, as `mean_field.accumulated` returns
    it: of shape (…, clients) for a `Federation`, (…, clients, types) for a `Population`. θ broadcasts with the
    axes before the clients'. `scheme` selects the effective weights (`schemes.effective_weights`). Untrained
    prompts have R = 0. The predicted accuracy is `accuracy.accuracy(R)`. Of a `Population` the result is the ratio
    of a fresh sample of each type: its signs say which way it is pulled, whatever its share in training.

    Returns:
        Array of the shape of τ and θ broadcast, (…, clients) or (…, clients, types).

    Raises:
        ValueError: θ outside [0, 1], a negative τ or one that does not fit the federation, an unknown scheme, a
            federation with several types of samples.

    >>> federation = Federation(global_feature_sq=3, local_feature_sq=7, noise_dim=400, sample_counts=[10, 30])
    >>> tau = Accumulated(np.full(2, 0.1), np.full(2, 0.1))
    >>> predicted_ratio(federation, "posthoc", [0, 1], tau).round(3).tolist()
    [[1.502, 2.609], [1.581, 2.739]]
    """
    people, axes = with_axes(federation)
    taus = []
    for name, value in tau._asdict().items():
        part = nonnegative(f"tau.{name}", value)
        if part.shape[part.ndim - len(axes) :] != axes:
            raise ValueError(
                f"`tau.{name}` has shape {part.shape}; allowed: (…, {', '.join(map(str, axes))})"
            )
        taus.append(part.reshape(*part.shape[: part.ndim - len(axes)], *people.fractions.shape))
    shared, local = taus
    weights = tuple(np.asarray(weight) for weight in effective_weights(theta, scheme))
    clients = people.federation
    counts, share, fractions = clients.sample_counts, clients.client_weights, people.fractions
    pulls, parts = (people.average_pull(shared), people.own_pull(local)), formula()
    by_feature = as_function(parts.signal_symbols, parts.signal)(
        *(weight[..., None, None, None] for weight in weights),
        people.norms,
        people.signs,
        *(pull[..., None, :] for pull in pulls),
    )
    # the noise is independent of the label: squares and products of τ, averaged over a client's samples
    in_average = np.sum(share**2 / counts * np.sum(fractions * shared**2, axis=-1), axis=-1, keepdims=True)
    in_both = share / counts * np.sum(fractions * shared * local, axis=-1)
    in_local = np.sum(fractions * local**2, axis=-1) / counts
    noise = as_function(parts.noise_symbols, parts.noise)(
        *(weight[..., None] for weight in weights),
        *(clients.noise_feature_sq, clients.noise_std, clients.noise_dim),
        *(in_average, in_both, in_local),
    )
    answer = np.asarray(ratio(by_feature.sum(axis=-1), np.sqrt(noise)[..., None], clients.noise_std))
    return answer.reshape(*answer.shape[:-2], *axes)
