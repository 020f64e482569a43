"""Parse the command line, call the command, refuse bad input in one line."""

import contextlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Annotated, Protocol

import tyro

from promptfolio.cli.audit import Audit
from promptfolio.cli.bench import Bench
from promptfolio.cli.check import Check
from promptfolio.cli.clip import Clip
from promptfolio.cli.console import complain
from promptfolio.cli.derive import Derive
from promptfolio.cli.failures import BAD_INPUT, DEBUG, report
from promptfolio.cli.figures import Figures
from promptfolio.cli.former_flags import with_present_flags
from promptfolio.cli.mixing import Mixing
from promptfolio.cli.options import Compilation
from promptfolio.cli.plot import Plot
from promptfolio.cli.printable import one_line
from promptfolio.cli.reproduce import Reproduce
from promptfolio.cli.simulate import Simulate
from promptfolio.cli.sweep import Sweep
from promptfolio.processes.ending import is_command, reason
from promptfolio.processes.starting import spare_dask
from simulate.validation import ConfigurationError

Command = (
    Annotated[Reproduce, tyro.conf.subcommand("reproduce")]
    | Annotated[Simulate, tyro.conf.subcommand("simulate")]
    | Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Mixing, tyro.conf.subcommand("mixing")]
    | Annotated[Derive, tyro.conf.subcommand("derive")]
    | Annotated[Figures, tyro.conf.subcommand("figures")]
    | Annotated[Plot, tyro.conf.subcommand("plot")]
    | Annotated[Clip, tyro.conf.subcommand("clip")]
    | Annotated[Audit, tyro.conf.subcommand("audit")]
    | Annotated[Bench, tyro.conf.subcommand("bench")]
)

_DEBUG_FLAG = "--debug"
_LEAST_COLUMNS = 60


def run_command(arguments: Sequence[str]) -> int:
    """Parse and run one command; every exception that leaves it becomes one line on standard error.

    Args:
        arguments: words of the command line after the program's name. ``--debug`` may stand anywhere among them:
            then the traceback of an error is shown, too.

    Returns:
        The exit status, as `promptfolio.cli.main` has it.
    """
    DEBUG.set(_DEBUG_FLAG in arguments)
    try:
        command = _parse([word for word in arguments if word != _DEBUG_FLAG])
        if is_command() and _trains(command):
            spare_dask()
        return command.execute()
    except SystemExit as stop:
        if reason() is None:
            raise
        return report(stop)
    except BaseException as error:
        return report(error)


class _Executable(Protocol):
    def execute(self) -> int: ...


def _trains(command: _Executable) -> bool:
    """Whether a command has the options of those that train."""
    return any(isinstance(value, Compilation) for value in vars(command).values())


class _NotUnderstood(Exception):
    """The parser's message."""


def _parse(arguments: Sequence[str]) -> _Executable:
    try:
        return _read(arguments)
    except _NotUnderstood as refusal:
        complain(str(_clearer(arguments) or refusal))
        raise SystemExit(BAD_INPUT) from None


def _clearer(arguments: Sequence[str]) -> _NotUnderstood | None:
    """The parser's message on words of which every character can be shown; None if there is none.

    The parser repeats a value as it is, and characters such as a carriage return tear its message apart.
    """
    shown = [one_line(word) for word in arguments]
    try:
        _read(shown)
    except _NotUnderstood as refusal:
        return refusal
    except (SystemExit, ConfigurationError):
        return None
    return None


def _read(arguments: Sequence[str]) -> _Executable:
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint), _wide_enough():
            return tyro.cli(
                Command,
                prog="promptfolio",
                description=(
                    "Verify the feature-learning theory of federated prompt portfolios."
                    f" With {_DEBUG_FLAG}, any command shows the traceback of an error."
                ),
                args=with_present_flags(arguments),
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code == BAD_INPUT:
            raise _NotUnderstood(_first_paragraph(complaint.getvalue())) from None
        raise


@contextlib.contextmanager
def _wide_enough() -> Iterator[None]:
    """Context in which help is laid out in `_LEAST_COLUMNS` at least; in very few it would never be done."""
    before = os.environ.get("COLUMNS")
    if shutil.get_terminal_size().columns < _LEAST_COLUMNS:
        os.environ["COLUMNS"] = str(_LEAST_COLUMNS)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = before


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
