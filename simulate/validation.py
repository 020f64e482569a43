"""One kind of error for every bad input: it names the field, the value and what is allowed."""

import math
from collections.abc import Collection
from typing import Any


class ConfigurationError(ValueError):
    """A field holds a value that is not allowed.

    Attributes:
        field: name of the offending field, as its user wrote it.
        value: what was given.
        allowed: what would have been accepted, in words.
    """

    def __init__(self, field: str, value: object, allowed: str):
        super().__init__(f"{field} = {value!r} is not allowed: it must be {allowed}")
        self.field, self.value, self.allowed = field, value, allowed

    def __reduce__(self) -> tuple[Any, ...]:
        """How an error comes back from another process: from its parts, not from its message."""
        return type(self), (self.field, self.value, self.allowed)


def require_integer(field: str, value: Any, minimum: int) -> None:
    """Raise `ConfigurationError` unless ``value`` is an integer of at least ``minimum``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ConfigurationError(field, value, f"an integer >= {minimum}")


LARGEST_SEED = 2**32 - 1
"""Of 32 bits, all that a seed has in float32: there, a larger one would silently be another seed."""


def require_seed(field: str, value: Any) -> None:
    """Raise `ConfigurationError` unless ``value`` is an integer from 0 to `LARGEST_SEED`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED:
        raise ConfigurationError(field, value, f"an integer >= 0 and <= {LARGEST_SEED}")


def require_number(
    field: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Raise `ConfigurationError` unless ``value`` is a finite number inside the named limits."""
    allowed = "a finite number"
    if above is not None:
        allowed += f" > {above:g}"
    if at_least is not None:
        allowed += f" >= {at_least:g}"
    if at_most is not None:
        allowed += f" and <= {at_most:g}" if (above, at_least) != (None, None) else f" <= {at_most:g}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if (
        not is_number
        or (above is not None and value <= above)
        or (at_least is not None and value < at_least)
        or (at_most is not None and value > at_most)
    ):
        raise ConfigurationError(field, value, allowed)


def require_choice(field: str, value: Any, choices: Collection[str]) -> None:
    """Raise `ConfigurationError` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ConfigurationError(field, value, "one of " + ", ".join(choices))
