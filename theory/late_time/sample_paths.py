"""One training sample along paths of its random margin, and its response to the margin (T32).

At node b a sample adds d_b = f(u_b) to its prompt's residuals, in one round; u_b is its margin at the start of the
round, and contains what the sample did before. In a round of several steps its own noise adds λ to the margin per
unit of what it has done in the round, and the client's other samples an offset that is known for every step.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Matrix = NDArray[np.float64]

_NEWTON = 60
_SETTLED = 1e-9


class Round(NamedTuple):
    """What happens in the round of one node, for each of a batch of samples.

    Attributes:
        rate: η.
        offset: what the client's other samples have added to the margin before each local step, (batch, steps).
        own: λ, margin per unit of the sample's own sum in this round, (batch,).
    """

    rate: float
    offset: Matrix
    own: Matrix


class Sum(NamedTuple):
    """What samples add in a round and its slope in the margin, (batch, paths); `before` has it before each step."""

    total: Matrix
    slope: Matrix
    before: list[Matrix]


def round_sum(margin: Matrix, now: Round) -> Sum:
    """Return what samples with margins u at the start of a round add in it; u has shape (batch, paths).

    >>> round_sum(np.zeros((1, 1)), Round(0.5, np.zeros((1, 2)), np.zeros(1))).total.tolist()
    [[0.5]]
    """
    own, total, slope = now.own[:, None], np.zeros_like(margin), np.zeros_like(margin)
    before = []
    for step in range(now.offset.shape[1]):
        before.append(total)
        residual = expit(-(margin + own * total + now.offset[:, step, None]))
        slope = slope - now.rate * residual * (1 - residual) * (1 + own * slope)
        total = total + now.rate * residual
    return Sum(total, slope, before)


class Followed(NamedTuple):
    """Samples along their paths.

    Attributes:
        added: d at every node, (batch, nodes, paths).
        response: −E ∂d/∂u over the paths, (batch, nodes, nodes): by node of d, then of u.
        profile: for each node, mean share of the round's sum before each step, (batch, steps).
    """

    added: Matrix
    response: Matrix
    profile: list[Matrix]


def follow(fields: Matrix, memory: Matrix, chance: Matrix, rounds: list[Round], guess: Matrix) -> Followed:
    """Solve d_b = f(u_b) with u = field + memory · d, node by node.

    Let `fields` be of shape (batch, nodes, paths); `memory`, the margin per unit of d, (batch, nodes, nodes) and
    lower triangular; `chance` the weights of the paths, `rounds` one for each node, and `guess` a first d.
    """
    batch, nodes, paths = fields.shape
    added = np.zeros((batch, nodes, paths))
    slopes = np.zeros((batch, nodes, nodes, paths))  # by node of u, then of d
    profile = []
    for b, now in enumerate(rounds):
        base = fields[:, b] + np.matmul(memory[:, b, None, :b], added[:, :b])[:, 0]
        itself = memory[:, b, b, None]
        added[:, b] = _balance(base, itself, now, guess[:, b])
        total, slope, before = round_sum(base + itself * added[:, b], now)
        slope = slope / (1 - slope * itself)
        if b:
            earlier = np.matmul(memory[:, None, b, None, :b], slopes[:, :b, :b])[:, :, 0]
            slopes[:, :b, b] = slope[:, None] * earlier
        slopes[:, b, b] = slope
        mean = total @ chance
        profile.append(np.stack([part @ chance / mean for part in before], axis=1))
    return Followed(added, -np.swapaxes(slopes @ chance, 1, 2), profile)


def _balance(base: Matrix, itself: Matrix, now: Round, guess: Matrix) -> Matrix:
    """Solve d = f(base + itself · d) by Newton's method, kept between bounds."""
    if not np.any(itself):
        return round_sum(base, now).total
    largest = now.rate * now.offset.shape[1]
    low, high = np.zeros_like(base), np.full_like(base, largest)
    d = guess
    for _ in range(_NEWTON):
        found = round_sum(base + itself * d, now)
        wrong = d - found.total
        low, high = np.where(wrong < 0, d, low), np.where(wrong > 0, d, high)
        step = d - wrong / (1 - found.slope * itself)
        new = np.where((step < low) | (step > high), (low + high) / 2, step)
        moved = np.max(np.abs(new - d))
        d = new
        if moved <= _SETTLED * largest:
            break
    return d
