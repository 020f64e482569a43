"""Mixing on real features: choose θ from the margins of held-out samples (T24).

Statement (T24): with s the mean and (A, C, B) the within-class covariance of (m^G_yj, m^L_yj) per client
and class,

    ratio_yj(θ) = [(1−θ) s^G_yj + θ s^L_yj] / √[(1−θ)² A_yj + 2θ(1−θ) C_yj + θ² B_yj]
    predicted error(θ) = Σ_y n_y max_j Φ(−ratio_yj(θ)) / Σ_y n_y,      θ* = argmin,

the sums running over clients and classes. Where one rival binds, θ* is T15 for that rival. The prediction is
exact for two classes and a lower bound for more: an error needs only one of the rivals to win, so the true error
lies between the binding rival's and the sum over all rivals (`error_bounds`). With many classes it is too small,
although it chooses θ well.

Estimating the moments: `theory.mixing.margin_moments`. The exact curve on the given samples:
`theory.mixing.accuracy_curve`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, logsumexp, ndtr

from theory.mixing.margin_moments import MarginMoments, Reals
from theory.mixing.tangency import optimum
from theory.numerics.maximise import maximise_over_mixing
from theory.numerics.validation import Values, between, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.gaussian import density

RESULT = Result(
    tag="T24",
    title="Mixing from held-out margins",
    problem="Which θ errs least on fresh samples, judging from the margins of held-out samples?",
    assumptions=(
        "Fixed prompts; features are mixed and not normalised again.",
        "Gaussian margins within a client and class.",
    ),
    bound="lower",
    uses=("T3", "T7", "T15"),
)


class MixingOptimum(NamedTuple):
    """The best θ and the error predicted there; first and last of the θ that tie with it; whether others do."""

    theta: float
    error: float
    low: float
    high: float
    flat: bool


class ErrorBounds(NamedTuple):
    """Error of the binding rival, and the sum over rivals (at most 1), with Gaussian margins."""

    lower: Values
    upper: Values


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (θ, s_G, s_L, A, C, B), and the mean and variance of a margin of the mixture.

    >>> symbols, mean, variance = formula()
    >>> mean.subs(symbols[0], 0), variance.subs(symbols[0], 1)
    (s_G, B)
    """
    import sympy

    theta = sympy.Symbol("theta", real=True)
    s_global, s_local, a, b, c = optimum().symbols
    mean = (1 - theta) * s_global + theta * s_local
    variance = (1 - theta) ** 2 * a + 2 * theta * (1 - theta) * c + theta**2 * b
    return (theta, s_global, s_local, a, c, b), mean, variance


@cache
def derivation() -> Derivation:
    """Derive T24: moments of a mixed margin, the two bounds of the error, and the optimum for one rival."""
    import sympy

    symbols, mean, variance = formula()
    theta, s_global, s_local, a, c, b = symbols
    i, samples = sympy.symbols("i n", integer=True, positive=True)
    true, rival = (sympy.symbols(f"f_G^{who} f_L^{who}", real=True) for who in ("y", "j"))
    margins = sympy.symbols("m_G m_L", real=True)
    samples_of = tuple(sympy.IndexedBase(name, real=True)[i] for name in ("m_G", "m_L"))
    entries = tuple(sympy.IndexedBase(name, real=True)[i] for name in ("d_G", "d_L"))
    total, scale = sympy.Symbol("s", real=True), sympy.Symbol("V", positive=True)

    def average(value: Formula) -> Formula:
        return sympy.Sum(value, (i, 1, samples)) / samples

    def weighted(pair: tuple[Formula, ...]) -> Formula:
        return (1 - theta) * pair[0] + theta * pair[1]

    linear = eq(weighted(true) - weighted(rival), weighted(margins))
    moments = (
        eq(a, average(entries[0] ** 2)),
        eq(c, average(entries[0] * entries[1])),
        eq(b, average(entries[1] ** 2)),
    )
    spread = eq(average(weighted(entries) ** 2), variance)
    x, ratio = sympy.symbols("x R", real=True)
    error = (1 + sympy.erf(-ratio / sympy.sqrt(2))) / 2
    only_first, only_second, both = sympy.symbols("P_1 P_2 P_12", nonnegative=True)
    wrong, first, second = sympy.symbols("E E_1 E_2", nonnegative=True)
    events = (
        eq(wrong, only_first + only_second + both),
        eq(first, only_first + both),
        eq(second, only_second + both),
    )
    lower, upper = relation(">=", wrong, first), relation("<=", wrong, first + second)
    gains = s_local * a - s_global * c, s_global * b - s_local * c
    ratio_of = eq(ratio, mean / sympy.sqrt(variance))
    steps = (
        Step.identity(
            "Logits mix linearly (T3), so a margin, the true class's logit minus a rival's, does too.",
            linear,
            *tuple(eq(m, t - r) for m, t, r in zip(margins, true, rival, strict=True)),
        ),
        Step.identity(
            "Hence its mean mixes linearly …",
            eq(total, mean),
            eq(total, average(weighted(samples_of))),
            eq(s_global, average(samples_of[0])),
            eq(s_local, average(samples_of[1])),
        ),
        Step.identity(
            "… and its variance is a quadratic form (d are deviations from the means).", spread, *moments
        ),
        Step.assumed("Mean over deviation is the ratio (T7) that T15 maximises (there with σ_p).", ratio_of),
        Step.identity(
            "A Gaussian margin with that ratio is negative with probability Φ(−R): the sample loses to the rival.",
            eq(sympy.Integral(density(x, scale, ratio * scale), (x, -sympy.oo, 0)), error),
        ),
        Step.identity(
            "This falls with the ratio at the rate of the normal density …",
            eq(sympy.Derivative(error, ratio), -density(ratio, sympy.Integer(1))),
        ),
        Step.sign(
            "… which is positive: the rival with the smallest ratio is the likeliest to win, and binds.",
            relation(">", density(ratio, sympy.Integer(1)), 0),
        ),
        Step.sign(
            "The sample is misclassified when any rival wins: at least as often as the binding one …",
            lower,
            *events,
        ),
        Step.sign("… and at most as often as both (two rivals; by induction for more).", upper, *events),
        Step.identity(
            "For one rival R' has the sign of T15's function, so its best θ is T15's.",
            eq(
                sympy.Derivative(ratio_of.rhs, theta) * variance ** sympy.Rational(3, 2),
                gains[0] * (1 - theta) - gains[1] * theta,
            ),
        ),
    )
    return Derivation(RESULT, statement=(linear, spread, lower, upper), steps=steps)


def _rival_ratios(moments: MarginMoments, theta: float) -> Reals:
    """ratio_yj at one θ, shape (cells, rivals); infinite for the class itself."""
    is_rival = np.isfinite(moments.mean_global)
    # Not (1−θ)·∞ + θ·∞ for a class against itself, which is undefined at the end points.
    means = (np.where(is_rival, mean, 0) for mean in (moments.mean_global, moments.mean_local))
    letters = (theta, *means, moments.variance_global, moments.covariance, moments.variance_local)
    symbols, *law = formula()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, variance = as_function(symbols, tuple(law))(*letters)
        ratio = mean / np.sqrt(np.maximum(variance, 0))
    return np.where(is_rival, np.where(np.isnan(ratio), 0, ratio), np.inf)


def _binding_ratios(moments: MarginMoments, theta: Reals) -> Reals:
    """min_j ratio_yj of every client and class, shape (thetas, cells)."""
    # one θ at a time keeps memory at (cells, rivals)
    return np.stack([_rival_ratios(moments, local).min(axis=1) for local in theta])


def cell_errors(moments: MarginMoments, theta: ArrayLike) -> Reals:
    """max_j Φ(−ratio_yj(θ)) of every client and class (T24): a fraction, shape (thetas, cells).

    Where both prompts' margins have no spread at all, the ratio's limit is taken: 0, ½ or 1 by the sign of
    the mean.

    Args:
        moments: from `theory.mixing.margin_moments.margin_moments`.
        theta: θ, a number or of shape (thetas,).

    Raises:
        ValueError: a θ outside [0, 1].

    Example:
        >>> from theory.mixing.margin_moments import margin_moments
        >>> moments = margin_moments([[2.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [2.0, 0.0]], [0, 1])
        >>> cell_errors(moments, [0.0, 1.0]).tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    answer: Reals = ndtr(-_binding_ratios(moments, np.atleast_1d(unit_interval("theta", theta))))
    return answer


def predicted_error(moments: MarginMoments, theta: ArrayLike) -> Values:
    """Predicted error rate of the mixture over all clients (T24): a fraction, of the same shape as `theta`.

    The arguments are those of `cell_errors`.

    Raises:
        ValueError: a θ outside [0, 1].

    Example:
        >>> from theory.mixing.margin_moments import margin_moments
        >>> moments = margin_moments([[2.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [2.0, 0.0]], [0, 1])
        >>> predicted_error(moments, [0.0, 0.5, 1.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    errors = cell_errors(moments, np.ravel(theta)) @ moments.samples / moments.samples.sum()
    return result(errors.reshape(np.shape(theta)))


def predicted_log_error(moments: MarginMoments, theta: ArrayLike) -> Values:
    """Natural logarithm of `predicted_error`, without underflow (T24); minus infinity where no error is predicted.

    Where errors round to 0 this still tells mixtures apart. The arguments are those of `cell_errors`.

    Raises:
        ValueError: a θ outside [0, 1].

    Example:
        >>> from theory.mixing.margin_moments import margin_moments
        >>> logits = [[40.0, 0.0], [42.0, 0.0]]
        >>> moments = margin_moments(logits, logits, [0, 0], prior_samples=1)
        >>> float(predicted_log_error(moments, 0.5).round(1))
        -284.3
    """
    mixing = np.ravel(unit_interval("theta", theta))
    errors = logsumexp(
        log_ndtr(-_binding_ratios(moments, mixing)) + np.log(moments.samples), axis=1
    ) - np.log(moments.samples.sum())
    return result(np.reshape(errors, np.shape(theta)))


def error_bounds(moments: MarginMoments, theta: ArrayLike) -> ErrorBounds:
    """Bounds of the error rate over all clients, from these moments of Gaussian margins (T24).

    The lower bound is `predicted_error`; the upper one is the mean over samples of min(1, Σ_j Φ(−ratio_yj)). Both
    are fractions, of the same shape as `theta`, and equal for two classes. The arguments are those of
    `cell_errors`.

    Raises:
        ValueError: a θ outside [0, 1].

    Example:
        >>> from theory.mixing.margin_moments import margin_moments
        >>> logits = [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
        >>> bounds = error_bounds(margin_moments(logits, logits, [0, 0]), 0.5)
        >>> bool(bounds.upper == 2 * bounds.lower)
        True
    """
    mixing = np.ravel(unit_interval("theta", theta))
    sums = [np.minimum(ndtr(-_rival_ratios(moments, local)).sum(axis=1), 1) for local in mixing]
    upper = np.array(sums) @ moments.samples / moments.samples.sum()
    return ErrorBounds(predicted_error(moments, theta), result(upper.reshape(np.shape(theta))))


def optimal_mixing(moments: MarginMoments, grid_step: float = 0.01) -> MixingOptimum:
    """θ* = argmin of the predicted error (T24), to a hundredth of `grid_step`.

    It is found on the logarithm of the error, which differs where errors round to 0. Of several θ that tie, as
    where no error is predicted, the middle is taken, and the optimum is called flat.

    Args:
        moments: from `theory.mixing.margin_moments.margin_moments`.
        grid_step: step of the grid; the curve may have several valleys, and one narrower than this may be
            missed.

    Raises:
        ValueError: a step that is not in (0, 1].

    Example:
        >>> from theory.mixing.margin_moments import margin_moments
        >>> moments = margin_moments([[2.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [2.0, 0.0]], [0, 1])
        >>> optimal_mixing(moments, grid_step=0.1)
        MixingOptimum(theta=0.2, error=0.0, low=0.0, high=0.4, flat=True)
    """
    step = float(between("grid_step", grid_step, 0, 1, open_low=True))
    best = maximise_over_mixing(
        lambda theta: -np.asarray(predicted_log_error(moments, theta)),
        grid_points=round(1 / step) + 1,
        refinements=2,
    )
    theta = float(best.place)
    error = float(predicted_error(moments, theta))
    return MixingOptimum(theta, error, float(best.low), float(best.high), bool(best.flat))
