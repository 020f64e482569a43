"""Coefficients of a prompt over time (T9, coefficients).

Statement: with τ = η Σ_u q^(u) and ω the prompt's weight in the mixture, β = 2aωτ, γ_L = 2bωτ, γ_G = 2bωτχ/K
and φ_l = 2eωτ (mean of y x_l over the prompt's training data), so E‖φ‖² = (2eωτ)² L σ_p²/n for a local prompt
and (2eωτ)² L σ_p²/(nK) for the global one.
"""

from functools import cache
from typing import Any

import numpy as np

from theory.model.aggregation import chi_definition
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
from theory.proof.gaussian import expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T9 (coefficients)",
    title="Coefficients over time",
    problem="Sum the increments of every coefficient over the steps of training.",
    assumptions=("Linear band, zero start, equal sample counts.", "All samples share their residuals."),
    bound="exact",
    uses=("T1", "T2", "T5", "T6"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (e, ω, τ, σ_p, L, n, K), the gain per squared norm, and E‖φ_G‖² (K = 1: E‖φ_L‖²).

    >>> symbols, gain, energy = formula()
    >>> gain
    2*omega*tau
    """
    at = letters()
    gain = 2 * at.omega * at.tau
    return (
        (at.e, at.omega, at.tau, at.sigma, at.L, at.n, at.K),
        gain,
        at.L * (gain * at.e) ** 2 * at.sigma**2 / (at.n * at.K),
    )


@cache
def derivation() -> Derivation:
    """Derive the coefficients of T9 by summing T5 over steps."""
    import sympy

    at, inner, (_, gain, energy) = letters(), chi_definition(), formula()
    u, steps_of = (
        sympy.Symbol("u", integer=True, nonnegative=True),
        sympy.Symbol("t", integer=True, positive=True),
    )
    s, residual = sympy.Symbol("s", positive=True), sympy.Function("q")(u)
    in_band = relation("=", s, 2)

    def over_steps(summand: Formula) -> Formula:
        return sympy.Sum(summand, (u, 0, steps_of - 1))

    tau = relation("=", over_steps(residual), at.tau / at.eta)
    increments = over_steps(at.eta * at.omega * s * residual)
    j, l = sympy.symbols("j l", integer=True, positive=True)  # noqa: E741
    x = sympy.Symbol("x", real=True)
    beta, own, averaged = sympy.symbols("beta gamma_L gamma_G")
    squared = sympy.symbols(r"\mathbb{E}\|\phi_G\|^2 \mathbb{E}\|\phi_L\|^2", positive=True)
    signal, local = relation("=", beta, at.a * gain), relation("=", own, at.b * gain)
    shared = relation("=", averaged, at.b * gain * at.chi / at.K)
    noise_global, noise_local = (
        relation("=", squared[0], energy),
        relation("=", squared[1], energy.subs(at.K, 1)),
    )

    def summed_over(samples: Formula) -> Formula:
        of_mean = sympy.Sum(at.sigma**2, (j, 1, samples)) / samples**2
        return sympy.Sum((at.e * gain) ** 2 * of_mean, (l, 1, at.L))

    steps = (
        Step.assumed("τ is the learning rate times the sum of the residuals.", tau),
        Step.identity(
            "A relevant coordinate times the label is 1 on every sample, and the slope in the band is s = 2 (T2): "
            "T5 sums to β = 2aωτ.",
            signal,
            relation("=", beta, at.a * increments),
            tau,
            in_band,
        ),
        Step.identity(
            "The client's own coordinate gains γ_L = 2bωτ likewise.",
            local,
            relation("=", own, at.b * increments),
            tau,
            in_band,
        ),
        Step.assumed("The inner products of a client's ν with all clients' sum to χ‖ν‖².", inner),
        Step.identity(
            "The averaged prompt gains the mean over clients: γ_G = 2bωτχ/K.",
            shared,
            relation("=", averaged, gain * inner.lhs / at.K),
            inner,
        ),
        Step.identity(
            "An irrelevant coordinate times the label has variance σ_p²; the mean over N samples has σ_p²/N.",
            relation("=", expectation(x**2, x, at.sigma), at.sigma**2),
        ),
        Step.identity(
            "Over L coordinates and the nK samples of all clients the expected energy is this.",
            noise_global,
            relation("=", squared[0], summed_over(at.n * at.K)),
        ),
        Step.identity(
            "A local prompt is trained on the n samples of one client.",
            noise_local,
            relation("=", squared[1], summed_over(at.n)),
        ),
    )
    return Derivation(RESULT, statement=(signal, local, shared, noise_global, noise_local), steps=steps)


@cache
def _numeric() -> tuple[Any, Any]:
    symbols, gain, energy = formula()
    return as_function(symbols[1:3], gain), as_function(symbols, energy)


def beta(global_feature_sq: ArrayLike, weight: ArrayLike, tau: ArrayLike) -> Values:
    """Return β = 2aωτ, the coefficient of the shared feature (T9).

    Let a be `global_feature_sq`, ω `weight` (1 for a prompt trained alone; 1−θ or θ in joint training) and τ
    `tau` (learning rate times summed residuals); arguments broadcast.

    Raises:
        ValueError: negative a or τ, ω outside [0, 1].

    >>> float(beta(3.0, 0.5, 2.0))
    6.0
    """
    a = nonnegative("global_feature_sq", global_feature_sq)
    return result(a * _numeric()[0](unit_interval("weight", weight), nonnegative("tau", tau)))


def gamma_local(local_feature_sq: ArrayLike, weight: ArrayLike, tau: ArrayLike) -> Values:
    """Return γ_L = 2bωτ, the local prompt's coefficient of its client's own feature (T9).

    Let b be `local_feature_sq`; the other arguments are those of `beta`.

    Raises:
        ValueError: negative b or τ, ω outside [0, 1].

    >>> float(gamma_local(7.0, 1.0, 0.5))
    7.0
    """
    b = nonnegative("local_feature_sq", local_feature_sq)
    return result(b * _numeric()[0](unit_interval("weight", weight), nonnegative("tau", tau)))


def gamma_global(
    local_feature_sq: ArrayLike, weight: ArrayLike, tau: ArrayLike, group_size: ArrayLike, clients: ArrayLike
) -> Values:
    """Return γ_G = 2bωτχ/K, the global prompt's coefficient of a client's own feature (T9).

    Let b be `local_feature_sq`, χ `group_size` (from 0 to K) and K `clients`; the others are those of `beta`.

    Raises:
        ValueError: as `gamma_local`; fewer than one client; χ outside [0, K].

    >>> float(gamma_global(7.0, 1.0, 0.5, 1, 4))
    1.75
    """
    count = between("clients", clients, 1)
    share = checked_group_size(group_size, count, symmetric=True) / count
    return result(np.asarray(gamma_local(local_feature_sq, weight, tau)) * share)


def noise_norm(
    *,
    noise_feature_sq: ArrayLike,
    weight: ArrayLike,
    tau: ArrayLike,
    noise_std: ArrayLike,
    noise_dim: ArrayLike,
    samples: ArrayLike,
    clients: ArrayLike = 1,
) -> Values:
    """Return √(E‖φ‖²) = 2eωτ σ_p √(L/(nK)), the size of the irrelevant coefficients (T9).

    Let e be `noise_feature_sq`, ω `weight`, τ `tau`, σ_p `noise_std`, L `noise_dim`, n `samples` per client and
    K `clients`: the number of clients whose data the prompt sees, 1 for a local prompt. Arguments broadcast.

    Raises:
        ValueError: σ_p not positive, negative e or τ, ω outside [0, 1], L, n or K below one.

    >>> float(noise_norm(
    ...     noise_feature_sq=1, weight=1, tau=0.5, noise_std=1, noise_dim=400, samples=25, clients=4))
    2.0
    """
    energy = _numeric()[1](
        nonnegative("noise_feature_sq", noise_feature_sq),
        unit_interval("weight", weight),
        nonnegative("tau", tau),
        positive("noise_std", noise_std),
        between("noise_dim", noise_dim, 1),
        between("samples", samples, 1),
        between("clients", clients, 1),
    )
    return result(np.sqrt(energy))
