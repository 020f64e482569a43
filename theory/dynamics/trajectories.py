"""Coefficients of a prompt over time (T9, coefficients).

Statement: with τ = η Σ_u q^(u) and ω the prompt's weight in the mixture, β = 2aωτ, γ_L = 2bωτ, γ_G = 2bωτχ/K
and φ_l = 2eωτ (mean of y x_l over the prompt's training data), so E‖φ‖² = (2eωτ)² L σ_p²/n for a local prompt
and (2eωτ)² L σ_p²/(nK) for the global one.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from theory.model.aggregation import chi_definition
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, nonnegative, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
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
    in_band = eq(s, 2)

    def over_steps(summand: Formula) -> Formula:
        return sympy.Sum(summand, (u, 0, steps_of - 1))

    tau = eq(over_steps(residual), at.tau / at.eta)
    increments = over_steps(at.eta * at.omega * s * residual)
    j, l = sympy.symbols("j l", integer=True, positive=True)  # noqa: E741
    x = sympy.Symbol("x", real=True)
    beta, own, averaged = sympy.symbols("beta gamma_L gamma_G")
    squared = sympy.symbols(r"\mathbb{E}\|\phi_G\|^2 \mathbb{E}\|\phi_L\|^2", positive=True)
    signal, local = eq(beta, at.a * gain), eq(own, at.b * gain)
    shared = eq(averaged, at.b * gain * at.chi / at.K)
    noise_global, noise_local = (eq(squared[0], energy), eq(squared[1], energy.subs(at.K, 1)))

    def summed_over(samples: Formula) -> Formula:
        of_mean = sympy.Sum(at.sigma**2, (j, 1, samples)) / samples**2
        return sympy.Sum((at.e * gain) ** 2 * of_mean, (l, 1, at.L))

    steps = (
        Step.assumed("τ is the learning rate times the sum of the residuals.", tau),
        Step.identity(
            "A relevant coordinate times the label is 1 on every sample, and the slope in the band is s = 2 (T2): "
            "T5 sums to β = 2aωτ.",
            signal,
            eq(beta, at.a * increments),
            tau,
            in_band,
        ),
        Step.identity(
            "The client's own coordinate gains γ_L = 2bωτ likewise.",
            local,
            eq(own, at.b * increments),
            tau,
            in_band,
        ),
        Step.assumed("The inner products of a client's ν with all clients' sum to χ‖ν‖².", inner),
        Step.identity(
            "The averaged prompt gains the mean over clients: γ_G = 2bωτχ/K.",
            shared,
            eq(averaged, gain * inner.lhs / at.K),
            inner,
        ),
        Step.identity(
            "An irrelevant coordinate times the label has variance σ_p²; the mean over N samples has σ_p²/N.",
            eq(expectation(x**2, x, at.sigma), at.sigma**2),
        ),
        Step.identity(
            "Over L coordinates and the nK samples of all clients the expected energy is this.",
            noise_global,
            eq(squared[0], summed_over(at.n * at.K)),
        ),
        Step.identity(
            "A local prompt is trained on the n samples of one client.",
            noise_local,
            eq(squared[1], summed_over(at.n)),
        ),
    )
    return Derivation(RESULT, statement=(signal, local, shared, noise_global, noise_local), steps=steps)


class Coefficients(NamedTuple):
    """Coefficients of one prompt; arrays of the arguments' common shape.

    Attributes:
        beta: β, of the shared feature.
        gamma: γ, of a client's own feature.
        phi_norm: √(E‖φ‖²), size of the irrelevant coefficients.
    """

    beta: Values
    gamma: Values
    phi_norm: Values


def local_coefficients(equal: EqualClients, weight: ArrayLike, tau: ArrayLike) -> Coefficients:
    """Return β = 2aωτ, γ_L = 2bωτ and √(E‖φ_L‖²) = 2eωτ σ_p √(L/n) of a local prompt (T9).

    Let `equal` describe the clients, ω be `weight` (1 for a prompt trained alone; 1−θ or θ in joint training) and τ
    `tau` (learning rate times summed residuals); all broadcast.

    Raises:
        ValueError: ω outside [0, 1], a negative τ.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=25)
    >>> [float(value) for value in local_coefficients(equal, 1.0, 0.5)]
    [3.0, 7.0, 4.0]
    """
    return _coefficients(equal, weight, tau, 1.0, 1.0)


def global_coefficients(equal: EqualClients, weight: ArrayLike, tau: ArrayLike) -> Coefficients:
    """Return β = 2aωτ, γ_G = 2bωτχ/K and √(E‖φ_G‖²) = 2eωτ σ_p √(L/(nK)) of the global prompt (T9).

    Arguments and errors are those of `local_coefficients`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=25)
    >>> [float(value) for value in global_coefficients(equal, 1.0, 0.5)]
    [3.0, 1.75, 2.0]
    """
    return _coefficients(equal, weight, tau, equal.group_size / equal.clients, equal.clients)


def _coefficients(
    equal: EqualClients, weight: ArrayLike, tau: ArrayLike, share: Values | float, clients: Values | float
) -> Coefficients:
    """Coefficients of a prompt that sees the data of `clients`, a `share` of them of the client's own group."""
    omega, level = unit_interval("weight", weight), nonnegative("tau", tau)
    symbols, *formulas = formula()
    gain, energy = as_function(symbols[1:3], formulas[0]), as_function(symbols, formulas[1])
    features = equal.noise_feature_sq, omega, level, equal.noise_std, equal.noise_dim
    return Coefficients(
        result(equal.global_feature_sq * gain(omega, level)),
        result(equal.local_feature_sq * gain(omega, level) * share),
        result(np.sqrt(energy(*features, equal.samples, clients))),
    )
