"""Environment variables that JAX refuses: what is bad input, though the exception is JAX's own."""

import os
import re
import traceback
from collections.abc import Mapping

from promptfolio.error_text import described
from simulate.validation import ConfigurationError

_PREFIX = "JAX"
_READER = "jax._src.config"
"""JAX's module that reads its variables, when `jax` is imported."""


def refused_variable(
    error: BaseException, environment: Mapping[str, str] = os.environ
) -> ConfigurationError | None:
    """The refusal that an exception of JAX's stands for; None for any other exception.

    Args:
        error: as it left a command. JAX names the variable, as it is or in lower case, or quotes its value.
        environment: variables of the process.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not isinstance(error, ValueError) or not frames or frames[-1].f_globals.get("__name__") != _READER:
        return None
    message = str(error)
    words = {word.upper() for word in re.findall(r"\w+", message)}
    named = [name for name in environment if name in words]
    quoted = [
        name for name, value in environment.items() if name.startswith(_PREFIX) and repr(value) in message
    ]
    for name in (*named, *quoted):
        return ConfigurationError(name, environment[name], f"a value that JAX takes ({described(error)})")
    return None
