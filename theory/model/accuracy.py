"""Test accuracy is Φ of the signal-to-noise ratio (T7).

Statement (T7): accuracy = Φ(R) with R = s/(σ_p ‖H_ξ‖), where s = H_μ + H_ν is the client's signal and H_ξ are
the irrelevant entries of the mixed encoder output H; Φ is the standard normal distribution function.
"""

from functools import cache

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr

from theory.numerics.validation import ArrayLike, Values, between, finite, nonnegative, positive, result
from theory.proof.derivation import Derivation, Formula, Result, Step, eq
from theory.proof.gaussian import density, expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T7",
    title="Accuracy is Φ of the ratio",
    problem="With which probability is a fresh sample of a client classified correctly?",
    assumptions=(
        "Gaussian irrelevant coordinates, independent of the label (T1).",
        "Any encoder, prompt, mixing and time.",
    ),
    bound="exact",
    uses=("T1",),
)


@cache
def formula() -> tuple[Formula, Formula]:
    """Return the symbol R and the accuracy as a function of it, from the Gaussian integral.

    >>> R, expression = formula()
    >>> expression.subs(R, 0)
    1/2
    """
    import sympy

    signal, scale = sympy.Symbol("s", real=True), sympy.Symbol("v", positive=True)
    value, ratio_symbol = sympy.symbols("x R", real=True)
    probability = sympy.integrate(density(value, scale, signal), (value, 0, sympy.oo))
    return ratio_symbol, sympy.simplify(probability.subs(signal, ratio_symbol * scale))


@cache
def derivation() -> Derivation:
    """Derive T7: the law of the margin of a fresh sample, and the probability that it is positive."""
    import sympy

    sigma, length = letters().sigma, letters().L
    x, u, signal = sympy.symbols("x u s", real=True)
    scale, norm = sympy.symbols(r"v \|H_{\xi}\|", positive=True)
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    entry = sympy.IndexedBase("H", real=True)[l]
    ratio_symbol, derived = formula()
    transform = sympy.exp(u**2 * sigma**2 * entry**2 / 2)
    statement = eq(
        sympy.Integral(density(x, scale, signal), (x, 0, sympy.oo)),
        derived.subs(ratio_symbol, signal / scale),
    )
    steps = (
        Step.identity(
            "The label multiplies the two relevant coordinates away, so y f = s + Σ_l (y x_l) H_l. An irrelevant "
            "term x_l H_l has the moment generating function exp(u² σ_p² H_l²/2) …",
            eq(expectation(sympy.exp(u * x * entry), x, sigma), transform),
        ),
        Step.identity(
            "… and a label −1 does not change it.",
            eq(expectation(sympy.exp(-u * x * entry), x, sigma), transform),
        ),
        Step.identity(
            "Those of independent terms multiply, so their logarithms add: the sum is N(0, σ_p² ‖H_ξ‖²).",
            eq(sympy.Sum(sympy.log(transform), (l, 1, length)), u**2 * sigma**2 * norm**2 / 2),
            eq(norm, sympy.sqrt(sympy.Sum(entry**2, (l, 1, length)))),
        ),
        Step.identity(
            "That is the transform of a Gaussian with mean s and deviation v = σ_p ‖H_ξ‖, once s is added.",
            eq(expectation(sympy.exp(u * x), x, scale, signal), sympy.exp(u * signal + u**2 * scale**2 / 2)),
        ),
        Step.identity("The sample is classified correctly when y f > 0.", statement),
        Step.identity(
            "As a function of R = s/v this is Φ(R): its derivative is the standard normal density …",
            eq(sympy.Derivative(derived, ratio_symbol), density(ratio_symbol, 1)),
        ),
        Step.identity(
            "… and it tends to 0 as R tends to minus infinity.",
            eq(sympy.Limit(derived, ratio_symbol, -sympy.oo), 0),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def accuracy(ratio: ArrayLike) -> Values:
    """Return the test accuracy Φ(R) (T7).

    Let R be `ratio`, of any shape; infinities are allowed. The value keeps full relative accuracy in the left
    tail, where the derived form (1 + erf(R/√2))/2 cancels.

    Raises:
        ValueError: a ratio that is not a number.

    >>> float(accuracy(0.0))
    0.5
    """
    return result(ndtr(between("ratio", ratio, finite=False)))


def log_error(ratio: ArrayLike) -> Values:
    """Return the natural logarithm of the test error, log Φ(−R), without underflow (T7).

    Let R be `ratio`, of any shape.

    Raises:
        ValueError: a ratio that is not a number.

    >>> round(float(log_error(40.0)), 1)
    -804.6
    """
    return result(log_ndtr(-between("ratio", ratio, finite=False)))


def mean_log_error(ratio: ArrayLike, axis: int | tuple[int, ...] = -1) -> Values:
    """Return the natural logarithm of the mean test error over some axes, without underflow (T7).

    Let R be `ratio`, of any shape; the mean is over `axis`, e.g. clients. A mean accuracy is largest where this
    is smallest, and this still tells mixtures apart where accuracies round to 1.

    Raises:
        ValueError: a ratio that is not a number.

    >>> round(float(mean_log_error([40.0, 50.0])), 1)
    -805.3
    """
    errors = np.asarray(log_error(ratio))
    count = np.size(errors) / np.size(np.sum(errors, axis=axis))
    return result(logsumexp(errors, axis=axis) - np.log(count))


def ratio(signal: ArrayLike, noise_norm: ArrayLike, noise_std: ArrayLike) -> Values:
    """Return the ratio R = s/(σ_p ‖H_ξ‖) of task-relevant to task-irrelevant output (T7).

    Let s be `signal` (H_μ + H_ν), ‖H_ξ‖ be `noise_norm` and σ_p be `noise_std`; arguments broadcast. R has no
    unit. An untrained prompt (s and ‖H_ξ‖ both 0) guesses, so its ratio is 0; without noise the ratio is
    infinite.

    Raises:
        ValueError: a signal that is not finite, a negative norm, σ_p that is not positive.

    >>> ratio([3.0, 0.0, -1.0], [1.5, 0.0, 0.0], 1.0).tolist()
    [2.0, 0.0, -inf]
    """
    s = finite("signal", signal)
    scale = positive("noise_std", noise_std) * nonnegative("noise_norm", noise_norm)
    silent = scale == 0
    s, scale, silent = np.broadcast_arrays(s, scale, silent)
    without_noise = np.where(s == 0, 0.0, np.copysign(np.inf, s))
    return result(np.where(silent, without_noise, s / np.where(silent, 1.0, scale)))
