"""Certificates: true statements are proved, false ones are not, and the gaps agree with other arithmetic."""

import dataclasses
from fractions import Fraction
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from promptfolio.checks import certified
from promptfolio.checks.claim import Claim, Finding
from theory.dynamics.margin_kernel import exact_margins
from theory.dynamics.sample_sandwich import bounds, largest_spread
from theory.mixing.advantage import optimal_ratio_squared
from theory.mixing.moments import Moments
from theory.numerics import advantage_certificate, certificate
from theory.numerics.advantage_certificate import EXACT, certify_advantage
from theory.numerics.certificate import (
    certify_recursion,
    certify_samples,
)

# --- T10 ---


@given(c=st.floats(1e-6, 10.0), start=st.floats(-20, 20))
@settings(max_examples=60, deadline=None)
def test_recursion_is_proved(c, start):
    found = certify_recursion(c, start, 60)
    assert found.proved
    assert found.stated == 120
    assert found.smallest_gap > 0


@pytest.mark.parametrize(("c", "start"), [(0.3, 0.0), (4.0, -2.0), (8.0, 1.5)])
def test_recursion_gaps_against_lambert_w(c, start):
    steps = 40
    with mpmath.workdps(60):
        level, low, high = mpmath.mpf(start), [], []
        width = mpmath.mpf(c) / (1 + mpmath.exp(start))
        for t in range(1, steps + 1):
            level += mpmath.mpf(c) / (1 + mpmath.exp(level))
            energy = mpmath.mpf(c) * t + start + mpmath.exp(start)
            curve = energy - mpmath.lambertw(mpmath.exp(energy)).real
            low.append(level - curve)
            high.append(curve + width - level)
        true_gap = float(min(low + high))
    proved = certify_recursion(c, start, steps).smallest_gap
    # a lower bound by the mean value theorem, at worst with the largest slope in place of the mean one
    assert 0.2 * true_gap < proved <= true_gap
    sharp = float(1 - min(high) / width)  # the share of the width that is used
    assert certify_recursion(c, start, steps, width=sharp * 1.001).proved
    assert not certify_recursion(c, start, steps, width=sharp * 0.999).proved


def test_precision_rises_until_decided_and_no_further():
    assert certify_recursion(1.0, 0.0, 5).precision_bits == certificate.FIRST_PRECISION
    assert certify_recursion(3.0, 30.0, 50).precision_bits > certificate.FIRST_PRECISION
    hopeless = certify_recursion(0.5, 700.0, 50)  # gaps near 1e-305
    assert not hopeless.proved
    assert hopeless.precision_bits == certificate.LARGEST_PRECISION
    assert flint.ctx.prec == 53


def test_a_refuted_inequality_stops_the_search():
    found = certify_recursion(1.0, 0.0, 20, width=0.01)
    assert not found.proved
    assert 0 < found.shown < found.stated
    assert found.smallest_gap < 0
    assert found.precision_bits == certificate.FIRST_PRECISION


# --- T11 ---


def _case(seed=0, samples=6, overlap=0.3, steps=80):
    rng = np.random.default_rng(seed)
    noise = overlap * rng.normal(size=(samples, samples)) / samples
    kernel = np.diag(rng.uniform(1.0, 1.4, samples)) + noise + noise.T
    margins = exact_margins(kernel, 0.4, steps)
    return kernel, 0.4, largest_spread(margins) * (1 + 1e-9), steps, margins


@pytest.mark.parametrize("seed", range(5))
def test_samples_are_proved(seed):
    kernel, rate, spread, steps, margins = _case(seed)
    found = certify_samples(kernel, rate, spread, steps)
    assert found.proved
    assert found.stated == 2 * 6 + steps * (1 + 2 * 6)
    limits = bounds(kernel, rate, spread, steps)
    true_gap = min((margins - limits.lower)[1:].min(), (limits.upper - margins)[1:].min())
    assert 0.2 * true_gap < found.smallest_gap <= true_gap * (1 + 1e-9)


def test_false_statements_about_samples_are_not_proved():
    kernel, rate, spread, steps, _ = _case()
    assert certify_samples(kernel, rate, spread, steps).proved
    for factor in (0.0, 0.5, 0.999):
        assert not certify_samples(kernel, rate, factor * spread, steps).proved
    assert not certify_samples(kernel, 20 * rate, 100.0, steps).proved  # ηκ⁺ > 4
    opposed = np.array([[1.0, -2.0], [-2.0, 1.0]])  # κ⁻ < 0
    assert not certify_samples(opposed, 0.1, 1.0, 10).proved
    # the bounds themselves fail without the spread: the other sample's residual is not as large as one's own
    leaning = certify_samples([[1.0, 0.5], [0.0, 2.0]], 0.05, 1e-9, 200)
    assert leaning.shown < leaning.stated - 200
    assert leaning.smallest_gap < 0


def test_one_sample_is_the_recursion():
    alone = certify_samples([[2.0]], 0.5, 0.0, 30)
    assert alone.proved
    assert alone.smallest_gap == certify_recursion(1.0, 0.0, 30).smallest_gap


# --- T16 ---

_size = st.floats(0.01, 100.0)


@given(s_global=_size, s_local=_size, a=_size, b=_size, correlation=st.floats(-0.99, 0.99))
@settings(max_examples=150, deadline=None)
def test_advantage_is_proved(s_global, s_local, a, b, correlation):
    cross = correlation * np.sqrt(a * b)
    found = certify_advantage(Moments(s_global, s_local, a, b, cross))
    assert found.proved
    assert found.precision_bits == EXACT
    ratios = s_global / np.sqrt(a), s_local / np.sqrt(b)
    gain = optimal_ratio_squared(*ratios, cross / np.sqrt(a * b)) / max(ratios) ** 2 - 1
    if np.isfinite(found.smallest_gap) and gain > 1e-9:
        assert found.smallest_gap > 0
        assert_allclose(found.smallest_gap, gain, rtol=1e-5)


def test_equality_case_is_exact():
    a, b, c = Fraction(2), Fraction(5), Fraction(1, 3)
    equal = certify_advantage(Moments(Fraction(7), 7 * c / a, a, b, c))
    above = certify_advantage(Moments(Fraction(7), 7 * c / a + Fraction(1, 10**40), a, b, c))
    assert equal.proved
    assert np.isnan(equal.smallest_gap)
    assert above.proved
    assert 0 < above.smallest_gap < 1e-70


def test_gains_that_cancel_leave_no_mixing_to_divide_by():
    # s_L A − s_G C = −(s_G B − s_L C), whose sum is the denominator of T15's θ
    assert certify_advantage(Moments(1.0, 7.0, 1.0, 9.0, 2.0)).proved


@pytest.mark.parametrize("moments", [(1.0, 2.0, 1.0, 2.0, 0.25), (1.0, 0.125, 1.0, 2.0, 0.25)])
@pytest.mark.parametrize("which", range(4))
def test_a_planted_factor_is_noticed(monkeypatch, moments, which):
    true = advantage_certificate._in_moments()
    assert certify_advantage(Moments(*moments)).proved

    def planted(*values):
        return true[which](*values) * (Fraction(1000, 1001) if which < 2 else -1)

    functions = (*true[:which], planted, *true[which + 1 :])
    monkeypatch.setattr(advantage_certificate, "_in_moments", lambda: functions)
    # at an end point neither the place of the optimum nor the other prompt's gain is used
    unused = moments[1] == 0.125 and which in (1, 3)
    assert certify_advantage(Moments(*moments)).proved is unused


@pytest.mark.parametrize(
    "moments",
    [
        (0.0, 1.0, 1.0, 1.0, 0.0),
        (1.0, 1.0, -1.0, 1.0, 0.0),
        (1.0, 1.0, 1.0, 4.0, 2.0),
        (1.0, 1.0, 1.0, 4.0, -2.5),
    ],
)
def test_moments_outside_the_theorem_are_refused(moments):
    with pytest.raises(ValueError, match="allowed: positive signals and noise"):
        certify_advantage(Moments(*moments))


# --- in a claim ---


@pytest.mark.parametrize(("width", "verdict"), [(1.0, "holds"), (0.01, "fails")])
def test_a_claim_fails_with_an_inequality_that_is_not_proved(width, verdict):
    claim = Claim("sample", "T0", "derived", "A claim", "Something holds.", "exact")
    data = certified.record(
        xr.Dataset(), lambda: [certify_recursion(1.0), certify_recursion(1.0, width=width)]
    )
    assert Finding(claim, (certified.comparison(data),)).verdict == verdict


def test_a_certificate_that_states_nothing_is_refused_beside_one_that_does():
    one = certify_recursion(1.0)
    with pytest.raises(ValueError, match="at least one each"):
        certified.record(xr.Dataset(), lambda: [one, dataclasses.replace(one, stated=0)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: certify_recursion(0.0), "`c` is 0"),
        (lambda: certify_recursion(1.0, np.inf), "`initial_margin` is inf"),
        (lambda: certify_recursion(1.0, steps=0), "`steps` is 0"),
        (lambda: certify_recursion(1.0, width=-1.0), "`width` is -1"),
        (lambda: certify_samples([1.0], 0.1, 0.1, 3), "`kernel` has shape"),
        (lambda: certify_samples([[1.0]], 0.1, -0.1, 3), "`spread` is -0.1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_step_beyond_four_is_not_certified():
    assert certify_samples([[7.9]], 0.5, 0.0, 5).proved
    beyond = certify_samples([[8.1]], 0.5, 0.0, 5)
    assert (beyond.proved, beyond.stated - beyond.shown) == (False, 1)


def test_the_stated_bounds_are_those_of_the_theorem(monkeypatch):
    """What is proved to be positive is at most the distance of the margin from either curve, x and x + ηκ⁺/2."""
    seen: list[list[tuple[Any, bool]]] = []
    monkeypatch.setattr(certificate, "_decide", lambda _, gaps: seen.append(list(gaps())))
    c = 0.02
    certify_samples([[0.2]], 0.1, 0.0, 3)
    certify_recursion(c, steps=3)
    certify_recursion(c, 1.5, steps=3)
    for stated, start in zip(seen, (0.0, 0.0, 1.5), strict=True):
        upper = c / (1 + np.exp(start))
        bounds = [float(gap) for gap, is_bound in stated if is_bound]
        level = start
        for t in (1, 2, 3):
            level += c / (1 + np.exp(level))
            goal = c * t + start + np.exp(start)
            curve = brentq(lambda x, goal=goal: x + np.exp(x) - goal, -5, 5, xtol=1e-14)
            below, above = bounds[2 * t - 2 : 2 * t]
            assert 0 < below <= level - curve + 1e-13
            assert 0.9 * upper < above <= curve + upper - level + 1e-13
