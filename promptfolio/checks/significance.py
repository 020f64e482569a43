"""Tests that tell sampling error from a difference, each with the error rates that it states.

A comparison of many points divides its chance of a false alarm among them (Bonferroni). Critical values are those
of the statistic's own distribution: Student's t where a standard error is estimated, the binomial where successes
are counted. A normal quantile in their place would be wrong by a factor of 45 at 20 observations and 1e-5.
"""

import dataclasses
import functools
import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import beta, binom, chi2, t

from promptfolio.checks.comparison import DETECTION_POWER, Comparison, StatisticalTest, compare, worst_point

FALSE_ALARM = 1e-5
"""Chance that one statistical comparison fails although its claim is true; a few dozen stay below 1e-3."""
_WHOLE = 1e-6
_STRATA = 500


def t_test(
    what: str,
    measured: ArrayLike,
    predicted: ArrayLike,
    *,
    standard_error: ArrayLike,
    degrees: ArrayLike,
    sample_size: int,
    name: str,
    false_alarm: float = FALSE_ALARM,
) -> Comparison:
    """Compare means with their expectation by a two-sided t-test at every point.

    Args:
        what, measured, predicted: as in `compare`.
        standard_error: of each measured value, estimated from nearly normal observations; broadcast with them.
        degrees: of freedom of that estimate: one less than the observations of a mean, `welch_degrees` for the
            difference of two; broadcast with the values.
        sample_size: observations behind each point, for the report.
        name: what was observed.
        false_alarm: chance that a true claim fails here, all points together.

    Raises:
        ValueError: as `compare`; or a false alarm that is not between 0 and 1.

    Example:
        >>> test = t_test("mean", [0.1, -0.2], 0, standard_error=0.1, degrees=19, sample_size=20, name="mean of 20")
        >>> test.holds, round(test.tolerance, 2), round(test.test.detectable, 2)
        (True, 0.63, 0.96)
    """
    measured, predicted, error, degrees = _flat(measured, predicted, standard_error, degrees)
    tail = _tail(what, false_alarm, error.size)
    quantiles = t.isf(tail, degrees)
    # A run that diverged has no standard error, and no deviation is allowed it: the comparison does not hold.
    known = np.isfinite(error) & np.isfinite(quantiles)
    tolerance = np.where(known, quantiles, 0.0) * np.where(known, error, 0.0)
    test = StatisticalTest(f"two-sided t-test, {name}", sample_size, false_alarm, math.nan)
    found = compare(what, measured, predicted, bound="statistical", tolerance=tolerance, test=test)
    worst = worst_point(measured, predicted, tolerance, "statistical")
    if known[worst]:
        detectable = float(error[worst]) * _noncentrality(tail, float(degrees[worst]))
        test = dataclasses.replace(test, detectable=detectable)
    return dataclasses.replace(found, test=test)


def binomial_test(
    what: str,
    share: ArrayLike,
    chance: ArrayLike,
    *,
    trials: int,
    name: str,
    false_alarm: float = FALSE_ALARM,
) -> Comparison:
    """Compare shares of successes with their chance by the exact two-sided binomial test at every point.

    Args:
        what: the quantity, in words.
        share: counted successes over trials.
        chance: of a success, in [0, 1]; broadcast with the shares.
        trials: independent trials behind each share.
        name: what was counted.
        false_alarm: chance that a true claim fails here, all points together; counts being whole, it is less.

    Raises:
        ValueError: as `compare`; a false alarm that is not between 0 and 1; or shares that are no counts.

    Example:
        >>> test = binomial_test("heads", [0.48, 0.55], 0.5, trials=100, name="tosses", false_alarm=0.05)
        >>> test.holds, round(test.tolerance, 3), round(test.test.detectable, 3)
        (True, 0.11, 0.222)
        >>> binomial_test("heads", 0.62, 0.5, trials=100, name="tosses", false_alarm=0.05).holds
        False
    """
    shares, chance = _flat(share, chance)
    tail = _tail(what, false_alarm, shares.size)
    counts = np.rint(shares * trials)
    if np.any(np.abs(shares * trials - counts) > _WHOLE * trials):  # NaN passes, and fails the comparison
        raise ValueError(f"{what}: share = {shares}; allowed: whole numbers of {trials} trials")
    # Counts from `least` to `most` are kept: beyond either, the chance is at most `tail`.
    most, least = binom.isf(tail, trials, chance), trials - binom.isf(tail, trials, 1 - chance)
    shares = counts / trials
    tolerance = np.where(shares >= chance, most / trials - chance, chance - least / trials)
    test = StatisticalTest(f"exact two-sided binomial test, {name}", trials, false_alarm, math.nan)
    tolerance = np.where(np.isfinite(tolerance), tolerance, 0.0)
    found = compare(what, shares, chance, bound="statistical", tolerance=tolerance, test=test)
    worst = worst_point(shares, chance, tolerance, "statistical")
    # Chances at which a count beyond the limits has the stated power (those of Clopper and Pearson).
    above = beta.ppf(DETECTION_POWER, most[worst] + 1, trials - most[worst]) - chance[worst]
    below = chance[worst] - beta.isf(DETECTION_POWER, least[worst], trials - least[worst] + 1)
    return dataclasses.replace(found, test=dataclasses.replace(test, detectable=float(max(above, below))))


def welch_degrees(first_error: ArrayLike, second_error: ArrayLike, sample_size: int) -> np.ndarray:
    """Degrees of freedom of a difference of two means of so many observations each (Welch and Satterthwaite).

    Args:
        first_error, second_error: standard errors of the means.
        sample_size: observations behind each mean, at least 2.

    Example:
        >>> welch_degrees([1.0, 1.0], [1.0, 0.0], sample_size=20).tolist()
        [38.0, 19.0]
    """
    first, second = (np.asarray(error, float) ** 2 for error in (first_error, second_error))
    return np.asarray((sample_size - 1) * (first + second) ** 2 / (first**2 + second**2))


def t_missed(shift: ArrayLike, quantile: float, degrees: float) -> np.ndarray:
    """Chance that a t-statistic does not exceed a critical value although there is a deviation.

    Args:
        shift: true deviation, in true standard errors; any shape.
        quantile: the critical value, in estimated standard errors.
        degrees: of freedom of the estimate.

    Example:
        >>> t_missed([0.0, 4.0], quantile=2.093, degrees=19).round(3).tolist()
        [0.975, 0.034]
    """
    # Given its estimate, the standardised deviation is normal; SciPy's noncentral t fails far from its centre.
    return np.asarray(
        ndtr(quantile * _estimates(degrees) - np.asarray(shift, float)[..., None]).mean(axis=-1)
    )


@functools.cache
def _noncentrality(tail: float, degrees: float) -> float:
    """True deviation, in true standard errors, that exceeds the critical value with `DETECTION_POWER`."""
    quantile = float(t.isf(tail, degrees))
    largest = quantile * float(_estimates(degrees)[-1]) + 10
    return float(
        brentq(lambda shift: 1 - DETECTION_POWER - float(t_missed(shift, quantile, degrees)), 0.0, largest)
    )


def _estimates(degrees: float) -> np.ndarray:
    """Estimates of a standard error, relative to the true one, each as likely as the next."""
    return np.asarray(np.sqrt(chi2.ppf((np.arange(_STRATA) + 0.5) / _STRATA, degrees) / degrees))


def _tail(what: str, false_alarm: float, points: int) -> float:
    """The chance that each side of each point has of a false alarm."""
    if not 0 < false_alarm < 1:
        raise ValueError(f"{what}: false_alarm = {false_alarm}; allowed: between 0 and 1")
    return false_alarm / (2 * max(points, 1))


def _flat(*parts: ArrayLike) -> list[np.ndarray]:
    """Arrays broadcast together, each as one row of floats."""
    return [part.ravel() for part in np.broadcast_arrays(*(np.asarray(part, float) for part in parts))]
