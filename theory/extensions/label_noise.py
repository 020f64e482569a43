"""Wrong training labels: what they cost at once, and what memorising them costs later (T26).

Statement (T26): a client's samples are of two types, clean and flipped, with accumulated residuals τ⁺ and τ⁻ and
x = τ⁻/τ⁺. With equal clients a prompt trained alone, and a joint mixture, have the ratio R = R_0 F(x), where R_0 is
the one without label noise and

    F(x) = (1−ε − εx)/√(1−ε + εx²)  falls with x,      1 ≤ x < x_∞ = (κ_n + 2(1−ε)κ_s)/(κ_n + 2εκ_s),

κ_s and κ_n being what signal and own noise contribute to the margin rate T8. To leading order (x = 1) every ratio
is multiplied by 1−2ε, so θ* does not move. Later wrong labels keep the larger residuals, and memorising them lowers
R, but never below R_0 (1−2ε)/√(1 + 4ε(1−ε) r(r+2)) with r = κ_s/κ_n: where noise dominates (r ≪ 1, for a local
prompt ν̄/n ≫ a+b) the factor stays 1−2ε. Clients that differ in ε_k:
`theory.extensions.noisy_clients`; predictions for any scheme and time: `theory.extensions.prediction`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import client_margins, predicted_ratio
from theory.dynamics.margin_rate import rate_parts
from theory.mixing.tangency import optimum
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, between, nonnegative, positive, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T26",
    title="Label noise",
    problem="What do wrong training labels do to the ratio and to the best mixing?",
    assumptions=(
        "The mean field of T12 (few samples against L), one local step per round.",
        "ε < 1/2; for the bounds equal clients that share ε, and η(κ_n + 2εκ_s) ≤ 4.",
        "Clean test labels.",
    ),
    bound="asymptotic",
    uses=("T8", "T12", "T14", "T15"),
)


class Expressions(NamedTuple):
    """F(x) and x_∞ as SymPy expressions, with their symbols (ε, x, κ_s, κ_n)."""

    symbols: tuple[Formula, ...]
    factor: Formula
    largest: Formula


@cache
def formula() -> Expressions:
    """Return F(x), signed mean over root mean square of both types, and x_∞, where both have the same margin.

    >>> parts = formula()
    >>> parts.factor.subs(parts.symbols[1], 1)
    1 - 2*epsilon
    """
    import sympy

    symbols = epsilon, x, signal, noise = sympy.symbols("epsilon x kappa_s kappa_n", positive=True)
    factor = (1 - epsilon - epsilon * x) / sympy.sqrt(1 - epsilon + epsilon * x**2)
    largest = (noise + 2 * (1 - epsilon) * signal) / (noise + 2 * epsilon * signal)
    return Expressions(symbols, factor, largest)


@cache
def derivation() -> Derivation:
    """Derive T26: both types, the leading order, an induction over steps for x, and what x does to the ratio."""
    import sympy

    at, best, parts = letters(), optimum(), formula()
    (epsilon, x, signal, noise), factor, largest = parts.symbols, parts.factor, parts.largest
    plus, minus, q_plus, q_minus = sympy.symbols("tau_+ tau_- q_+ q_-", positive=True)
    common, loud, c, half, R, R_clean = sympy.symbols("f m c h R R_0", positive=True)
    gap, slack = sympy.symbols("D w", nonnegative=True)
    M, u, M_plus, M_minus, following = sympy.symbols("M u M_+ M_- D_next", real=True)
    pull = (1 - epsilon) * plus - epsilon * minus
    energy = (1 - epsilon) * plus**2 + epsilon * minus**2
    level, below_half = eq(minus, x * plus), eq(epsilon, 1 / (2 + half))
    rows, relevant, _, _ = client_margins.formula()

    def moved(sign: int) -> Formula:
        """What one feature of squared norm s does to the margin of a sample with this sign, by both types."""
        types = ((1, 1 - epsilon, plus), (-1, epsilon, minus))
        return sum(
            relevant.subs(dict(zip(rows[1:], (sign, other, 1, share), strict=True)), simultaneous=True) * tau
            for other, share, tau in types
        )

    mixture = predicted_ratio.formula()
    pulled = mixture.signal.subs({P: common * P for P in mixture.signal_symbols[4:]}, simultaneous=True)
    louder = mixture.noise.subs({Q: loud * Q for Q in mixture.noise_symbols[5:]}, simultaneous=True)
    statement = eq(R, R_clean * factor)
    clean = eq(M_plus, signal * pull + noise * plus)
    flipped = eq(M_minus, -signal * pull + noise * minus)
    limit, at_limit = sympy.symbols(r"x_\infty F_\infty", positive=True)
    limit_claim = eq(limit, largest)
    sign_of_gap = eq(M_plus - M_minus, plus * (noise + 2 * epsilon * signal) * (limit - x))
    pushes = 2 * signal * ((1 - epsilon) * q_plus - epsilon * q_minus) + noise * (q_plus - q_minus)
    apart = clean.rhs - flipped.rhs
    step = eq(following, gap + at.eta * pushes)
    speed = eq(at.eta, c / (noise + 2 * epsilon * signal))
    start = 2 * at.eta * signal * (1 - 2 * epsilon) * q_plus
    residual = 1 / (1 + sympy.exp(M + u))
    slope = sympy.diff(residual, u)
    room = sympy.Integral(sympy.Rational(1, 4) + slope, (u, 0, gap))
    lipschitz = relation(">=", c * room, 0)
    residuals = (eq(q_plus, residual.subs(u, gap)), eq(q_minus, residual.subs(u, 0)))
    close = relation("<=", c * (q_minus - q_plus), c * gap / 4)
    after = gap * (1 - c / 4) + start
    falling = -epsilon * (1 - epsilon) * (1 + x) / (1 - epsilon + epsilon * x**2) ** sympy.Rational(3, 2)
    r = signal / noise
    floor = eq(at_limit**2, (1 - 2 * epsilon) ** 2 / (1 + 4 * epsilon * (1 - epsilon) * r * (r + 2)))
    types = (
        Step.modelled(
            "Through a feature of squared norm s a clean sample's margin moves by 4s times the signed mean of the "
            "types' residuals (T12) …",
            eq(moved(1), 4 * rows[0] * pull),
        ),
        Step.modelled("… and a flipped one's by the opposite.", eq(moved(-1), -4 * rows[0] * pull)),
        Step.identity(
            "A mixture's signal is linear in the signed means (T14): a common factor comes out …",
            eq(pulled, common * mixture.signal),
        ),
        Step.identity(
            "… and its noise, which does not depend on labels, is linear in the mean squares.",
            eq(louder, loud * mixture.noise),
        ),
        Step.identity(
            "So where all clients and prompts share τ⁺ and τ⁻, R/R_0 is the signed mean over the root mean square.",
            statement,
            eq(R, R_clean * pull / sympy.sqrt(energy)),
            level,
        ),
        Step.identity(
            "While both types have the same residual it is 1−2ε.",
            eq(R, R_clean * (1 - 2 * epsilon)),
            statement,
            eq(x, 1),
        ),
        Step.identity(
            "A common factor of both signals leaves T15's optimum alone: to leading order θ* does not move.",
            eq(best.mixing.subs({s: common * s for s in best.symbols[:2]}, simultaneous=True), best.mixing),
        ),
    )
    margins = (
        Step.assumed("The margin of clean samples (T12, equal clients) …", clean),
        Step.assumed("… and of flipped ones.", flipped),
        Step.root(
            "They agree at τ⁻ = x_∞ τ⁺ (here per unit of τ⁺).",
            limit_claim,
            eq(*((each / plus).expand().subs(minus, limit * plus) for each in (clean.rhs, flipped.rhs))),
        ),
        Step.identity(
            "Their difference D has the sign of x_∞ − x.", sign_of_gap, clean, flipped, level, limit_claim
        ),
    )
    induction = (
        Step.identity(
            "D starts at 0, and a step of size η adds η q⁺ to τ⁺ and η q⁻ to τ⁻ …",
            step,
            eq(following, apart.subs({plus: plus + at.eta * q_plus, minus: minus + at.eta * q_minus})),
            eq(gap, apart),
        ),
        Step.identity(
            "… which is this, with c = η(κ_n + 2εκ_s).",
            eq(following, gap + start - c * (q_minus - q_plus)),
            step,
            speed,
        ),
        Step.assumed("Clean samples have the residual of a margin M + D …", residuals[0]),
        Step.assumed("… and flipped ones that of M.", residuals[1]),
        Step.sign("No slope of the residual is below −1/4: the integrand is a square.", lipschitz),
        Step.chain("Hence q⁻ − q⁺ ≤ D/4 while D ≥ 0, here times c …", close, lipschitz, *residuals),
        Step.chain(
            "… and the next difference is bounded from below.",
            relation(">=", gap + start - c * (q_minus - q_plus), after),
            close,
        ),
        Step.sign(
            "The bound is positive for c = 4 − w ≤ 4 and ε = 1/(2+h) < 1/2: by induction D > 0, and x < x_∞ at all "
            "times.",
            relation(">", after, 0),
            eq(c, 4 - slack),
            below_half,
        ),
        Step.sign(
            "D ≥ 0 gives flipped samples the larger residual in every step, so x ≥ 1.",
            relation(">=", sympy.Integral(-slope, (u, 0, gap)), 0),
        ),
    )
    cost = (
        Step.identity("The factor's slope …", eq(sympy.Derivative(factor, x), falling)),
        Step.sign("… is negative: memorising wrong labels costs.", relation("<", falling, 0), below_half),
        Step.identity(
            "At x_∞, which is never reached, its square is this.",
            floor,
            eq(at_limit, factor.subs(x, largest)),
        ),
    )
    lemmas = (
        Lemma(
            "The ratio falls by the signed mean over the root mean square of both types", types, (statement,)
        ),
        Lemma("Both types have the same margin at x_∞", margins, (limit_claim, sign_of_gap)),
        Lemma(
            "Flipped samples keep the larger residual, but x stays below x_∞",
            induction,
            tuple(step.claim for step in induction[-2:]),
        ),
        Lemma("What the larger residual costs", cost, (cost[1].claim, floor)),
    )
    return Derivation(RESULT, statement=(statement, limit_claim, sign_of_gap, floor), lemmas=lemmas)


def _rate(label_noise: ArrayLike) -> NDArray[np.float64]:
    return between("label_noise", label_noise, 0, 0.5)


def ratio_factor(label_noise: ArrayLike, disparity: ArrayLike = 1.0) -> Values:
    """Return F(x), by which label noise multiplies the ratio (T26).

    Let ε be `label_noise` (from 0 to 1/2) and x = τ⁻/τ⁺ be `disparity` (at least 1); they broadcast. At x = 1, to
    leading order, it is 1 − 2ε.

    Raises:
        ValueError: ε outside [0, 1/2], a disparity below 1.

    >>> ratio_factor(0.2, [1, 2]).round(3).tolist()
    [0.6, 0.316]
    """
    factor = as_function(formula().symbols[:2], formula().factor)
    return result(factor(_rate(label_noise), between("disparity", disparity, 1)))


def largest_disparity(label_noise: ArrayLike, signal_rate: ArrayLike, noise_rate: ArrayLike) -> Values:
    """Return x_∞ = (κ_n + 2(1−ε)κ_s)/(κ_n + 2εκ_s), which x = τ⁻/τ⁺ approaches from below (T26).

    Let ε be `label_noise`, κ_s be `signal_rate` and κ_n `noise_rate`, from `margin_rate.rate_parts`; arguments
    broadcast.

    Raises:
        ValueError: ε outside [0, 1/2], a negative signal rate, a noise rate that is not positive.

    >>> round(float(largest_disparity(0.25, 1, 1)), 6)
    1.666667
    """
    rates = nonnegative("signal_rate", signal_rate), positive("noise_rate", noise_rate)
    epsilon, _, *strengths = formula().symbols
    return result(as_function((epsilon, *strengths), formula().largest)(_rate(label_noise), *rates))


class Bounds(NamedTuple):
    """The least and the largest factor F(x) that any training time can give."""

    lower: Values
    upper: Values


def factor_bounds(equal: EqualClients, label_noise: ArrayLike, theta: ArrayLike) -> Bounds:
    """Return the bounds of R/R_0 over all times, for the jointly trained mixture at θ (T26).

    Let `equal` describe the clients, ε be `label_noise` and θ `theta`, where θ = 0 and 1 are the prompts trained
    alone; all broadcast.

    Raises:
        ValueError: ε outside [0, 1/2], θ outside [0, 1].

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10)
    >>> bounds = factor_bounds(equal, 0.2, 1)
    >>> float(bounds.lower.round(3)), float(bounds.upper.round(3))
    (0.514, 0.6)
    """
    largest = largest_disparity(label_noise, *rate_parts(equal, theta))
    return Bounds(ratio_factor(label_noise, largest), ratio_factor(label_noise))
