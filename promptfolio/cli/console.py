"""Output to read: tables on standard output, progress on standard error."""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from promptfolio.cli.output import STANDARD_OUTPUT

_VERDICT_STYLES = {"holds": "green", "fails": "bold red", "not applicable": "yellow", "error": "bold red"}

# Output to a file or a pipe need not fit a screen, and tables must not lose digits.
_FILE_WIDTH = 160


def console_for(json_path: str | None) -> Console:
    """The console to print on: standard output, or standard error when JSON goes to standard output."""
    console = Console(stderr=json_path == STANDARD_OUTPUT, highlight=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    return console


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table; columns whose name starts with '>' are aligned right (the sign is dropped)."""
    drawn = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn


def coloured(verdict: str) -> str:
    """A verdict with its colour, as Rich markup.

    Example:
        >>> coloured("holds")
        '[green]holds[/]'
    """
    return f"[{_VERDICT_STYLES[verdict]}]{verdict}[/]"


def show_notices(notices: Iterable[str]) -> None:
    """Print what a result's reader must know, one line each on standard error."""
    for notice in notices:
        print(f"promptfolio: note: {notice}", file=sys.stderr)


class Tracker:
    """A progress bar with a changing description."""

    def __init__(self, progress: Progress):
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def describe(self, text: str) -> None:
        """Show what is being worked on."""
        self._progress.update(self._task, description=text)

    def __call__(self, done: int, total: int) -> None:
        """Move the bar to ``done`` of ``total``."""
        self._progress.update(self._task, completed=done, total=total)


@contextlib.contextmanager
def tracking(text: str) -> Iterator[Tracker]:
    """A progress bar on standard error for the time of the context."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tracker = Tracker(progress)
        tracker.describe(text)
        yield tracker
