"""Parse the command line, call the command, refuse bad input in one line."""

import contextlib
import io
import sys
from collections.abc import Sequence
from typing import Annotated, Protocol

import tyro

from promptfolio.cli.audit import Audit
from promptfolio.cli.bench import Bench
from promptfolio.cli.check import Check
from promptfolio.cli.clip import Clip
from promptfolio.cli.derive import Derive
from promptfolio.cli.figures import Figures
from promptfolio.cli.former_flags import with_present_flags
from promptfolio.cli.mixing import Mixing
from promptfolio.cli.reproduce import Reproduce
from promptfolio.cli.simulate import Simulate
from promptfolio.cli.sweep import Sweep
from simulate.results.finiteness import NonFiniteError
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


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Parse and run one command.

    Args:
        arguments: words of the command line after the program's name; None takes the process's own.

    Returns:
        The exit status: 0, 1 when a claim or a derivation fails, 2 for bad input, 130 when interrupted.
    """
    try:
        return _parse(arguments).execute()
    except ConfigurationError as error:
        return _refuse(str(error))
    except NonFiniteError as error:
        print(f"promptfolio: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("promptfolio: interrupted", file=sys.stderr)
        return 130


class _Executable(Protocol):
    def execute(self) -> int: ...


def _parse(arguments: Sequence[str] | None) -> _Executable:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                Command,
                prog="promptfolio",
                description="Verify the feature-learning theory of federated prompt portfolios.",
                args=with_present_flags(sys.argv[1:] if arguments is None else arguments),
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code == _BAD_INPUT:
            sys.exit(_refuse(_first_paragraph(complaint.getvalue())))
        raise


def _first_paragraph(box: str) -> str:
    """The parser's message, without the box that is drawn around it and the help below it."""
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
