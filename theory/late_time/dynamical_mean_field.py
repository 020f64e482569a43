"""Dynamical mean field: ratio and θ* at any time when N is comparable to L (T29, mean field).

Statement (T29, mean field; equal n and χ): let n and L grow with n/L and K fixed. A sample's margin becomes
M(t) = m(t) + ∫Γ(t,u) dα(u) with dα/dt = η/(1+e^M); m is Gaussian, and mean, covariance and Γ are

    s(t) = 4[(1−θ)²(a + bχ/K) + θ²(a + b)] E α(t),
    V(t,u) = L n σ_p⁴ ⟨g E[αα] gᵀ⟩(t,u),   Γ = L σ_p² ⟨g⟩,   g = (1 + n σ_p² c r)⁻¹ c,   R(t) = s(t)/√V(t,t),

r(t,u) = −E[∂α(t)/∂m(u)] the response, ⟨·⟩ the mean over the K eigenvalues c of `theory.late_time.first_order`
(c_+ once, c_- K−1 times). As t → ∞, in units of the margin, α = (1 − m)₊/Γ: the maximum margin of T29. As n/L →
0 it is T14. Post-hoc mixing solves θ = 0 and θ = 1 side by side, with the covariance between them.

These are the equations of the cavity method; `theory.late_time.solver` solves them.
"""

from functools import cache

import numpy as np

from theory.dynamics.margin_rate import kernel_sums
from theory.late_time.first_order import response
from theory.model.aggregation import chi_definition
from theory.numerics.validation import ArrayLike, Values, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq
from theory.proof.gaussian import density
from theory.proof.symbols import letters

RESULT = Result(
    tag="T29 (mean field)",
    title="Dynamical mean field of training at a finite n/L",
    problem="Which ratio and which θ* does training reach at time t when N is comparable to L?",
    assumptions=(
        "Linear band, zero start, equal n and χ.",
        "All clients in every round, one local step, continuous time.",
        "n and L large at a fixed n/L; the cavity method.",
    ),
    bound="asymptotic",
    uses=("T8", "T14", "T29", "T29 (first order)"),
    sources=(
        "Mignacco, Krzakala, Urbani and Zdeborová (2020), Dynamical mean-field theory for stochastic gradient"
        " descent in Gaussian mixture classification, arXiv:2006.06098 (the flow of one classifier)",
        "Montanari, Ruan, Sohn and Yan (2019), The generalization error of max-margin linear classifiers,"
        " arXiv:1911.01544 (the maximum margin of one classifier)",
    ),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, tuple[Formula, ...], tuple[Formula, ...]]:
    """Return the symbols (c, n, σ_p, r) and g; the symbols (s, V) and the three moments of (1 − m)₊.

    The moments are P(m < 1), E (1 − m)₊ and E (1 − m)₊² for a normal m of mean s and variance V.

    >>> symbols, mode, _, moments = formula()
    >>> mode.subs(symbols[3], 0)
    c
    """
    import sympy

    at = letters()
    c, r, variance = sympy.symbols("c r V", positive=True)
    mean = sympy.Symbol("s", real=True)
    u = (1 - mean) / sympy.sqrt(variance)
    below = (1 + sympy.erf(u / sympy.sqrt(2))) / 2
    first = sympy.sqrt(variance) * (u * below + density(u, 1))
    second = variance * ((1 + u**2) * below + u * density(u, 1))
    return (
        (c, at.n, at.sigma, r),
        c / (1 + at.n * at.sigma**2 * c * r),
        (mean, variance),
        (below, first, second),
    )


@cache
def derivation() -> Derivation:
    """Derive the mean field of T29: signal, noise modes, the single sample at late times, and the limit T14."""
    import sympy

    at, kappa = letters(), kernel_sums().joint_rate
    (c, n, sigma, r), mode, (mean, variance), (below, first, second) = formula()
    shared, apart, *_ = response()
    j, l = sympy.symbols("j l", integer=True, positive=True)  # noqa: E741
    alpha, s, inner = sympy.Symbol("alpha", positive=True), sympy.Symbol("s"), chi_definition()
    by_global = (1 - at.theta) ** 2 * at.n * (at.K * at.a + inner.lhs) / (at.n * at.K)
    by_local = at.theta**2 * sympy.Sum(at.a + at.b, (j, 1, at.n)) / at.n
    rate = 4 * ((1 - at.theta) ** 2 * (at.a + at.b * at.chi / at.K) + at.theta**2 * (at.a + at.b))
    statement = eq(s, rate * alpha)
    signal = Lemma(
        "The signal",
        (
            Step.modelled(
                "A signal's row sums α_j over all samples alike: their mean, with the groups' inner "
                "products summing to χ b.",
                statement,
                eq(s, 4 * (by_global + by_local) * alpha),
                inner,
            ),
            Step.identity(
                "It is the rate κ(θ) of T8 without noise, times α.", eq(rate, kappa), eq(at.nu_bar, 0)
            ),
        ),
        (statement,),
    )

    field, drive, g, moment, power, spread = sympy.symbols("u xi g mu_2 v_xi v_m", positive=True)
    cavity = eq(field, c * (drive - n * sigma**2 * r * field))
    shrunk = eq(g, mode)
    reads = eq(field, mode * drive)
    driven = eq(power, sympy.Sum(sigma**2 * moment, (j, 1, n)))
    energy = eq(spread, at.L * n * sigma**4 * g**2 * moment)
    two_modes = n * (shared**2 + (at.K - 1) * apart**2) / at.K
    t14 = (1 - at.theta) ** 4 + 2 * (1 - at.theta) ** 2 * at.theta**2 + at.K * at.theta**4
    noise = Lemma(
        "The modes of the noise",
        (
            Step.assumed(
                "Cavity: a mode of one noise coordinate is driven by Σ α_j x_j, with the α of training "
                "without that coordinate, and opposed by the samples' response r to it.",
                cavity,
            ),
            Step.root("Solved for u, it is ξ times a shrunk mode …", reads, cavity),
            Step.modelled("… g = u/ξ.", shrunk, eq(g, field / drive), reads),
            Step.modelled(
                "ξ sums n samples of variance σ_p² μ_2 in each client (μ_2 = E α²), and a margin L "
                "coordinates of variance σ_p²: this is its variance, mode by mode.",
                energy,
                eq(spread, sympy.Sum(sigma**2 * g**2 * power, (l, 1, at.L))),
                driven,
            ),
            Step.identity("Without response (n/L → 0) the modes are c …", eq(g, c), shrunk, eq(r, 0)),
            Step.identity(
                "… whose mean square is the noise of T14.", eq(two_modes, 16 * at.e**2 * t14 / (n * at.K))
            ),
        ),
        (shrunk, energy),
    )

    level, size = sympy.symbols("m Gamma", positive=True)
    grown = eq(alpha, (1 - level) / size)
    at_one = density(sympy.Integer(1), sympy.sqrt(variance), mean)
    slopes = (
        eq(sympy.Derivative(second, mean), -2 * first),
        eq(sympy.Derivative(first, mean), -below),
        eq(sympy.Derivative(below, mean), -at_one),
    )
    late = Lemma(
        "A sample at late times",
        (
            Step.root(
                "α grows until the margin is 1 (in units of log t), if it is below without it.",
                grown,
                eq(level + size * alpha, 1),
            ),
            Step.identity(
                "Its response is 1/Γ for the samples that support the margin.",
                eq(-sympy.Derivative(grown.rhs, level), 1 / size),
            ),
            Step.identity(
                "The moments over the normal m: the second changes with s by minus twice the first …",
                slopes[0],
            ),
            Step.identity("… the first by minus the probability …", slopes[1]),
            Step.identity(
                "… and the probability by minus the density of m at 1; all vanish for large s.", slopes[2]
            ),
        ),
        (grown, *slopes),
    )
    return Derivation(RESULT, statement=(statement, shrunk, energy, grown), lemmas=(signal, noise, late))


def shrunk_mode(mode: ArrayLike, samples: ArrayLike, noise_std: ArrayLike, response: ArrayLike) -> Values:
    """Return g = c/(1 + n σ_p² c r), a mode of the noise that the samples' response shrinks (T29, mean field).

    Let c be `mode`, n `samples`, σ_p `noise_std` and r `response`; they broadcast.

    >>> float(shrunk_mode(2.0, 5, 1.0, 0.1))
    1.0
    """
    symbols, mode_of, *_ = formula()
    return result(as_function(symbols, mode_of)(*map(np.asarray, (mode, samples, noise_std, response))))


def shortfall_moments(mean: ArrayLike, variance: ArrayLike) -> tuple[Values, Values, Values]:
    """Return P(m < 1), E (1 − m)₊ and E (1 − m)₊² of a normal m (T29, mean field).

    Let s be `mean` and V `variance`, positive, of a sample's margin m in units of the margin; they broadcast.

    >>> [round(float(moment), 6) for moment in shortfall_moments(1.0, 4.0)]
    [0.5, 0.797885, 2.0]
    """
    *_, symbols, moments = formula()
    first, second, third = as_function(symbols, moments)(np.asarray(mean), np.asarray(variance))
    return result(first), result(second), result(third)
