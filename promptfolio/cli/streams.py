"""The process's own standard streams, made fit for whatever a command prints, or a library opens."""

import contextlib
import io
import os
import sys

from promptfolio.cli.printable import TRANSLITERATE


def prepare_streams() -> None:
    """Have standard streams that are open, and that write every character somehow.

    A stream that was closed when the process started becomes the null device: otherwise the next file that anything
    opens would take its number, and receive what is printed. An encoding without θ, say, writes theta.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = _NullOutput(open(os.devnull, "wb"), encoding="utf-8")  # noqa: SIM115 - for good
    if sys.stderr is None:
        sys.stderr = _NullOutput(open(os.devnull, "wb"), encoding="utf-8")  # noqa: SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=TRANSLITERATE)


def output_is_closed() -> bool:
    """Whether standard output was closed when the process started, so that nobody can read what goes there."""
    return sys.stdout is None or isinstance(sys.stdout, _NullOutput)


def flush_output() -> None:
    """Write what is still to be written to standard output.

    Raises:
        OSError: when that is not possible; it is not tried again.
    """
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise


class _NullOutput(io.TextIOWrapper):
    """A stream that nobody reads."""
