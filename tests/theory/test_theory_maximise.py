"""The one maximiser over θ: as fine as it says, for many curves at once, and definite where values tie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from theory.numerics.maximise import maximise_over_mixing


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=5), st.integers(0, 6))
@settings(max_examples=60, deadline=None)
def test_every_peak_is_found_to_the_stated_spacing(peaks, refinements):
    top = np.array(peaks)
    found = maximise_over_mixing(lambda theta: -abs(theta[:, None] - top), refinements=refinements)
    assert_allclose(found, top.clip(0, 1), rtol=0, atol=10.0**-refinements / 100 * (1 + 1e-9))


def test_shapes_of_curves_are_kept():
    peaks = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    found = maximise_over_mixing(lambda theta: -((theta[:, None, None] - peaks) ** 2))
    assert_allclose(found, peaks, rtol=0, atol=1e-6)
    assert maximise_over_mixing(lambda theta: theta).shape == ()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros_like, 0.0),
        (lambda theta: np.minimum(theta, 0.305), 0.31),  # a plateau: the first point of the grid on it
        (lambda theta: abs(theta - 0.5), 0.0),  # both ends
    ],
)
def test_of_equal_values_the_smallest_on_the_grid_is_taken(values, expected):
    assert maximise_over_mixing(values) == pytest.approx(expected, abs=1e-15)


def test_a_coarse_grid_follows_the_highest_of_its_points():
    def peaks(theta):
        return np.exp(-(((theta - 0.2) / 0.03) ** 2)) + 1.5 * np.exp(-(((theta - 0.75) / 0.01) ** 2))

    assert maximise_over_mixing(peaks) == pytest.approx(0.75, abs=1e-6)
    assert maximise_over_mixing(peaks, grid_points=6) == pytest.approx(0.2, abs=1e-4)
