"""The command line: parse, call, report. `promptfolio --help` lists the commands."""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Annotated

import tyro

from commands.audit import Audit
from commands.bench import Bench
from commands.check import Check
from commands.clip import Clip
from commands.derive import Derive
from commands.figures import Figures
from commands.mixing import Mixing
from commands.reproduce import Reproduce
from commands.simulate import Simulate
from commands.sweep import Sweep
from simulate.validation import ConfigurationError

Command = (
    Annotated[Reproduce, tyro.conf.subcommand("reproduce")]
    | Annotated[Simulate, tyro.conf.subcommand("simulate")]
    | Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Mixing, tyro.conf.subcommand("mixing")]
    | Annotated[Derive, tyro.conf.subcommand("derive")]
    | Annotated[Figures, tyro.conf.subcommand("figures")]
    | Annotated[Clip, tyro.conf.subcommand("clip")]
    | Annotated[Audit, tyro.conf.subcommand("audit")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
)

_BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line after the program's name; None takes the process's own.

    Returns:
        The exit status: 0, 1 when a claim or a derivation fails, 2 for bad input, 130 when interrupted.
    """
    try:
        return _parse(arguments).execute()
    except ConfigurationError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("promptfolio: interrupted", file=sys.stderr)
        return 130


def _parse(
    arguments: Sequence[str] | None,
) -> Reproduce | Simulate | Sweep | Check | Mixing | Derive | Figures | Clip | Audit | Bench:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                Command,
                prog="promptfolio",
                description="Verify the feature-learning theory of federated prompt portfolios.",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code == _BAD_INPUT:
            sys.exit(_refuse(_first_paragraph(complaint.getvalue())))
        raise


def _first_paragraph(box: str) -> str:
    """The parser's own message, out of the box it is drawn in and without the help below it."""
    lines = []
    for line in box.splitlines():
        text = line.strip("│╭╮╰╯ ")
        if line.startswith("│") and set(text) <= {"─"}:
            break
        if line.startswith("│"):
            lines.append(text)
    return " ".join(lines) or " ".join(box.split())


def _refuse(reason: str) -> int:
    print(f"promptfolio: {reason}", file=sys.stderr)
    return _BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
