"""How far θ* of joint training drifts, to first order in n/L (T29, first order).

T21 says that θ* does not move. That is the limit n/L → 0; this is the next term, up to order (n/L)².

Statement (T29, first order; equal n and χ): with M the margin T9 at the rate κ(θ) of T8, R₁₄ the ratio of T14 and

    c_+ = (4e/n)((1−θ)² + θ²),   c_- = (4e/n) θ²,   m_p = (c_+^p + (K−1) c_-^p)/K,
    ψ = 1 − (1/M) ∫₀^M [(1+e^u)/(1+e^M)]^λ du,   λ = L σ_p² m_1/κ(θ),

    log R = log R₁₄ + (n/L) [ψ m_3/(m_1 m_2) − ψ² m_2/(2 m_1²)].

The c are the two eigenvalues with which samples of different clients act on each other: in a direction of noise
that all clients' data share, and in one where they differ. λ is the share of the rate κ(θ) that is noise: only
this part of its margin tells one sample from the others. ψ is the part of its final effect that training has had:
0 at the start, 1 as t → ∞; for λ = 1 it is [(M−1)e^M + 1]/[M(1 + e^M)]. The bracket is K(ψ − ψ²/2) for the global
prompt alone and ψ − ψ²/2 for the local one: at the end of training the global prompt has gained more.
Numbers: `theory.late_time.first_order_prediction`.
"""

from functools import cache

import numpy as np

from theory.dynamics.margin_rate import kernel_sums
from theory.numerics.validation import ArrayLike, Values, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T29 (first order)",
    title="Drift of joint mixing, first order in n/L",
    problem="By how much does the overlap of the samples' noise change ratio and θ* while training goes on?",
    assumptions=(
        "Linear band, zero start, equal n and χ.",
        "One local step per round, continuous time.",
        "n and L large, n/L small; the cavity method.",
    ),
    bound="asymptotic",
    uses=("T8", "T9", "T14", "T21"),
    sources=(
        "Mignacco, Krzakala, Urbani and Zdeborová (2020), Dynamical mean-field theory for stochastic gradient"
        " descent in Gaussian mixture classification, arXiv:2006.06098 (the cavity method)",
    ),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, tuple[Formula, ...], Formula]:
    """Return the symbols (θ, K, ψ) and the bracket of T29; the symbols (M, λ) and ψ.

    >>> symbols, bracket, (level, share), progress = formula()
    >>> bracket.subs({symbols[0]: 1}).factor()
    -psi*(psi - 2)/2
    """
    import sympy

    at = letters()
    shared, apart, psi, *_ = response()
    # the common factor 4e/n of the two modes cancels
    unit = 4 * at.e / at.n
    first, second, third = (_moment(shared / unit, apart / unit, power) for power in (1, 2, 3))
    bracket = psi * third / (first * second) - psi**2 * second / (2 * first**2)
    level, share, u = sympy.symbols("M lambda u", positive=True)
    faded = sympy.Integral((1 + sympy.exp(u)) ** share, (u, 0, level)) / (1 + sympy.exp(level)) ** share
    return (at.theta, at.K, psi), bracket, (level, share), 1 - faded / level


@cache
def response() -> tuple[Formula, ...]:
    """Return c_+ and c_-, and the symbols ψ, m_1, m_2, m_3.

    >>> shared, apart, *_ = response()
    >>> apart
    4*e*theta**2/n
    """
    import sympy

    at = letters()
    unit = 4 * at.e / at.n
    symbols = sympy.symbols("psi m_1 m_2 m_3", positive=True)
    return (unit * ((1 - at.theta) ** 2 + at.theta**2), unit * at.theta**2, *symbols)


def _moment(shared: Formula, apart: Formula, power: int) -> Formula:
    clients = letters().K
    return (shared**power + (clients - 1) * apart**power) / clients


@cache
def derivation() -> Derivation:
    """Derive the first order of T29: two modes, the linear response of the flow, and its effect on the noise."""
    import sympy

    at, sums = letters(), kernel_sums()
    (theta, clients, psi), bracket, (level, noise_share), progress = formula()
    shared, apart, _, m1, m2, m3 = response()
    unit = 4 * at.e / at.n
    j, k = sympy.symbols("j k", integer=True, positive=True)
    value, entry = sympy.Symbol("v", real=True), sympy.Function("v")
    total = sympy.Sum(entry(j), (j, 1, clients))
    per_sample = (2 * (1 - theta) ** 2 * theta**2 + (1 - theta) ** 4) / (at.n * clients) + theta**4 / at.n
    in_modes = (
        eq(
            unit * (sympy.Sum((1 - theta) ** 2 * value / clients, (j, 1, clients)) + theta**2 * value),
            shared * value,
        ),
        eq(unit * ((1 - theta) ** 2 * total / clients + theta**2 * entry(k)), apart * entry(k)),
    )
    modes = Lemma(
        "The two modes in which clients' noise acts",
        (
            Step.identity(
                "Noise that all clients' data share: client k's row of (4e/n)((1−θ)² 11ᵀ/K + θ²) times the same v.",
                in_modes[0],
            ),
            Step.identity(
                "Noise in which they differ (entries v with sum 0): K−1 such directions.",
                in_modes[1],
                eq(total, 0),
            ),
            Step.identity(
                "Their mean is the noise's part of the rate κ(θ) of T8 …",
                eq(at.L * at.sigma**2 * _moment(shared, apart, 1), sums.joint_rate),
                eq(at.a, 0),
                eq(at.b, 0),
                eq(at.nu_bar, at.L * at.sigma**2 * at.e),
            ),
            Step.identity(
                "… and their mean square the noise of T14.",
                eq(at.n * _moment(shared, apart, 2), 16 * at.e**2 * per_sample),
            ),
        ),
        states=in_modes,
    )

    others, c, load, rate, rho, pull, h, u = sympy.symbols("k c epsilon kappa rho tau h u", positive=True)
    y, residual = sympy.Function("y"), 1 / (1 + sympy.exp(level))
    of_margin = sympy.Function("rho")(level)
    following = (level / rate - noise_share * rate * of_margin) / rate
    slowed = eq(sympy.Derivative(of_margin, level), (1 - residual) * following)
    in_units = noise_share * rate**2 * of_margin
    solved = eq(y(level), sympy.expand(level * progress))
    above = (2 * sympy.exp(u) / sympy.exp(level)) ** noise_share
    left = 2**noise_share * (1 - sympy.exp(-noise_share * level)) / noise_share
    fully_noise = ((level - 1) * sympy.exp(level) + 1) / (level * (1 + sympy.exp(level)))
    flow = Lemma(
        "The part ψ of its final effect that training has had",
        (
            Step.modelled(
                "Overlaps h_i = Σ_j 𝒦_ij − κ change a sample's weight by −ρ h_i. They add up to nothing, so "
                "that of κ only a sample's own noise λκ = L σ_p² m_1 acts on its change: its margin changes "
                "by τh − λκρh, its residual by −q(1−q) times that …",
                eq(
                    sympy.Derivative(residual, level) * (pull * h - noise_share * rate * rho * h),
                    -residual * (1 - residual) * (pull - noise_share * rate * rho) * h,
                ),
            ),
            Step.modelled(
                "… so with dM = ηκq dt and τ = M/κ the response ρ follows the margin, and in its final units, "
                "y = λκ²ρ, it has this equation …",
                eq(sympy.Derivative(in_units, level), noise_share * (1 - residual) * (level - in_units)),
                slowed,
            ),
            Step.ode(
                "… which M ψ(M) solves, from zero.",
                solved,
                eq(y(level).diff(level), noise_share * (1 - residual) * (level - y(level))),
                eq(y(0), 0),
            ),
            Step.identity(
                "Where nearly all of κ is noise (λ = 1), ψ is this.",
                eq(progress.subs(noise_share, 1), fully_noise),
            ),
            Step.sign(
                "What is missing from 1 is positive, and its base is below 2e^u/e^M (u > 0, e^u = 1 + k) …",
                relation(
                    ">", 2 * sympy.exp(u) / sympy.exp(level), (1 + sympy.exp(u)) / (1 + sympy.exp(level))
                ),
                eq(u, sympy.log(1 + others)),
            ),
            Step.identity(
                "… whose integral is bounded …",
                eq(sympy.Integral(sympy.expand_power_base(above, force=True), (u, 0, level)), left),
            ),
            Step.identity(
                "… and vanishes against M: ψ goes to one.", eq(sympy.Limit(left / level, level, sympy.oo), 0)
            ),
        ),
        (solved,),
    )

    effective, symbol = sympy.Symbol("g", positive=True), sympy.Symbol("Delta")
    damped = c / (1 + load * psi * c / m1)
    opposed = eq(effective, c - c * (load * psi / m1) * effective)
    energy = (m2 - 2 * load * psi * m3 / m1) * (1 + psi**2 * load * m2 / m1**2)
    statement = eq(symbol, psi * m3 / (m1 * m2) - psi**2 * m2 / (2 * m1**2))
    variance = (psi / (at.L * at.sigma**2 * m1)) ** 2 * (at.L * at.n * at.sigma**4 * m2)

    def at_no_load(expression: Formula) -> Formula:
        return sympy.Subs(sympy.Derivative(expression, load), load, 0)

    effect = Lemma(
        "What the response does to the noise",
        (
            Step.assumed(
                "Cavity: a noise coordinate is read by all samples, whose response, r = ψ/(L σ_p² m_1) "
                "each, opposes it. One coordinate among L cannot change the response. The signals are too "
                "few to matter to it.",
                opposed,
            ),
            Step.root(
                "So a mode of the noise shrinks from c to g (ε = n/L, and n σ_p² r = ε ψ/m_1).",
                eq(effective, damped),
                opposed,
            ),
            Step.identity(
                "To first order its square falls by this.", eq(at_no_load(damped**2), -2 * psi * c**3 / m1)
            ),
            Step.modelled(
                "Weights differ between samples, with a variance of r² times that of h: this, relative to τ².",
                eq(variance, psi**2 * load * m2 / m1**2),
                eq(at.n, load * at.L),
            ),
            Step.identity(
                "Both in the noise energy E(ε) = m_2 + …; log R has −½ log E, so that log R = log R₁₄ + ε Δ + …",
                statement,
                eq(symbol, -at_no_load(sympy.log(energy)) / 2),
            ),
        ),
        (statement,),
    )

    moments = tuple(eq(moment, _moment(shared, apart, power)) for power, moment in enumerate((m1, m2, m3), 1))
    alone, beside = sympy.symbols("Delta_G Delta_L")
    gains = (eq(alone, clients * (psi - psi**2 / 2)), eq(beside, psi - psi**2 / 2))
    written_out = Lemma(
        "The bracket written out",
        (
            Step.identity(
                "In the moments of the two modes the factors 4e/n cancel: the form that is evaluated.",
                eq(symbol, bracket),
                statement,
                *moments,
            ),
            Step.identity("Global prompt alone: K times …", gains[0], eq(alone, bracket), eq(theta, 0)),
            Step.identity("… what the local one gains.", gains[1], eq(beside, bracket), eq(theta, 1)),
            Step.sign(
                "With K = 1 + k clients and the same ψ = 1/(1+x) < 1, the global prompt gains more.",
                relation(">", gains[0].rhs, gains[1].rhs),
                eq(clients, 1 + others),
                eq(psi, 1 / (1 + sympy.Symbol("x", positive=True))),
            ),
        ),
        gains,
    )
    return Derivation(RESULT, statement=(statement, solved), lemmas=(modes, flow, effect, written_out))


def relative_gain(theta: ArrayLike, clients: ArrayLike, progress: ArrayLike) -> Values:
    """Return (log R − log R₁₄) L/n, the bracket of T29 (first order).

    Let θ be `theta`, K `clients` and ψ `progress`, from 0 to 1; they broadcast.

    >>> round(float(relative_gain(0.0, 10, 1.0)), 6)
    5.0
    """
    return result(as_function(*formula()[:2])(*map(np.asarray, (theta, clients, progress))))
