"""The command line's commands: each parses into a dataclass, calls the library, saves and reports.

Modules here import the library inside their `execute` methods, so that help and bad arguments answer at once.
"""

import sys
from collections.abc import Sequence

from promptfolio.cli.shadowing import shadowed_package

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line after the program's name; None takes the process's own.

    Returns:
        The exit status: 0, 1 when a claim or a derivation fails, 2 for bad input, 130 when interrupted.
    """
    if complaint := shadowed_package():
        print(f"promptfolio: {complaint}", file=sys.stderr)
        return 2
    from promptfolio.cli.application import run_command

    return run_command(arguments)
