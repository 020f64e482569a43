"""Output to read: tables on standard output, progress and what a user must know on standard error.

Text is shown as it is: brackets are no markup, and what a terminal would obey is escaped.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from promptfolio.cli.output import STANDARD_OUTPUT
from promptfolio.cli.printable import encodable, one_line
from promptfolio.processes.ending import cleaned_up

_VERDICT_STYLES = {"holds": "green", "fails": "bold red", "not applicable": "yellow", "error": "bold red"}

# Output to a file or a pipe need not fit a screen, and tables must not lose digits.
_FILE_WIDTH = 160
_LEAST_WIDTH = 20
_LEAST_TEXT = 12
"""Columns of text are at least so wide, or as wide as their longest cell."""
_LONGEST_LINE = 1000
_SILENCE = 10.0
"""Seconds between two lines of progress where there is no terminal."""
_SHOW_CURSOR = b"\x1b[?25h\n"


class _PlainConsole(Console):
    """A console whose tables are never cut: on a screen that is too narrow, their lines run on."""

    def on_broken_pipe(self) -> None:
        """Leave it to the command line, where rich would end the program itself."""
        raise BrokenPipeError

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; see `rich.console.Console.print`. Strings are text to show, without markup."""
        fitting = self.width
        self.width = max(
            [fitting, _LEAST_WIDTH, *(_least_width(each) for each in objects if isinstance(each, Table))]
        )
        super().print(*(shown(each) if isinstance(each, str) else each for each in objects), **options)
        self.width = fitting


def console_for(json_path: str | None) -> Console:
    """The console to print on: standard output, or standard error when JSON goes to standard output."""
    console = _PlainConsole(stderr=json_path == STANDARD_OUTPUT, highlight=False, markup=False, emoji=False)
    if not console.is_terminal or not _is_terminal(console.file):
        console.width = _FILE_WIDTH
    return console


def shown(text: str) -> str:
    r"""Text on one line, in the characters that standard output can show.

    Example:
        >>> print(shown("a\nb"))
        a\nb
    """
    return encodable(one_line(text), getattr(sys.stdout, "encoding", None) or "utf-8")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """A plain table; columns whose name starts with '>' are aligned right (the sign is dropped).

    Cells are text to show as it is, or `Text` with a style.
    """
    drawn = Table(title=Text(shown(title)), title_justify="left", header_style="bold")
    cells = [[Text(shown(cell)) if isinstance(cell, str) else cell for cell in row] for row in rows]
    for place, column in enumerate(columns):
        number = column.startswith(">")
        widest = max((row[place].cell_len for row in cells), default=0)
        drawn.add_column(
            Text(shown(column.lstrip(">"))),
            justify="right" if number else "left",
            overflow="fold",
            min_width=max(1, widest if number else min(widest, _LEAST_TEXT)),
        )
    for row in cells:
        drawn.add_row(*row)
    return drawn


def _least_width(drawn: Table) -> int:
    return 1 + sum(3 + (column.min_width or 0) for column in drawn.columns)


def coloured(verdict: str, more: str = "") -> Text:
    """A verdict with its colour, and perhaps more text without.

    Example:
        >>> coloured("fails", ": [red]").plain
        'fails: [red]'
    """
    return styled(verdict, _VERDICT_STYLES[verdict], more)


def styled(text: str, style: str, more: str = "") -> Text:
    """Text in a style, and perhaps more text without."""
    return Text.assemble((shown(text), style), shown(more))


def complain(line: str) -> None:
    """Print one line on standard error, after the program's name; a standard error that is closed is no error."""
    with contextlib.suppress(OSError, ValueError):
        print(f"promptfolio: {_shortened(one_line(line))}", file=sys.stderr, flush=True)


def _shortened(line: str) -> str:
    """A line without the middle of what is too long to read, such as a value of thousands of digits."""
    if len(line) <= _LONGEST_LINE:
        return line
    kept = _LONGEST_LINE // 2
    return f"{line[:kept]} ... {line[-kept:]}"


def show_notices(notices: Iterable[str]) -> None:
    """Print what a result's reader must know, one line each on standard error."""
    for notice in notices:
        complain(f"note: {notice}")


class Tracker(Protocol):
    """Shows how far a command has come."""

    def describe(self, text: str) -> None:
        """Show what is being worked on."""

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` is done."""


class _Bar:
    """A progress bar on a terminal."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def describe(self, text: str) -> None:
        self._progress.update(self._task, description=shown(text))

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


class _Lines:
    """A line now and then, for files, pipes and terminals that cannot move the cursor."""

    def __init__(self) -> None:
        self._text, self._place = "", ""
        self._started = self._said = time.monotonic()

    def describe(self, text: str) -> None:
        self._text = text
        self._say()

    def __call__(self, done: int, total: int) -> None:
        took = time.monotonic() - self._started
        self._place = f": {done} of {total}"
        if 0 < done < total:
            self._place += f", about {duration(took * (total - done) / done)} left"
        self._say()

    def _say(self) -> None:
        now = time.monotonic()
        if now - self._said >= _SILENCE:
            self._said = now
            complain(f"{self._text}{self._place} (after {duration(now - self._started)})")


def duration(seconds: float) -> str:
    """A length of time to read.

    Example:
        >>> duration(9.6), duration(125), duration(7300)
        ('10 s', '2 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


@contextlib.contextmanager
def tracking(text: str) -> Iterator[Tracker]:
    """Progress on standard error for the time of the context: a bar on a terminal, else a line now and then."""
    tracker: _Bar | _Lines
    console = Console(stderr=True, markup=False, emoji=False)
    if not _is_terminal(sys.stderr) or console.is_dumb_terminal or not console.is_terminal:
        tracker = _Lines()
        tracker.describe(text)
        yield tracker
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        cleaned_up(_show_cursor_if_ended),
        Progress(*columns, console=console, transient=True) as progress,
    ):
        tracker = _Bar(progress)
        tracker.describe(text)
        yield tracker


def _show_cursor_if_ended() -> None:
    """Undo what a bar that is cut off leaves: a hidden cursor, in the middle of a line."""
    from promptfolio.processes.ending import reason

    if reason() is not None:
        with contextlib.suppress(OSError):
            os.write(2, _SHOW_CURSOR)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False
