"""Exceptions in one line, for records, tables and messages."""

from simulate.results.finiteness import NonFiniteError
from simulate.validation import ConfigurationError


def described(error: BaseException) -> str:
    """An exception's kind and message, on one line; the kind alone when there is no message.

    Example:
        >>> described(ZeroDivisionError("division\\nby zero")), described(ValueError())
        ('ZeroDivisionError: division by zero', 'ValueError')
    """
    try:
        message = " ".join(str(error).split())
    except Exception as another:
        message = f"its message raises {type(another).__name__}"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def reason_of(error: BaseException) -> str:
    """`described`, without the kind where the message says it all.

    Example:
        >>> reason_of(ConfigurationError("rounds", 0, "an integer >= 1"))
        'rounds = 0 is not allowed: it must be an integer >= 1'
    """
    if isinstance(error, ConfigurationError | NonFiniteError):
        return " ".join(str(error).split())
    return described(error)
