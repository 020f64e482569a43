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
    found = maximise_over_mixing(lambda theta: -abs(theta[:, None] - top), refinements=refinements).place
    assert_allclose(found, top.clip(0, 1), rtol=0, atol=10.0**-refinements / 100 * (1 + 1e-9))


@pytest.mark.parametrize("steep", [-1.0, 1.0])
def test_a_lopsided_peak_is_found_a_whole_spacing_from_the_best_grid_point(steep):
    """On one side a hundred times as steep: the best of the first grid lies almost one spacing from the peak."""
    peaks = np.array([0.3099, 0.3001, 0.305])

    def values(theta):
        away = steep * (theta[:, None] - peaks)
        return -np.where(away > 0, 100 * away, -away)

    assert_allclose(maximise_over_mixing(values).place, peaks, rtol=0, atol=1e-6)


def test_rounding_moves_no_maximum_from_its_end():
    """The curve falls by less than rounding over the finer grids, which vary by rounding."""

    def values(theta):
        return 3 - theta**4 + 1e-15 * np.sin(1e9 * theta)

    assert float(maximise_over_mixing(values).place) == 0.0


def test_shapes_of_curves_are_kept():
    peaks = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    found = maximise_over_mixing(lambda theta: -((theta[:, None, None] - peaks) ** 2)).place
    assert_allclose(found, peaks, rtol=0, atol=1e-6)
    assert np.shape(maximise_over_mixing(lambda theta: theta).place) == ()


@pytest.mark.parametrize(
    ("values", "place", "low", "high"),
    [
        (np.zeros_like, 0.5, 0.0, 1.0),
        (lambda theta: 0.1 + 1e-17 * np.sin(40 * theta), 0.5, 0.0, 1.0),  # rounding is no preference
        (lambda theta: np.minimum(theta, 0.305), 0.655, 0.31, 1.0),  # a plateau
        (lambda theta: abs(theta - 0.5), 0.0, 0.0, 1.0),  # both ends
        (lambda theta: np.where(theta < 0.605, np.inf, 0.0), 0.3, 0.0, 0.6),
    ],
)
def test_of_equal_values_the_middle_is_taken_and_the_optimum_is_called_flat(values, place, low, high):
    best = maximise_over_mixing(values)
    assert [best.place, best.low, best.high] == pytest.approx([place, low, high], abs=1e-15)
    assert best.flat


@pytest.mark.parametrize("power", [1, 2, 4])
def test_a_maximum_at_an_end_is_that_end_however_flat_the_curve_is_there(power):
    left = maximise_over_mixing(lambda theta: 1 - theta**power)
    right = maximise_over_mixing(lambda theta: 1 - (1 - theta) ** power)
    assert [float(left.place), float(right.place)] == [0.0, 1.0]
    assert not left.flat
    assert not right.flat


def test_undefined_values_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        maximise_over_mixing(lambda theta: np.where(theta > 0.5, np.nan, theta))


def test_a_coarse_grid_follows_the_highest_of_its_points():
    def peaks(theta):
        return np.exp(-(((theta - 0.2) / 0.03) ** 2)) + 1.5 * np.exp(-(((theta - 0.75) / 0.01) ** 2))

    assert maximise_over_mixing(peaks).place == pytest.approx(0.75, abs=1e-6)
    assert maximise_over_mixing(peaks, grid_points=6).place == pytest.approx(0.2, abs=1e-4)
