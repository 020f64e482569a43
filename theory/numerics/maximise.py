"""The maximiser over θ: a grid over [0, 1], then ever finer ones, for many curves at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from theory.numerics.best import ROUNDING, Best, best_place

CANDIDATES = 21
"""Points of every finer grid; from one grid to the next the spacing falls tenfold."""


def maximise_over_mixing(
    values: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    grid_points: int = 101,
    refinements: int = 4,
) -> Best:
    """Return the θ in [0, 1] at which each curve of `values(θ)` is largest, `Best.place`.

    `values` maps an array of shape (thetas,) to one of shape (thetas, …); it must tell neighbouring θ apart, so it
    is a ratio or the logarithm of an error, not an accuracy. The first grid brackets the maximum of every curve,
    and each refinement looks at its surroundings with a tenth of the spacing, so that the answer lies within
    10^-refinements/(grid_points − 1) of the maximum: 1e-6. Rounding of the values limits it to about 1e-7 where
    they are of the size of their curvature. A peak narrower than the first grid's spacing may be missed.

    Ties are those of `best.best_place` on the first grid: of three or more values that agree to rounding the middle
    is taken, and the optimum is called flat. A finer grid moves the answer only to a value that is larger beyond
    rounding, so a maximum at θ = 0 or 1 is that end exactly.

    Raises:
        ValueError: a value is NaN.

    >>> peaks = np.array([0.25, 2.0])
    >>> maximise_over_mixing(lambda theta: -((theta[:, None] - peaks) ** 2)).place.round(6).tolist()
    [0.25, 1.0]
    """
    grid = np.linspace(0.0, 1.0, grid_points)
    coarse = values(grid)
    shape = coarse.shape[1:]
    found = best_place(grid, coarse)
    # one row of candidates for each curve, its present θ in the middle; all of them are evaluated together
    best, flat = grid[found.position].ravel(), np.ravel(found.flat)
    curves, spacing = np.arange(best.size), 1.0 / (grid_points - 1)
    for _ in range(refinements):
        near = np.clip(best[:, None] + spacing * np.linspace(-1.0, 1.0, CANDIDATES), 0.0, 1.0)
        own = values(near.ravel()).reshape(*near.shape, -1)[curves, :, curves]
        if np.isnan(own).any():
            raise ValueError("`values` has NaN; allowed: numbers and infinities")
        middle = own[:, CANDIDATES // 2]
        with np.errstate(invalid="ignore"):  # nothing is larger than an infinity
            better = own.max(axis=1) > middle + ROUNDING * np.abs(middle)
        best = np.where(better, near[curves, np.argmax(own, axis=1)], best)
        spacing = spacing / 10
    place = np.where(found.flat, found.place, best.reshape(shape))[()]
    low, high = (np.where(found.flat, end, place)[()] for end in (found.low, found.high))
    return Best(place, low, high, found.position, flat.reshape(shape)[()])
