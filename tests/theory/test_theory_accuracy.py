"""T7 against quadrature, high precision and sampling."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import quad

from theory.model import accuracy as module
from theory.model.accuracy import accuracy, log_error, mean_log_error, ratio
from theory.proof.derivation import as_function


@pytest.mark.parametrize("value", [-3.0, -0.5, 0.0, 0.7, 2.5])
def test_accuracy_by_quadrature(value):
    integral, _ = quad(
        lambda x: np.exp(-((x - value) ** 2) / 2) / np.sqrt(2 * np.pi), 0, np.inf, epsabs=1e-13
    )
    assert_allclose(accuracy(value), integral, rtol=1e-10)


@given(st.floats(-37, 37))
@settings(deadline=None)
def test_both_tails_keep_relative_accuracy(value):
    with mpmath.workdps(40):
        # 1e-12: near R = −37 one rounding of R changes Φ by R² 1e-16 relative
        assert_allclose(accuracy(value), float(mpmath.ncdf(value)), rtol=1e-12)
        # whichever tail is small is the one mpmath resolves in 40 digits
        small = mpmath.ncdf(-abs(value))
        log_of_error = mpmath.log(small) if value > 0 else mpmath.log1p(-small)
        assert_allclose(log_error(value), float(log_of_error), rtol=1e-12)


def test_stable_twin_matches_the_derived_expression():
    values = np.linspace(-5, 8, 101)
    symbol, expression = module.formula()
    # the derived 1 + erf cancels to 1e-16 absolute, so compare absolutely
    assert_allclose(accuracy(values), as_function((symbol,), expression)(values), rtol=0, atol=3e-16)


def test_extreme_values():
    assert accuracy([-np.inf, np.inf]).tolist() == [0.0, 1.0]
    assert_allclose(log_error(1e4), -(1e8) / 2 - np.log(1e4 * np.sqrt(2 * np.pi)), rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), (0, 2)])
def test_errors_are_averaged_over_the_named_axes_only(axis):
    ratios = np.random.default_rng(4).normal(1, 1, (2, 3, 5))
    expected = np.log(np.mean(1 - accuracy(ratios), axis=axis))
    assert_allclose(mean_log_error(ratios, axis=axis), expected, rtol=1e-12)


def test_ratio_at_the_edges():
    assert ratio([0.0, 2.0, -2.0, 3.0], [0.0, 0.0, 0.0, 1.5], 2.0).tolist() == [0.0, np.inf, -np.inf, 1.0]
    assert accuracy(ratio(0.0, 0.0, 1.0)) == 0.5


def test_accuracy_of_an_arbitrary_mixture_by_sampling():
    rng = np.random.default_rng(3)
    draws, dim, sigma = 200_000, 5, 1.3
    mixed, signal = rng.normal(size=dim), 1.1
    labels = rng.choice([-1.0, 1.0], draws)
    logits = labels * signal + sigma * rng.normal(size=(draws, dim)) @ mixed
    measured = (labels * logits > 0).mean()
    predicted = accuracy(ratio(signal, np.linalg.norm(mixed), sigma))
    # five binomial standard errors of 200000 draws
    assert abs(measured - predicted) < 5 * np.sqrt(0.25 / draws)
