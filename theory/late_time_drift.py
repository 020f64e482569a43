"""How far θ* of joint training drifts, to first order in n/L (T29, first order).

Problem: T21 says that θ* of joint training does not move. That is the limit N/L → 0; what is the next term?

Statement (T29, first order; equal n and χ): with M the margin T9 at the rate κ(θ) of T8, R₁₄ the ratio of T14 and

    c_+ = (4e/n)((1−θ)² + θ²),   c_- = (4e/n) θ²,   m_p = (c_+^p + (K−1) c_-^p)/K,
    ψ(M) = [(M−1)e^M + 1]/[M(1 + e^M)],

    log R = log R₁₄ + (n/L) [ψ m_3/(m_1 m_2) − ψ² m_2/(2 m_1²)].

The c are the two eigenvalues with which samples of different clients act on each other: in a direction of noise
that all clients' data share, and in one where they differ. ψ is the part of its final effect that training has
had: 0 at the start, 1 as t → ∞. The bracket is K(ψ − ψ²/2) for the global prompt alone and ψ − ψ²/2 for the local
one, so training favours the global prompt, and θ* falls.

Assumptions: linear band, zero start, one local step per round, continuous time; n and L large, n/L small.
Provenance: derived; the response of a large random kernel (step marked so) is the cavity method's. Bound:
asymptotic (the rest is of order (n/L)^1.5). Reference: T8, T9, T14; `DERIVED_HERE` in `theory.derivation`.
"""

from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from theory.arguments import ArrayLike, Values, between, nonnegative, positive, result, unit_interval
from theory.derivation import DERIVED_HERE, Derivation, Formula, Step, as_function, relation
from theory.margin_rate import joint_rate, kernel_sums
from theory.saturation import margin
from theory.symbols import letters
from theory.tangency import effective_weights


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (θ, K, ψ), the bracket of T29 and, as an expression in M, ψ.

    >>> symbols, bracket, progress = formula()
    >>> bracket.subs({symbols[0]: 1}).factor()
    -psi*(psi - 2)/2
    """
    import sympy

    at = letters()
    shared, apart, psi, m1, m2, m3 = response()
    moments = {symbol: _moment(shared, apart, p) for p, symbol in ((1, m1), (2, m2), (3, m3))}
    bracket = psi * m3 / (m1 * m2) - psi**2 * m2 / (2 * m1**2)
    level = sympy.Symbol("M", positive=True)
    progress = ((level - 1) * sympy.exp(level) + 1) / (level * (1 + sympy.exp(level)))
    # the common factor 4e/n cancels
    return (at.theta, at.K, psi), sympy.cancel(bracket.subs(moments)), progress


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
    """Derive the first order of T29: two modes, the linear response of the flow, and its effect on the noise.

    >>> derivation().bound
    'asymptotic'
    """
    import sympy

    at, sums = letters(), kernel_sums()
    (theta, clients, psi), bracket, progress = formula()
    shared, apart, _, m1, m2, m3 = response()
    unit = 4 * at.e / at.n
    j, k = (sympy.Symbol(name, integer=True, positive=True) for name in ("j", "k"))
    value, entry = sympy.Symbol("v", real=True), sympy.Function("v")
    level = sympy.Symbol("M", positive=True)
    others, load, c = sympy.symbols("k epsilon c", positive=True)
    y, residual = sympy.Function("y"), 1 / (1 + sympy.exp(level))
    rate, rho, pull, h = sympy.symbols("kappa rho tau h", positive=True)
    total = sympy.Sum(entry(j), (j, 1, clients))
    spread = _moment(shared, apart, 2)
    t14 = (
        (1 - theta) ** 4 / (at.n * clients)
        + 2 * (1 - theta) ** 2 * theta**2 / (at.n * clients)
        + theta**4 / at.n
    )
    damped = c / (1 + load * psi * c / m1)
    effective = sympy.Symbol("g", positive=True)
    opposed = relation("=", effective, c - c * (load * psi / m1) * effective)
    solved = relation("=", y(level), level * progress)
    energy = (m2 - 2 * load * psi * m3 / m1) * (1 + psi**2 * load * m2 / m1**2)
    gain = psi * m3 / (m1 * m2) - psi**2 * m2 / (2 * m1**2)
    symbol = sympy.Symbol("Delta")
    statement = relation("=", symbol, gain)
    powers = {m1: _moment(shared, apart, 1), m2: spread, m3: _moment(shared, apart, 3)}
    steps = (
        Step(
            "Noise that all clients' data share: client k's row of (4e/n)((1−θ)² 11ᵀ/K + θ²) times the same v.",
            relation(
                "=",
                unit * (sympy.Sum((1 - theta) ** 2 * value / clients, (j, 1, clients)) + theta**2 * value),
                shared * value,
            ),
            "identity",
        ),
        Step(
            "Noise in which they differ (entries v with sum 0): K−1 such directions.",
            relation(
                "=", unit * ((1 - theta) ** 2 * total / clients + theta**2 * entry(k)), apart * entry(k)
            ),
            "identity",
            (relation("=", total, 0),),
        ),
        Step(
            "Their mean is the noise's part of the rate κ(θ) of T8 …",
            relation("=", at.L * at.sigma**2 * _moment(shared, apart, 1), sums.joint_rate),
            "identity",
            (
                relation("=", at.a, 0),
                relation("=", at.b, 0),
                relation("=", at.nu_bar, at.L * at.sigma**2 * at.e),
            ),
        ),
        Step(
            "… and their mean square the noise of T14.",
            relation("=", at.n * spread, 16 * at.e**2 * t14),
            "identity",
        ),
        Step(
            "Overlaps h_i = Σ_j 𝒦_ij − κ change a sample's weight by −ρ h_i. Its margin changes by τh − κρh, its "
            "residual by −q(1−q) times that …",
            relation(
                "=",
                sympy.Derivative(residual, level) * (pull * h - rate * rho * h),
                -residual * (1 - residual) * (pull - rate * rho) * h,
            ),
            "identity",
        ),
        Step(
            "… so with dM = ηκq dt and τ = M/κ, y = κ²ρ has dy/dM = (1−q)(M − y), which is solved by M ψ(M).",
            solved,
            "ode",
            (relation("=", y(level).diff(level), (1 - residual) * (level - y(level))),),
        ),
        Step(
            "It starts from zero …",
            relation("=", sympy.Limit(level * progress, level, 0), 0),
            "identity",
        ),
        Step(
            "… and ψ goes to one.",
            relation("=", sympy.Limit(progress, level, sympy.oo), 1),
            "identity",
        ),
        Step(
            "Cavity: a noise coordinate is read by all samples, whose response, r = ψ/(L σ_p² m_1) each, opposes "
            "it. One coordinate among L cannot change the response. The signals are too few to matter to it.",
            opposed,
            "assumed",
        ),
        Step(
            "So a mode of the noise shrinks from c to g (ε = n/L, and n σ_p² r = ε ψ/m_1).",
            relation("=", effective, damped),
            "root",
            (opposed,),
        ),
        Step(
            "To first order its square falls by this.",
            relation("=", sympy.Derivative(damped**2, load).doit().subs(load, 0), -2 * psi * c**3 / m1),
            "identity",
        ),
        Step(
            "Weights differ between samples, with a variance of r² times that of h: ψ² ε m_2/m_1² relative to τ².",
            relation(
                "=",
                (psi / (at.L * at.sigma**2 * m1)) ** 2 * (at.L * at.n * at.sigma**4 * m2),
                psi**2 * load * m2 / m1**2,
            ),
            "identity",
            (relation("=", at.n, load * at.L),),
        ),
        Step(
            "Both in the noise energy; its logarithm falls, so that log R = log R₁₄ + ε Δ + …",
            relation("=", symbol, -sympy.Derivative(sympy.log(energy), load).doit().subs(load, 0) / 2),
            "identity",
            (relation("=", symbol, gain),),
        ),
        Step("The first order.", statement, "identity", (relation("=", symbol, gain),)),
        Step(
            "The numeric function evaluates it with the two modes.",
            relation("=", bracket, gain.subs(powers)),
            "identity",
        ),
        Step(
            "Global prompt alone: K times …",
            relation("=", bracket.subs(theta, 0), clients * (psi - psi**2 / 2)),
            "identity",
        ),
        Step(
            "… what the local one gains.", relation("=", bracket.subs(theta, 1), psi - psi**2 / 2), "identity"
        ),
        Step(
            "With K = 1 + k clients training favours the global prompt (ψ = 1/(1+x) < 1).",
            relation(">", bracket.subs(theta, 0), bracket.subs(theta, 1)),
            "sign",
            (
                relation("=", clients, 1 + others),
                relation("=", psi, 1 / (1 + sympy.Symbol("x", positive=True))),
            ),
        ),
    )
    return Derivation(
        tag="T29 (first order)",
        title="Drift of joint mixing, first order in n/L",
        problem="By how much does the overlap of the samples' noise change ratio and θ* while training goes on?",
        assumptions=(
            "Linear band, zero start, equal n and χ.",
            "One local step per round, continuous time.",
            "n and L large, n/L small; the cavity method.",
        ),
        statement=(statement, solved),
        bound="asymptotic",
        provenance="derived",
        reference=DERIVED_HERE,
        steps=steps,
    )


@cache
def _numeric() -> tuple[Any, Any]:
    import sympy

    symbols, bracket, progress = formula()
    (level,) = progress.free_symbols
    # in e^{−M}, which cannot overflow
    stable = sympy.expand(sympy.numer(progress) * sympy.exp(-level)) / (level * (1 + sympy.exp(-level)))
    return as_function(symbols, bracket), as_function((level,), stable)


def progress(margin: ArrayLike) -> Values:
    """Return ψ(M), from 0 at the start to 1 as t → ∞ (T29, first order).

    Let M ≥ 0 be `margin`, any shape.

    Raises:
        ValueError: a negative margin.

    >>> progress([0.0, 2.0, 1000.0]).round(3).tolist()
    [0.0, 0.5, 0.999]
    """
    level = nonnegative("margin", margin)
    # below 1e-3 the numerator cancels; the series there is M/4 to a relative error of M/3
    small = level < 1e-3
    return result(np.where(small, level / 4, _numeric()[1](np.where(small, 1.0, level))))


def first_order(
    theta: ArrayLike, margin: ArrayLike, *, clients: ArrayLike, samples: ArrayLike, noise_dim: ArrayLike
) -> Values:
    """Return log R − log R₁₄, the first-order effect of overlapping noise under joint training (T29).

    Let θ be `theta`, M the mean-field `margin` (infinite for t → ∞), K `clients`, n `samples` per client and L
    `noise_dim`; arguments broadcast.

    Raises:
        ValueError: any argument outside its range.

    >>> first_order([0, 1], float("inf"), clients=10, samples=20, noise_dim=4000).round(4).tolist()
    [0.025, 0.0025]
    """
    level = between("margin", margin, 0, finite=False)
    ended = np.isinf(level)
    psi = np.where(ended, 1.0, progress(np.where(ended, 1.0, level)))
    load = between("samples", samples, 1) / between("noise_dim", noise_dim, 1)
    return result(load * _numeric()[0](unit_interval("theta", theta), between("clients", clients, 1), psi))


def drift_ratio(
    theta: ArrayLike,
    step: ArrayLike,
    learning_rate: ArrayLike,
    *,
    global_signal: ArrayLike,
    local_signal: ArrayLike,
    noise_feature: ArrayLike,
    noise_std: ArrayLike,
    noise_dim: ArrayLike,
    clients: ArrayLike,
    samples: ArrayLike,
    alignment: ArrayLike,
) -> Values:
    """Return the ratio R of joint training after t steps, to first order in n/L (T29).

    Let θ be `theta`, t `step`, η `learning_rate`, a `global_signal`, b `local_signal`, e `noise_feature`, σ_p
    `noise_std`, L `noise_dim`, K `clients`, n `samples` and χ `alignment`; arguments broadcast.

    Raises:
        ValueError: any argument outside its range.

    >>> letters = dict(global_signal=3, local_signal=7, noise_feature=1, noise_std=1, noise_dim=400,
    ...                clients=4, samples=10, alignment=1)
    >>> drift_ratio([0, 1], 0, 0.01, **letters).round(4).tolist()
    [1.5021, 1.5811]
    """
    w_global, w_local = effective_weights(theta, "joint")
    length, count, n = (
        between("noise_dim", noise_dim, 1),
        between("clients", clients, 1),
        between("samples", samples, 1),
    )
    deviation, feature = positive("noise_std", noise_std), positive("noise_feature", noise_feature)
    signals = dict(global_signal=global_signal, local_signal=local_signal)
    rate = joint_rate(
        theta,
        **signals,
        noise_energy=length * deviation**2 * feature,
        samples=n,
        clients=count,
        alignment=alignment,
    )
    scaled = positive("learning_rate", learning_rate) * nonnegative("step", step) * rate
    a, b = (nonnegative(name, value) for name, value in signals.items())
    signal = w_global * (a + b * np.asarray(alignment, dtype=np.float64) / count) + w_local * (a + b)
    inner = (w_global**2 + 2 * w_global * w_local) / (n * count) + w_local**2 / n
    start = signal / (deviation**2 * feature * np.sqrt(length * inner))
    return result(
        start * np.exp(first_order(theta, margin(scaled), clients=count, samples=n, noise_dim=length))
    )


def drift_mixing(step: float | int, learning_rate: float, **letters_of: float | int) -> float:
    """Return θ* of joint training after t steps, to first order in n/L (T29), to about 1e-7.

    The arguments are those of `drift_ratio`, without θ; scalars.

    Raises:
        ValueError: as `drift_ratio`.

    >>> letters = dict(global_signal=3, local_signal=7, noise_feature=1, noise_std=1, noise_dim=4000,
    ...                clients=4, samples=10, alignment=1)
    >>> round(drift_mixing(0, 0.01, **letters), 3), round(drift_mixing(1000, 0.01, **letters), 3)
    (0.433, 0.431)
    """

    def value(theta: ArrayLike) -> Values:
        return drift_ratio(theta, step, learning_rate, **letters_of)

    grid = np.linspace(0.0, 1.0, 101)
    best = int(np.argmax(value(grid)))
    bracket = grid[max(best - 1, 0)], grid[min(best + 1, 100)]
    found = minimize_scalar(
        lambda theta: -float(value(theta)), bounds=bracket, method="bounded", options={"xatol": 1e-8}
    )
    return max((float(found.x), float(grid[best])), key=lambda theta: float(value(theta)))
