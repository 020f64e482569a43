"""The best place of a curve that is known on a grid: ties, flat optima, end points and places between grid points.

Every θ* that is read off a curve is found here, the predicted and the measured ones by the same rule:

- values that tie with the greatest are all as good: the answer is the middle of the longest run of neighbours
  among them, so that neither end of the grid is favoured, and an optimum that is more than one place is called
  flat;
- on a smooth curve the maximum lies between grid points: it is that of the cubic spline through them, beside the
  best of them;
- a maximum at an end of the grid is that end exactly.

A curve must tell its places apart: accuracies round to 1 where ratios and logarithms of errors still differ.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from theory.numerics.validation import ArrayLike, nonnegative

ROUNDING = 16 * float(np.finfo(np.float64).eps)
"""Relative difference of two values of a formula that rounding alone may cause."""


class Best(NamedTuple):
    """Where a curve is greatest; arrays of the shape of the curves, or scalars for one curve.

    Attributes:
        place: the best place, between grid points on a smooth curve; the middle of several that tie.
        low, high: first and last of the places that tie with the best, equal to `place` where there is one.
        position: index of the grid point at the middle of the tied ones, for choices that must be on the grid.
        flat: whether several places tie, so that `place` is one of many.
    """

    place: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    position: NDArray[np.int64]
    flat: NDArray[np.bool_]


def best_index(values: ArrayLike, *, rounding: float = 0.0) -> int:
    """Index of the greatest of some values, shape (places,); of several the middle of their longest run.

    Let `rounding` be the relative difference below which two values tie.

    Raises:
        ValueError: no values, NaN among them, a negative rounding.

    >>> best_index([0.1, 0.7, 0.7, 0.7]), best_index([1.0, 1.0, 1.0])
    (2, 1)
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise ValueError(f"`values` has shape {found.shape}; allowed: (places,)")
    return int(best_place(np.arange(found.size), found, smooth=False, rounding=rounding).position)


def best_place(
    places: ArrayLike, values: ArrayLike, *, smooth: bool = True, rounding: float | None = None
) -> Best:
    """Where each curve is greatest; of several places the middle of their longest run of neighbours.

    Args:
        places: the grid, increasing; shape (places,).
        values: the curves on it; shape (places, …). Infinities are allowed.
        smooth: whether the curves are smooth, so that their maxima lie between grid points: one or two best
            points then stand for a peak, and three or more for a flat optimum. Otherwise (a count of correct
            answers, say) two equal values already tie.
        rounding: relative difference below which two values tie; None means `ROUNDING` for smooth curves and 0
            for others.

    Raises:
        ValueError: shapes that do not fit, no places, places that do not increase, NaN, a negative rounding.

    >>> theta = np.linspace(0, 1, 11)
    >>> best = best_place(theta, -((theta[:, None] - np.array([0.33, -1.0])) ** 2))
    >>> best.place.round(6).tolist(), best.flat.tolist()
    ([0.33, 0.0], [False, False])
    >>> level = best_place(theta, np.minimum(theta, 0.8), smooth=False)
    >>> float(level.place.round(6)), float(level.low), float(level.high), bool(level.flat)
    (0.9, 0.8, 1.0, True)
    """
    grid, curves = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 1 or curves.shape[:1] != grid.shape:
        raise ValueError(
            f"`places` and `values` have shapes {grid.shape} and {curves.shape}; allowed: (places,) and (places, …)"
            " with at least one place"
        )
    if not (np.diff(grid) > 0).all() or not np.isfinite(grid).all():
        raise ValueError("`places` is not increasing; allowed: finite, strictly increasing places")
    if np.isnan(curves).any():
        raise ValueError("`values` has NaN; allowed: numbers and infinities")
    if rounding is None:
        rounding = ROUNDING if smooth else 0.0
    tolerance = float(nonnegative("rounding", rounding))
    shape = curves.shape[1:]
    curves = curves.reshape(grid.size, -1)
    tied = ties(curves, tolerance)
    first, last = _longest_run(tied)
    place = (grid[first] + grid[last]) / 2
    low, high = grid[np.argmax(tied, axis=0)], grid[grid.size - 1 - np.argmax(tied[::-1], axis=0)]
    several = tied.sum(axis=0)
    flat = several > 1
    if smooth and grid.size > 2:
        # two neighbours that tie are the two sides of one peak
        peak = (several == last - first + 1) & (several <= 2) & np.isfinite(curves.max(axis=0))
        peak |= several == 1
        single = peak & (several == 1)
        place = np.where(single, _spline_peak(grid, curves, first), place)
        low, high, flat = np.where(peak, place, low), np.where(peak, place, high), flat & ~peak
    middle = first + (last - first + 1) // 2
    place, low, high = (part.reshape(shape)[()] for part in (place, low, high))
    return Best(place, low, high, middle.reshape(shape)[()], flat.reshape(shape)[()])


def ties(curves: NDArray[np.float64], rounding: float) -> NDArray[np.bool_]:
    """Which values of each curve tie with its greatest; curves of shape (places, …), without NaN."""
    greatest = curves.max(axis=0)
    with np.errstate(invalid="ignore"):
        near = curves >= greatest - rounding * np.abs(
            greatest
        )  # false at an infinity, which only equals itself
    return np.asarray((curves == greatest) | near)


def _spline_peak(
    grid: NDArray[np.float64], curves: NDArray[np.float64], index: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Place of the maximum, beside the best point, of the cubic spline through each curve.

    It is the best point itself where no maximum of the spline lies between it and its neighbours, as at the end
    of a curve that rises towards it, or where a curve has infinite values.

    Args:
        grid: at least three increasing places; shape (places,).
        curves: shape (places, curves).
        index: of each curve's best point; shape (curves,).
    """
    place, column = grid[index], np.arange(curves.shape[1])
    finite_curves = np.isfinite(curves).all(axis=0)
    spline = CubicSpline(grid, np.where(finite_curves, curves, 0.0))
    highest = spline.c[3, np.minimum(index, grid.size - 2), column]
    highest = np.where(index == grid.size - 1, np.where(finite_curves, curves[-1], 0.0), highest)
    for cell in (index - 1, index):
        exists = (cell >= 0) & (cell < grid.size - 1) & finite_curves
        at = np.clip(cell, 0, grid.size - 2)
        third, second, first, start = spline.c[:, at, column]
        with np.errstate(invalid="ignore", divide="ignore"):
            # of the roots of the slope the one at which the cubic curves down
            beyond = first / (np.sqrt(second**2 - 3 * third * first) - second)
        width = grid[at + 1] - grid[at]
        inside = exists & (beyond > 0) & (beyond < width)  # false where there is no root
        beyond = np.where(inside, beyond, 0.0)
        height = start + beyond * (first + beyond * (second + beyond * third))
        higher = inside & (height > highest)
        place, highest = np.where(higher, grid[at] + beyond, place), np.where(higher, height, highest)
    return place


def _longest_run(tied: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last index of the longest run of True in each column; of equals the nearest to their middle."""
    places = np.arange(tied.shape[0])[:, None]
    before = np.concatenate([np.zeros_like(tied[:1]), tied[:-1]])
    start = np.maximum.accumulate(np.where(tied & ~before, places, 0), axis=0)
    length = np.where(tied, places - start + 1, 0)  # of the run so far
    longest = length == length.max(axis=0)
    centre = (start + places) / 2
    middle = np.sum(np.where(tied, places, 0), axis=0) / np.sum(tied, axis=0)
    distance = np.where(longest, np.abs(centre - middle), np.inf)
    last = np.argmin(distance, axis=0)
    return start[last, np.arange(tied.shape[1])], last
