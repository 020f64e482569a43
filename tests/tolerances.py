"""Largest acceptable relative difference between two computations of the same number, by precision.

Each is a few hundred roundings: what tens of training steps accumulate when sums run in another order.
"""

from collections.abc import Hashable

import numpy as np
from numpy.typing import ArrayLike

RELATIVE = {"float64": 1e-9, "float32": 1e-4}


def assert_agree(found: ArrayLike, expected: ArrayLike, relative: float, name: Hashable = "") -> None:
    """Two computations agree: each number, and one near zero by comparison with the largest."""
    actual, desired = np.asarray(found), np.asarray(expected)
    largest = float(np.abs(desired).max())
    np.testing.assert_allclose(actual, desired, rtol=relative, atol=relative * largest, err_msg=str(name))
