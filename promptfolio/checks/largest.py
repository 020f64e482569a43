"""The largest of many numbers, which one that is no number does not slip past."""

import numpy as np
from numpy.typing import ArrayLike


def largest(*parts: ArrayLike) -> float:
    """The largest number of arrays of any shapes; NaN where one of them is NaN.

    xarray's maximum leaves NaN out, and Python's depends on the order.

    Raises:
        ValueError: there is no number.

    Example:
        >>> largest([1.0, 3.0], 2.0), largest(1.0, [float("nan"), 2.0])
        (3.0, nan)
    """
    return float(np.max([np.max(np.asarray(part, float)) for part in parts]))
