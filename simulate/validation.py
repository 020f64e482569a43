"""One kind of error for every bad input: it names the field, the value and what is allowed."""

import math
from collections.abc import Collection
from typing import Any

LARGEST_INTEGER = 2**31 - 1
"""Of every count and number of rounds, unless a field has a smaller limit: compiled loops count in 32 bits."""

_LONGEST = 120
"""Characters of a value in a message; longer ones are shortened."""


class ConfigurationError(ValueError):
    """A field holds a value that is not allowed.

    Attributes:
        field: name of the offending field, as its user wrote it.
        value: what was given.
        allowed: what would have been accepted, in words.
    """

    def __init__(self, field: str, value: object, allowed: str):
        super().__init__(f"{field} = {_shown(value)} is not allowed: it must be {allowed}")
        self.field, self.value, self.allowed = field, value, allowed

    def __reduce__(self) -> tuple[Any, ...]:
        """How an error comes back from another process: from its parts, not from its message."""
        return type(self), (self.field, self.value, self.allowed)


def require_integer(field: str, value: Any, minimum: int, maximum: int = LARGEST_INTEGER) -> None:
    """Raise `ConfigurationError` unless ``value`` is an integer from ``minimum`` to ``maximum``."""
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        # The general limit is named only to those who meet it.
        too_large = isinstance(value, int) and value > maximum
        limit = f" and <= {maximum}" if too_large or maximum != LARGEST_INTEGER else ""
        raise ConfigurationError(field, value, f"an integer >= {minimum}{limit}")


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
    if (
        not _is_finite(value)
        or (above is not None and value <= above)
        or (at_least is not None and value < at_least)
        or (at_most is not None and value > at_most)
    ):
        raise ConfigurationError(field, value, allowed)


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def require_choice(field: str, value: Any, choices: Collection[str]) -> None:
    """Raise `ConfigurationError` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ConfigurationError(field, value, "one of " + ", ".join(choices))


def _shown(value: object) -> str:
    """A value in a message: on one line and not longer than a reader would read."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 3 * _LONGEST:
        # Python refuses to write integers of thousands of digits in decimals.
        return f"an integer of {int(value.bit_length() * math.log10(2)) + 1} digits"
    text = repr(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 4 :]}"
