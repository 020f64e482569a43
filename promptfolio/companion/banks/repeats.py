"""Images that occur more than once in a bank: features of the same direction, whatever their length was."""

import numpy as np
from jaxtyping import Float, Int

SAME_DISTANCE = 2e-3
"""Unit features nearer than this are the same image's. Rounding to float16 moves a feature by about 3e-4; those of
different images are tens of times as far apart."""

_BLOCK, _CHUNK = 512, 4096
_POWER_STEPS = 4


def first_occurrences(features: Float[np.ndarray, "rows dim"]) -> Int[np.ndarray, " rows"]:
    """For each row the index of the first row within `SAME_DISTANCE` of it: its own where there is none before it.

    Rows are sorted by their component along one direction, in which rows of the same image cannot differ by more
    than they do altogether, and only neighbours in this order are compared, a block at a time. Memory beyond the
    features is a few numbers per row and a block's similarities.

    Args:
        features: rows of unit length, float32.

    Example:
        >>> first_occurrences(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0004]], np.float32)).tolist()
        [0, 1, 0]
    """
    rows = features.shape[0]
    first = np.arange(rows)
    component = np.asarray(features @ _widest_direction(features), np.float64)
    order = np.argsort(component, kind="stable")
    component = component[order]
    # A little wider than the distance itself: the components are sums in single precision.
    last = np.searchsorted(component, component + 1.1 * SAME_DISTANCE, side="right")
    for start in range(0, rows, _BLOCK):
        block = order[start : start + _BLOCK]
        end = last[min(start + _BLOCK, rows) - 1]
        for left in range(start, end, _CHUNK):
            chunk = order[left : min(left + _CHUNK, end)]
            same = features[block] @ features[chunk].T >= 1 - SAME_DISTANCE**2 / 2
            first[block] = np.minimum(first[block], np.where(same, chunk, rows).min(axis=1))
            first[chunk] = np.minimum(first[chunk], np.where(same, block[:, None], rows).min(axis=0))
    return first


def _widest_direction(features: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, " dim"]:
    """Roughly the direction in which the rows vary most, of unit length."""
    direction = np.random.default_rng(0).standard_normal((features.shape[1],), dtype=np.float32)
    mean = features.mean(axis=0)
    for _ in range(_POWER_STEPS):
        component = features @ direction - mean @ direction
        varied = component @ features - component.sum() * mean
        length = np.linalg.norm(varied)
        if length == 0:  # all rows are equal
            break
        direction = varied / length
    return direction / np.linalg.norm(direction)
