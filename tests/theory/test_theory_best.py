"""The one rule for the best place of a curve: ties, flat optima, exact ends, places between grid points."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.interpolate import CubicSpline

from theory.numerics.best import best_index, best_place

GRID = np.linspace(0, 1, 101)


@given(st.floats(-0.5, 1.5), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=100, deadline=None)
def test_the_peak_of_a_parabola_is_found_between_grid_points_and_its_ends_exactly(peak, curvature, level):
    best = best_place(GRID, level - curvature * (GRID - peak) ** 2, rounding=0)
    # rounding of the values at a level far above their differences moves the vertex
    unit = 1 + abs(level) / curvature
    # so close to an end, the end itself has the same value
    close = np.sqrt(np.finfo(float).eps * unit)
    allowed = close if min(abs(peak), abs(peak - 1)) <= close else 1e-11 * unit
    assert abs(best.place - np.clip(peak, 0, 1)) <= allowed
    if peak < -0.01:
        assert best.place == 0.0
    if peak > 1.01:
        assert best.place == 1.0


def test_curves_are_answered_one_by_one_in_their_shape():
    peaks = np.array([[0.1, 0.234], [1.2, -0.2]])
    best = best_place(GRID, -((GRID[:, None, None] - peaks) ** 2))
    assert_allclose(best.place, peaks.clip(0, 1), rtol=0, atol=1e-12)
    assert best.place[1].tolist() == [1.0, 0.0]
    assert not best.flat.any()
    assert best.position.tolist() == [[10, 23], [100, 0]]


@pytest.mark.parametrize(
    ("values", "place", "low", "high", "index"),
    [
        ([1, 1, 1, 1, 1], 0.5, 0.0, 1.0, 2),  # nothing to choose by
        ([0, 0, 1, 1, 1], 0.75, 0.5, 1.0, 3),
        ([1, 0, 1, 1, 1], 0.75, 0.0, 1.0, 3),  # the longest run, and all that ties
        ([1, 1, 1, 0, 1], 0.25, 0.0, 1.0, 1),
        ([np.inf, np.inf, np.inf, 1, 0], 0.25, 0.0, 0.5, 1),  # no errors at all
        ([np.inf, np.inf, 2, 1, 0], 0.125, 0.0, 0.25, 1),
    ],
)
@pytest.mark.parametrize("smooth", [True, False])
def test_ties_go_to_the_middle_and_are_called_flat(values, place, low, high, index, smooth):
    best = best_place(np.linspace(0, 1, 5), values, smooth=smooth)
    assert (best.place, best.low, best.high, best.position) == (place, low, high, index)
    assert best.flat
    assert best_index(values) == index


def test_two_equal_neighbours_are_one_peak_of_a_smooth_curve_and_a_tie_of_counts():
    values = [0.0, 1.0, 1.0, 0.0]
    places = [0.0, 0.2, 0.4, 0.6]
    assert not best_place(places, values).flat
    assert best_place(places, values).place == pytest.approx(0.3)
    assert best_place(places, values, smooth=False).flat
    assert best_place(places, [0.0, 1.0, 1.0, 0.9]).place == pytest.approx(0.3)


def test_equal_values_apart_are_two_peaks():
    best = best_place([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0, 0.5])
    assert best.flat
    assert [float(best.low), float(best.high)] == [0.2, 0.6]


@pytest.mark.parametrize(
    ("values", "place", "index"),
    [
        ("101010000000", 2.0, 2),  # the middle of what ties is 2, that of all places 5.5
        ("000000010101", 9.0, 9),
        ("111100111101", 7.5, 8),  # the runs' centres are 1.5 and 7.5, the middle of what ties is 5.2
        ("101111001111", 3.5, 4),
    ],
)
def test_of_equally_long_runs_the_nearest_to_the_middle_of_all_is_taken(values, place, index):
    counts = [float(value) for value in values]
    assert best_place(range(len(counts)), counts, smooth=False).place == place
    assert best_index(counts) == index


def test_counts_tie_only_where_they_are_equal():
    above = 1 + np.finfo(float).eps
    assert best_place([0, 1, 2, 3], [1.0, 1.0, above, 1.0], smooth=False).place == 2
    assert not best_place([0, 1, 2, 3], [1.0, 1.0, above, 1.0], smooth=False).flat
    assert best_place([0, 1, 2, 3], [1.0, 1.0, above, 1.0]).flat


@pytest.mark.parametrize("points", [3, 4, 7, 12])
def test_the_highest_point_of_the_spline_beside_the_best_value_is_found(points):
    """Rough curves, whose splines have several maxima beside the best value, against SciPy's roots."""
    random = np.random.default_rng(points)
    grid, curves = np.sort(random.uniform(0, 1, points)), random.normal(size=(points, 200))
    found = best_place(grid, curves)
    for column, index in enumerate(np.argmax(curves, axis=0)):
        spline = CubicSpline(grid, curves[:, column])
        low, high = grid[max(index - 1, 0)], grid[min(index + 1, points - 1)]
        roots = spline.derivative().roots(extrapolate=False)
        places = np.append(roots[(low <= roots) & (roots <= high)], grid[index])
        highest = spline(places).max()
        assert_allclose(spline(found.place[column]), highest, rtol=1e-9, atol=1e-9)
        assert low <= found.place[column] <= high


def test_rounding_decides_what_ties():
    values = 1 + 1e-16 * np.sin(50 * GRID)
    assert best_place(GRID, values).flat
    assert best_place(GRID, 1 + 1e-9 * GRID).place == 1.0
    assert best_place(GRID, 1 + 1e-9 * GRID, rounding=1e-6).flat


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_ties_are_relative_to_the_size_of_the_values(size):
    assert best_place(GRID, size * (1 + 1e-9 * GRID)).place == 1.0
    assert not best_place(GRID, size * (1 + 1e-9 * GRID)).flat
    assert best_place(GRID, size * (1 + 1e-16 * np.sin(50 * GRID))).flat
    assert best_place(GRID, size * (1 + 1e-9 * GRID), rounding=1e-6).flat


def test_an_end_is_best_where_the_spline_has_a_lower_maximum_beside_it():
    assert best_place(range(5), [-2.5, -1.2, 0.7, 1.2, 1.3]).place == 4.0
    assert best_place(range(5), [1.3, 1.2, 0.7, -1.2, -2.5]).place == 0.0


def test_a_place_beside_undefined_neighbours_stays_on_the_grid():
    best = best_place(np.linspace(0, 1, 5), [-np.inf, 0.0, -np.inf, -np.inf, -np.inf])
    assert best.place == 0.25
    assert not best.flat


@pytest.mark.parametrize(
    ("places", "values", "message"),
    [
        ([0, 1], [0.0, np.nan], "NaN"),
        ([0, 0], [0.0, 1.0], "increasing"),
        ([0, np.nan], [0.0, 1.0], "increasing"),
        ([0, 1, 2], [0.0, 1.0], "shapes"),
        ([], [], "shapes"),
    ],
)
def test_curves_that_have_no_best_place_are_refused(places, values, message):
    with pytest.raises(ValueError, match=message):
        best_place(places, values)


def test_a_negative_rounding_and_values_of_several_curves_are_refused():
    with pytest.raises(ValueError, match="rounding"):
        best_place([0, 1], [0.0, 1.0], rounding=-1e-3)
    with pytest.raises(ValueError, match="shape"):
        best_index([[0.0, 1.0]])
