"""Who trains on what, under every scheme, as matrices over the nodes of a time grid (T32).

A stream is what one margin gives to prompts: joint training has one, whose residuals train both prompts; post-hoc,
detached and fine-tuned training have one for the global and one for the local prompt.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.late_time.round_grid import RoundGrid

Matrix = NDArray[np.float64]


class Streams(NamedTuple):
    """A training scheme over the nodes of its streams, S in all, in the order in which they act on each other.

    Margins are those through prompts trained with full weight, times the weights of the scheme.

    Attributes:
        kinds: number of streams.
        steps: local steps of the round at each node, (S,).
        to_global: from what samples add in a round to what the global prompt holds, (nodes, S).
        by_global: from that to the margins at the start of a round, (S, nodes).
        by_own: from what the client's samples add to its margins, through its own prompt, (S, S).
        drift: the same within the round, while the global prompt is not averaged either, (S, S).
        reads: sums in the global and in the local prompt at the requested times, each (times, S).
    """

    kinds: int
    steps: NDArray[np.int64]
    to_global: Matrix
    by_global: Matrix
    by_own: Matrix
    drift: Matrix
    reads: tuple[Matrix, Matrix]


def one_stream(weights: tuple[float, float], grid: RoundGrid, local_steps: int) -> Streams:
    """Return joint training with the weights (w_G, w_L) = ((1−θ)², θ²).

    >>> from theory.late_time.round_grid import round_grid
    >>> one_stream((0.25, 0.25), round_grid(np.array([2.0]), 0.1), 1).by_own.tolist()
    [[0.0, 0.0, 0.0], [0.25, 0.0, 0.0], [0.25, 0.25, 0.0]]
    """
    unit = np.eye(grid.rounds.size)
    return Streams(
        kinds=1,
        steps=np.full(grid.rounds.size, local_steps),
        to_global=grid.sums,
        by_global=weights[0] * unit,
        by_own=weights[1] * grid.sums,
        drift=(weights[0] + weights[1]) * unit,
        reads=(grid.reads, grid.reads),
    )


def two_streams(seen: tuple[float, float], grid: RoundGrid, local_steps: int) -> Streams:
    """Return a global prompt that trains alone, and a local one that sees both with the weights `seen`.

    These are (0, 1) for post-hoc and (1−θ, θ²) for detached training.
    """
    unit, none = np.eye(grid.rounds.size), np.zeros((grid.rounds.size,) * 2)
    return Streams(
        kinds=2,
        steps=np.full(2 * grid.rounds.size, local_steps),
        to_global=np.hstack([grid.sums, none]),
        by_global=np.vstack([unit, seen[0] * unit]),
        by_own=np.block([[none, none], [none, seen[1] * grid.sums]]),
        drift=np.block([[unit, none], [seen[0] * unit, seen[1] * unit]]),
        reads=_apart(grid.reads, grid.reads),
    )


def one_after_the_other(rounds: RoundGrid, steps: RoundGrid, local_steps: int) -> Streams:
    """Return fine-tuning: a global prompt trained up to the last round, then s steps of every client on its own.

    The requested times are those of `steps`.
    """
    first, second = rounds.rounds.size, steps.rounds.size
    total = first + second
    to_global = np.hstack([rounds.sums, np.zeros((first, second))])
    by_global = np.zeros((total, first))
    by_global[:first] = np.eye(first)
    by_global[first:, -1] = 1.0
    by_own, drift = np.zeros((total, total)), np.zeros((total, total))
    by_own[first:, first:] = steps.sums
    drift[:first, :first] = np.eye(first)
    drift[first:, first:] = np.eye(second)
    held = np.broadcast_to(rounds.sums[-1], (steps.reads.shape[0], first))
    return Streams(
        kinds=2,
        steps=np.repeat([local_steps, 1], [first, second]),
        to_global=to_global,
        by_global=by_global,
        by_own=by_own,
        drift=drift,
        reads=_apart(held, steps.reads),
    )


def _apart(of_global: Matrix, of_local: Matrix) -> tuple[Matrix, Matrix]:
    return (
        np.hstack([of_global, np.zeros_like(of_local)]),
        np.hstack([np.zeros((of_local.shape[0], of_global.shape[1])), of_local]),
    )
