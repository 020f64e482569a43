"""What becomes of an exception that a command raises: one line on standard error, and an exit status."""

import contextvars
import traceback

from promptfolio.cli.console import complain
from promptfolio.processes.ending import Ended, explanation, reason, say_why

DEBUG = contextvars.ContextVar("DEBUG", default=False)
"""Whether tracebacks are shown, as --debug asks."""

FAILED = 1
BAD_INPUT = 2
SIGNAL = 128
"""Added to the number of the signal that ended a command."""
_INTERRUPT, _BROKEN_PIPE = 2, 13
_HINT = "--debug shows the traceback"


def report(error: BaseException) -> int:
    """Print an exception in one line, with its traceback if asked for, and return the exit status."""
    if (number := reason()) is not None:  # whatever exception that has become on its way here
        say_why(number)
        return SIGNAL + number
    line, status = outcome(error)
    if DEBUG.get() and status in (FAILED, BAD_INPUT):
        traceback.print_exception(error)
    complain(line)
    return status


def outcome(error: BaseException) -> tuple[str, int]:
    """The line and the exit status for an exception that nothing else handled.

    Example:
        >>> outcome(ZeroDivisionError("division by zero"))
        ('ZeroDivisionError: division by zero (--debug shows the traceback)', 1)
        >>> outcome(KeyboardInterrupt())
        ('interrupted (SIGINT)', 130)
    """
    if isinstance(error, Ended):
        return str(error), SIGNAL + error.number
    if isinstance(error, KeyboardInterrupt):
        return explanation(_INTERRUPT), SIGNAL + _INTERRUPT
    if isinstance(error, BrokenPipeError):
        return explanation(_BROKEN_PIPE), SIGNAL + _BROKEN_PIPE
    from promptfolio.cli.settings_of_jax import refused_variable
    from promptfolio.error_text import described
    from simulate.results.finiteness import NonFiniteError
    from simulate.validation import ConfigurationError

    if isinstance(error, ConfigurationError):
        return str(error), BAD_INPUT
    if (refusal := refused_variable(error)) is not None:
        return str(refusal), BAD_INPUT
    if isinstance(error, NonFiniteError):
        return str(error), FAILED
    if _out_of_memory(error):
        return f"out of memory: {described(error)} ({_HINT})", FAILED
    return f"{described(error)} ({_HINT})", FAILED


def _out_of_memory(error: BaseException) -> bool:
    """Whether Python, or XLA in its own words, found no memory."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
