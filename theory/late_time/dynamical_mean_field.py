"""Ratio and θ* at any time when N is comparable to L, from the letters alone (T29, mean field).

Statement (T29, mean field; equal n and χ): let n and L grow with n/L and K fixed. A sample's margin becomes
M(t) = m(t) + ∫Γ(t,u) dα(u) with dα/dt = η/(1+e^M); m is Gaussian, and mean, covariance and Γ are

    s(t) = 4[(1−θ)²(a + bχ/K) + θ²(a + b)] E α(t),
    V(t,u) = L n σ_p⁴ ⟨g E[αα] gᵀ⟩(t,u),   Γ = L σ_p² ⟨g⟩,   g = (1 + n σ_p² c r)⁻¹ c,   R(t) = s(t)/√V(t,t),

r(t,u) = −E[∂α(t)/∂m(u)] the response, ⟨·⟩ the mean over the K eigenvalues c of `theory.late_time.first_order`
(c_+ once, c_- K−1 times). As t → ∞, in units of the margin, α = (1 − m)₊/Γ: the maximum margin of T29. As n/L →
0 it is T14. Post-hoc mixing solves θ = 0 and θ = 1 side by side, with the covariance between them.

`theory.late_time.solver` solves these equations.
"""

from functools import cache
from typing import Any

from theory.dynamics.margin_rate import kernel_sums
from theory.late_time.first_order import response
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T29 (mean field)",
    title="Training at a finite load n/L",
    problem="Which ratio and which θ* does training reach at time t when N is comparable to L?",
    assumptions=(
        "Linear band, zero start, equal n and χ.",
        "All clients in every round, one local step, continuous time.",
        "n and L large at a fixed n/L; the cavity method.",
    ),
    bound="asymptotic",
    uses=(),
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
    density = sympy.exp(-(u**2) / 2) / sympy.sqrt(2 * sympy.pi)
    first = sympy.sqrt(variance) * (u * below + density)
    second = variance * ((1 + u**2) * below + u * density)
    return (
        (c, at.n, at.sigma, r),
        c / (1 + at.n * at.sigma**2 * c * r),
        (mean, variance),
        (below, first, second),
    )


@cache
def derivation() -> Derivation:
    """Derive the mean field of T29: signal, noise modes, the single sample at late times, and the limit T14.

    >>> derivation().result.tag
    'T29 (mean field)'
    """
    import sympy

    at, sums = letters(), kernel_sums()
    (c, n, sigma, r), mode, (mean, variance), (below, first, second) = formula()
    shared, apart, *_ = response()
    j = sympy.Symbol("j", integer=True, positive=True)
    field, drive, alpha, size = sympy.symbols("u xi alpha Gamma", positive=True)
    moment, level, own = sympy.symbols("mu_2 m x", positive=True)
    inner = sympy.Function("G")(j)
    everyone = sympy.Sum(inner, (j, 1, at.K))
    signal_of = 4 * ((1 - at.theta) ** 2 * (at.a + at.b * at.chi / at.K) + at.theta**2 * (at.a + at.b))
    pulls = (1 - at.theta) ** 2 * at.n * (at.K * at.a + everyone) / (at.n * at.K)
    pulls += at.theta**2 * at.n * (at.a + at.b) / at.n
    symbol = sympy.Symbol("s")
    statement = relation("=", symbol, signal_of * alpha)
    g = sympy.Symbol("g", positive=True)
    cavity = relation("=", field, c * (drive - n * sigma**2 * r * field))
    shrunk = relation("=", g, mode)
    reads = relation("=", field, shrunk.rhs * drive)
    two_modes = (shared**2 + (at.K - 1) * apart**2) / at.K
    t14 = (1 - at.theta) ** 4 + 2 * (1 - at.theta) ** 2 * at.theta**2 + at.K * at.theta**4
    margin_one = relation("=", level + size * alpha, 1)
    steps = (
        Step(
            "A signal's row sums α_j over all samples alike: their mean, with the groups' inner products summing "
            "to χ b.",
            statement,
            "identity",
            (relation("=", symbol, 4 * pulls * alpha), relation("=", everyone, at.chi * at.b)),
        ),
        Step(
            "It is the rate κ(θ) of T8 without noise, times α.",
            relation("=", signal_of, sums.joint_rate),
            "identity",
            (relation("=", at.nu_bar, 0),),
        ),
        Step(
            "Cavity: a mode of one noise coordinate is driven by Σ α_j x_j over samples that do not know it, and "
            "opposed by their response r to it.",
            cavity,
            "assumed",
        ),
        Step("Solved for u, it is ξ times a shrunk mode …", reads, "root", (cavity,)),
        Step("… g = u/ξ.", shrunk, "identity", (relation("=", g, field / drive), reads)),
        Step(
            "ξ sums n samples of variance σ_p² α² in each client, and a margin L coordinates: its variance, "
            "mode by mode.",
            relation(
                "=",
                sympy.Sum(sigma**2 * g**2 * sympy.Sum(sigma**2 * moment, (j, 1, n)), (own, 1, at.L)).doit(),
                at.L * n * sigma**4 * g**2 * moment,
            ),
            "identity",
        ),
        Step(
            "Late: α grows until the margin is 1 (in units of log t), if it is below without it.",
            relation("=", alpha, (1 - level) / size),
            "root",
            (margin_one,),
        ),
        Step(
            "Its response is 1/Γ for the samples that support the margin.",
            relation("=", -sympy.Derivative((1 - level) / size, level), 1 / size),
            "identity",
        ),
        Step(
            "The moments over the normal m: the second changes with s by minus twice the first …",
            relation("=", sympy.Derivative(second, mean), -2 * first),
            "identity",
        ),
        Step(
            "… the first by minus the probability …",
            relation("=", sympy.Derivative(first, mean), -below),
            "identity",
        ),
        Step(
            "… and the probability by minus the density of m at 1; all vanish for large s.",
            relation(
                "=",
                sympy.Derivative(below, mean),
                -sympy.exp(-((1 - mean) ** 2) / (2 * variance)) / sympy.sqrt(2 * sympy.pi * variance),
            ),
            "identity",
        ),
        Step(
            "Without response (n/L → 0) the modes are c …",
            relation("=", mode.subs(r, 0), c),
            "identity",
        ),
        Step(
            "… whose mean square is the noise of T14.",
            relation("=", n * two_modes, 16 * at.e**2 * t14 / (n * at.K)),
            "identity",
        ),
    )
    return Derivation(RESULT, statement=(statement, shrunk), steps=steps)


@cache
def numeric() -> tuple[Any, Any, Any, Any]:
    """Return g and the three moments as functions of NumPy arrays, in the order of `formula`.

    >>> shrink, below, first, second = numeric()
    >>> round(float(below(1.0, 4.0)), 6), round(float(second(1.0, 4.0)), 6)
    (0.5, 2.0)
    """
    symbols, mode, normal, moments = formula()
    return as_function(symbols, mode), *(as_function(normal, moment) for moment in moments)  # type: ignore[return-value]
