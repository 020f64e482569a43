"""The maximiser over θ: a grid over [0, 1], then ever finer ones, for many curves at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 21
"""Points of every finer grid; from one grid to the next the spacing falls tenfold."""


def maximise_over_mixing(
    values: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    grid_points: int = 101,
    refinements: int = 4,
) -> NDArray[np.float64]:
    """Return the θ in [0, 1] at which each curve of `values(θ)` is largest.

    `values` maps an array of shape (thetas,) to one of shape (thetas, …). The first grid brackets the maximum of
    every curve, and each refinement looks at its surroundings with a tenth of the spacing, so that the answer
    lies within 10^-refinements/(grid_points − 1) of the maximum: 1e-6. A peak narrower than the first grid's
    spacing may be missed.

    Ties: of equally large values on the first grid the smallest θ is taken (0 for a flat curve), and a finer grid
    moves it only to a value that is strictly larger.

    Returns:
        Array of the shape (…).

    >>> maximise_over_mixing(lambda theta: -((theta[:, None] - np.array([0.25, 2.0])) ** 2)).round(6).tolist()
    [0.25, 1.0]
    """
    grid = np.linspace(0.0, 1.0, grid_points)
    coarse = values(grid)
    best = grid[np.argmax(coarse, axis=0)].ravel()
    curves, spacing = np.arange(best.size), grid[1]
    for _ in range(refinements):
        # one row of candidates for each curve, its present θ in the middle; all of them are evaluated together
        near = np.clip(best[:, None] + spacing * np.linspace(-1.0, 1.0, CANDIDATES), 0.0, 1.0)
        found = values(near.ravel()).reshape(*near.shape, -1)
        own = found[curves, :, curves]
        better = own.max(axis=1) > own[:, CANDIDATES // 2]
        best = np.where(better, near[curves, np.argmax(own, axis=1)], best)
        spacing = spacing / 10
    return best.reshape(coarse.shape[1:])
