"""Validation of numeric arguments, shared by every public function of this package."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:
    # run-time type checkers refuse a float for NumPy's alias; `np.asarray` refuses what is not a number
    ArrayLike = Any

Values: TypeAlias = NDArray[np.float64] | np.float64
"""What public functions return: a float64 array, or a float64 scalar when every argument is a scalar."""


def between(
    name: str,
    value: ArrayLike,
    low: ArrayLike = -np.inf,
    high: ArrayLike = np.inf,
    *,
    open_low: bool = False,
    finite: bool = True,
) -> NDArray[np.float64]:
    """Return `value` as float64 after checking that every entry lies in the interval from `low` to `high`.

    Raises:
        ValueError: naming the field, the first offending value and what is allowed. NaN is never allowed.

    >>> between("mixing", 0.25, 0, 1)
    array(0.25)
    >>> between("samples", [10, 0], 1)
    Traceback (most recent call last):
    ...
    ValueError: `samples` is 0.0; allowed: finite numbers at least 1
    """
    values = np.asarray(value, dtype=np.float64)
    lower, upper = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    inside = (values > lower if open_low else values >= lower) & (values <= upper)
    if finite:
        inside = inside & np.isfinite(values)
    if not np.all(inside):
        offending = np.broadcast_to(values, np.shape(inside))[~inside][0]
        raise ValueError(f"`{name}` is {offending}; allowed: {_describe(lower, upper, open_low, finite)}")
    return values


def positive(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return `value` as float64 after checking that it is finite and positive.

    >>> positive("learning_rate", 0.1)
    array(0.1)
    """
    return between(name, value, 0, open_low=True)


def nonnegative(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return `value` as float64 after checking that it is finite and at least zero.

    >>> nonnegative("step", [0, 1])
    array([0., 1.])
    """
    return between(name, value, 0)


def unit_interval(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return `value` as float64 after checking that it lies in [0, 1].

    >>> unit_interval("theta", 1)
    array(1.)
    """
    return between(name, value, 0, 1)


def finite(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return `value` as float64 after checking that it is finite.

    >>> finite("signal", -2)
    array(-2.)
    """
    return between(name, value)


def checked_group_size(group_size: ArrayLike, clients: ArrayLike, *, symmetric: bool) -> NDArray[np.float64]:
    """Return the group size χ as float64 after checking it against the number of clients K.

    χ_k sums ⟨ν_s(k), ν_s(k')⟩/‖ν‖² over the K clients, the client itself contributing 1 and the others
    between -1 and 1, so 2-K ≤ χ_k ≤ K; when every client has the same χ it is also nonnegative.

    >>> checked_group_size(2, 4, symmetric=True)
    array(2.)
    """
    count = np.asarray(clients, dtype=np.float64)
    return between("group_size", group_size, np.maximum(2 - count, 0) if symmetric else 2 - count, count)


def result(values: ArrayLike) -> Values:
    """Return float64 values: an array, or a scalar for zero dimensions.

    >>> float(result(1))
    1.0
    """
    answer: Values = np.asarray(values, dtype=np.float64)[()]
    return answer


def _describe(low: NDArray[np.float64], high: NDArray[np.float64], open_low: bool, finite: bool) -> str:
    numbers = "finite numbers" if finite else "numbers"
    if low.ndim or high.ndim:
        return f"{numbers} from the matching one of {low} to the matching one of {high}"
    at_least = f"{'above' if open_low else 'at least'} {low:g}"
    if np.isfinite(low) and np.isfinite(high):
        return (
            f"{numbers} {at_least} and at most {high:g}"
            if open_low
            else f"{numbers} from {low:g} to {high:g}"
        )
    if np.isfinite(low):
        return f"{numbers} {at_least}"
    return f"{numbers} at most {high:g}" if np.isfinite(high) else numbers
