"""Accumulated residuals: what training has done to both prompts, and the rounds at which it is recorded."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.numerics.validation import Values, nonnegative


class Accumulated(NamedTuple):
    """Accumulated residuals τ of the global and the local prompt, in units of learning rate times steps."""

    global_prompt: Values
    local_prompt: Values


def increasing_rounds(rounds: Sequence[int] | NDArray[Any]) -> NDArray[np.float64]:
    """Return the rounds to record as float64, shape (rounds,), checked to be increasing whole numbers.

    Raises:
        ValueError: no rounds, or rounds that are negative, not whole or not increasing.

    >>> increasing_rounds([0, 5]).tolist()
    [0.0, 5.0]
    """
    values = nonnegative("rounds", rounds)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"`rounds` has shape {values.shape}; allowed: (rounds,), at least one")
    if np.any(values != np.round(values)) or np.any(np.diff(values) <= 0):
        raise ValueError(f"`rounds` is {values}; allowed: increasing whole numbers")
    return values
