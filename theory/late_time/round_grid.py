"""Rounds at which the mean field of T32 is followed, and sums over all rounds between them.

The first rounds are nodes one by one, since a step may change margins by a lot; later nodes are apart by a growing
number of rounds, even in x(u) = log(1 + ηκu/2), along which what a round adds falls like 1/(2 + ηκu). A polynomial
in x through neighbouring nodes carries the rest, and the sum over rounds is taken round by round.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

SPACING = 0.3
"""Distance of late nodes in x."""
FIRST = 4
"""Rounds that are nodes whatever their distance."""
_POINTS = 4
_BLOCK = 2048


class RoundGrid(NamedTuple):
    """Nodes in time and the matrices that sum what rounds add.

    Attributes:
        rounds: the nodes, whole numbers from 0, shape (nodes,).
        sums: Σ over the rounds before each node, from values at the nodes; lower triangular, (nodes, nodes).
        reads: the same before each requested round, shape (requested, nodes).
    """

    rounds: Matrix
    sums: Matrix
    reads: Matrix


def round_grid(requested: Matrix, scaled_rate: float) -> RoundGrid:
    """Return the grid up to the last of the requested rounds.

    Let `requested` be increasing whole numbers and `scaled_rate` ηκ, by which margins grow in the first round times
    two.

    >>> grid = round_grid(np.array([1.0, 3.0]), 0.2)
    >>> grid.rounds.tolist(), grid.reads.tolist()
    ([0.0, 1.0, 2.0, 3.0], [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    """
    last = int(requested[-1])
    nodes = _nodes(last, scaled_rate)
    sums = np.zeros((nodes.size, nodes.size))
    reads = np.zeros((requested.size, nodes.size))
    for index in range(nodes.size - 1):
        start, stop = int(nodes[index]), int(nodes[index + 1])
        sums[index + 1] = sums[index] + _between(nodes, index, start, stop, scaled_rate)
        inside = np.flatnonzero((requested > start) & (requested <= stop))
        for place in inside:
            reads[place] = sums[index] + _between(nodes, index, start, int(requested[place]), scaled_rate)
    return RoundGrid(nodes, sums, reads)


def _nodes(last: int, scaled_rate: float) -> Matrix:
    end = np.log1p(scaled_rate * last / 2)
    count = int(np.ceil(end / SPACING)) + 1
    even = np.expm1(np.linspace(0, end, count)) * 2 / scaled_rate
    return np.unique(np.concatenate([np.arange(min(FIRST, last) + 1), np.round(even), [last]])).astype(
        np.float64
    )


def _between(nodes: Matrix, index: int, start: int, stop: int, scaled_rate: float) -> Matrix:
    """Σ_{start ≤ u < stop} of the interpolant in the interval after a node."""
    weights = np.zeros(nodes.size)
    if stop == start + 1 and start == nodes[index]:
        weights[index] = 1.0
        return weights
    rounds, count = _summed(start, stop)
    near = np.arange(max(0, index + 2 - _POINTS), index + 2)
    place, value = np.log1p(scaled_rate * rounds / 2), count / (2 + scaled_rate * rounds)
    at = np.log1p(scaled_rate * nodes[near] / 2)
    for i, node in enumerate(near):
        others = np.delete(at, i)
        polynomial = np.prod((place[:, None] - others) / (at[i] - others), axis=1)
        weights[node] = np.sum(polynomial * value) * (2 + scaled_rate * nodes[node])
    return weights


def _summed(start: int, stop: int) -> tuple[Matrix, Matrix]:
    """Rounds from start to stop − 1 and their weights; far apart, a Gauss-Legendre rule for their sum."""
    if stop - start <= _BLOCK:
        rounds = np.arange(start, stop, dtype=np.float64)
        return rounds, np.ones_like(rounds)
    points, weights = np.polynomial.legendre.leggauss(32)
    half = (stop - start) / 2
    return start - 0.5 + half * (1 + points), half * weights
