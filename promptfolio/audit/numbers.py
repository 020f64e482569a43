"""Numbers as the report writes them."""

from typing import Any

import numpy as np


def mean_and_spread(values: Any, digits: int) -> str:
    """Mean ± sample standard deviation; the mean alone for a single value.

    Example:
        >>> mean_and_spread([1.0, 2.0, 3.0], 1), mean_and_spread([0.5], 2)
        ('2.0 ± 1.0', '0.50')
    """
    numbers = np.ravel(np.asarray(values, float))
    mean = f"{numbers.mean():.{digits}f}"
    return f"{mean} ± {numbers.std(ddof=1):.{digits}f}" if numbers.size > 1 else mean


def points(difference: Any) -> str:
    """A difference of fractions in percentage points, signed.

    Example:
        >>> points(0.164)
        '+16.4'
    """
    return f"{100 * float(difference):+.1f}"


def scientific(value: Any) -> str:
    """A number of any size in three digits.

    Example:
        >>> scientific(0.00024), scientific(12)
        ('0.00024', '12')
    """
    return f"{float(value):.3g}"
