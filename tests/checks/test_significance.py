"""Tests keep their promises: they alarm as rarely as stated, and notice the deviation that they are said to detect.

Rates are counted over simulated data; each count has five standard deviations of its own binomial to both sides.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, t, ttest_ind

from promptfolio.checks.claim import Comparison, binomial_test, t_test, welch_degrees
from promptfolio.checks.significance import t_missed

ALARM, POWER = 0.05, 0.99
TRIES, POINTS = 1500, 5


def means(values: np.ndarray, **options: float) -> Comparison:
    """A t-test of the means of observations on the last axis against 0."""
    size = values.shape[-1]
    error = values.std(axis=-1, ddof=1) / np.sqrt(size)
    return t_test(
        "mean",
        values.mean(axis=-1),
        0,
        standard_error=error,
        degrees=size - 1,
        sample_size=size,
        name="draws",
        **options,
    )


def alarms(test: Callable[[np.ndarray], Comparison], data: np.ndarray) -> int:
    return sum(not test(one).holds for one in data)


def assert_rate(count: int, at_least: float, at_most: float) -> None:
    spread = 5 * np.sqrt(TRIES * max(at_most * (1 - at_most), 1 / TRIES))
    assert TRIES * at_least - spread <= count <= TRIES * at_most + spread


@pytest.mark.parametrize("size", [3, 20])
def test_a_t_test_alarms_and_detects_as_stated(size: int) -> None:
    random = np.random.default_rng(size)
    noise = random.normal(size=(TRIES, POINTS, size))

    def test(values: np.ndarray) -> Comparison:
        return means(values, false_alarm=ALARM)

    # Bonferroni is exact to first order: five independent points alarm in 4.9 %.
    assert_rate(alarms(test, noise), 1 - (1 - ALARM / POINTS) ** POINTS, ALARM)
    stated = t_test(
        "x",
        [0.0] * POINTS,
        0,
        standard_error=1,
        degrees=size - 1,
        sample_size=size,
        name="n",
        false_alarm=ALARM,
    )
    assert stated.test is not None
    noise[:, 0] += stated.test.detectable / np.sqrt(size)  # standard errors of a mean of such draws
    assert_rate(alarms(test, noise), POWER, 1.0)


def test_the_deviation_detected_is_that_of_the_worst_point() -> None:
    """The point closest to failing has the smaller of two errors: it shows a tenth of the other's deviation."""
    test = t_test(
        "x",
        [0.0, 3.0],
        0,
        standard_error=[10.0, 1.0],
        degrees=19,
        sample_size=20,
        name="n",
        false_alarm=ALARM,
    )
    alone = t_test(
        "x", 3.0, 0, standard_error=1.0, degrees=19, sample_size=20, name="n", false_alarm=ALARM / 2
    )
    assert test.test is not None
    assert alone.test is not None
    assert test.measured == 3.0
    assert test.test.detectable == pytest.approx(alone.test.detectable, rel=1e-12)


def test_a_small_sample_is_held_against_students_quantile() -> None:
    """At 20 observations a normal quantile for 1e-5 is passed by chance 45 times as often as stated."""
    tolerance = t_test("x", 0.0, 0, standard_error=1, degrees=19, sample_size=20, name="n").tolerance
    assert 2 * t.sf(tolerance, 19) == pytest.approx(1e-5)


def test_a_far_tail_is_as_rare_as_stated() -> None:
    """Two hundred thousand statistics at once, at a chance of 1e-3."""
    size, alarm = 20, 1e-3
    draws = np.random.default_rng(5).normal(size=(200_000, size))
    statistic = draws.mean(axis=-1) / (draws.std(axis=-1, ddof=1) / np.sqrt(size))
    options = {"standard_error": 1, "degrees": size - 1, "sample_size": size, "name": "n"}
    critical = t_test("x", 0.0, 0, false_alarm=alarm, **options).tolerance  # type: ignore[arg-type]
    expected = alarm * statistic.size
    assert np.sum(np.abs(statistic) > critical) == pytest.approx(expected, abs=5 * np.sqrt(expected))


def test_a_difference_of_means_has_welchs_degrees() -> None:
    random, size = np.random.default_rng(1), 12
    first, second = random.normal(size=(TRIES, size)), 5 * random.normal(size=(TRIES, size))
    errors = [values.std(axis=-1, ddof=1) / np.sqrt(size) for values in (first, second)]
    statistic = (first.mean(axis=-1) - second.mean(axis=-1)) / np.hypot(*errors)
    critical = t.isf(ALARM / 2, welch_degrees(errors[0], errors[1], size))
    found = int(np.sum(np.abs(statistic) > critical))
    assert_rate(found, 0.9 * ALARM, 1.1 * ALARM)


def test_welchs_degrees_are_those_of_scipy() -> None:
    random = np.random.default_rng(2)
    for scale in (0.3, 1.0, 7.0):
        samples = random.normal(size=8), scale * random.normal(size=8)
        errors = [values.std(ddof=1) / np.sqrt(8) for values in samples]
        expected = ttest_ind(*samples, equal_var=False).df
        np.testing.assert_allclose(welch_degrees(errors[0], errors[1], sample_size=8), expected, rtol=1e-12)


@pytest.mark.parametrize(("trials", "chance"), [(20, 0.5), (300, 0.93), (5000, 0.999), (100, 0.0004)])
def test_a_binomial_test_alarms_and_detects_as_stated(trials: int, chance: float) -> None:
    random = np.random.default_rng(trials)

    def test(counts: np.ndarray) -> Comparison:
        return binomial_test("share", counts / trials, chance, trials=trials, name="n", false_alarm=ALARM)

    null = random.binomial(trials, chance, (TRIES, POINTS))
    assert_rate(alarms(test, null), 0.0, ALARM)
    stated = test(np.full(POINTS, np.rint(trials * chance))).test
    assert stated is not None
    for side in (1, -1):
        moved = chance + side * stated.detectable
        if not 0 <= moved <= 1:
            continue
        null[:, 0] = random.binomial(trials, moved, TRIES)
        assert_rate(alarms(test, null), POWER, 1.0)


@pytest.mark.parametrize(
    ("trials", "chance", "counts"),
    [(10_000, 0.9995, range(9960, 10_001)), (10_000, 0.0005, range(41)), (60, 0.3, range(61))],
)
def test_a_binomial_test_keeps_exactly_the_counts_it_may(trials: int, chance: float, counts: range) -> None:
    """Against the cumulative sums of the distribution itself, at chances close to one, to zero and to neither."""
    alarm = 1e-5
    tails = np.minimum(
        binom.cdf(np.arange(trials + 1), trials, chance), binom.sf(np.arange(-1, trials), trials, chance)
    )
    for count in counts:
        kept = binomial_test("x", count / trials, chance, trials=trials, name="n").holds
        assert kept == (tails[count] > alarm / 2)


def test_certain_events_leave_nothing_to_chance() -> None:
    assert binomial_test("x", [1.0, 0.0], [1.0, 0.0], trials=9, name="n").holds
    assert not binomial_test("x", 8 / 9, 1.0, trials=9, name="n").holds


def test_a_share_must_be_a_count() -> None:
    with pytest.raises(ValueError, match="whole numbers of 9 trials"):
        binomial_test("x", 0.5, 0.5, trials=9, name="n")


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_what_diverged_does_not_hold(error: float) -> None:
    options = {"degrees": 4, "sample_size": 5, "name": "n"}
    assert not t_test("x", [0.0, 1.0], 0, standard_error=[1.0, error], **options).holds  # type: ignore[arg-type]
    found = t_test("x", [0.1, math.nan], 0, standard_error=[0.1, error], **options)  # type: ignore[arg-type]
    assert not found.holds
    assert math.isnan(found.measured)
    assert not binomial_test("x", math.nan, 0.5, trials=5, name="n").holds


@pytest.mark.parametrize("chance", [0.0, 1.0, math.nan])
def test_a_false_alarm_is_a_chance(chance: float) -> None:
    with pytest.raises(ValueError, match="false_alarm"):
        t_test("x", 1, 0, standard_error=1, degrees=4, sample_size=5, name="n", false_alarm=chance)
    with pytest.raises(ValueError, match="false_alarm"):
        binomial_test("x", 1, 0.5, trials=5, name="n", false_alarm=chance)


def test_misses_are_those_of_the_noncentral_distribution() -> None:
    draws = np.random.default_rng(2).normal(size=(20_000, 8))
    statistic = (draws.mean(axis=-1) + 3 / np.sqrt(8)) / (draws.std(axis=-1, ddof=1) / np.sqrt(8))
    assert float(t_missed(3.0, 2.5, 7)) == pytest.approx(
        np.mean(statistic <= 2.5), abs=5 * 0.5 / np.sqrt(TRIES)
    )
