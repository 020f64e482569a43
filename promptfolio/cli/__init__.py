"""The command line's commands: each parses into a dataclass, calls the library, saves and reports.

Modules here import the library inside their `execute` methods, so that help and bad arguments answer at once.
"""

from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words of the command line after the program's name. None takes the process's own: then the
            process is the command's, which watches its signals, and ends it with the exit status.

    Returns:
        The exit status, as README.md lists them: 0; 1 when a claim, say, fails, or on an error; 2 for bad input;
        128 and the signal's number when a signal ended the command.
    """
    if arguments is not None:
        return _run(arguments)
    import os
    import signal
    import sys

    def end_at_once(number: int, frame: object) -> NoReturn:
        os.write(2, b"promptfolio: interrupted (SIGINT)\n")
        os._exit(128 + number)

    # In the milliseconds until the next import has its handlers, Python would print a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
    from promptfolio.processes import ending
    from promptfolio.processes.starting import collect_rarely

    ending.watch_for_ends()
    collect_rarely()
    try:
        status = _run_as_process(sys.argv[1:])
    except ending.Ended as end:  # between two statements that would have caught it
        ending.say_why(end.number)
        status = 128 + end.number
    ending.finish(status)


def _run(arguments: Sequence[str]) -> int:
    from promptfolio.cli.shadowing import shadowed_package

    if complaint := shadowed_package():
        import sys

        print(f"promptfolio: {complaint}", file=sys.stderr)
        return 2
    from promptfolio.cli.application import run_command

    return run_command(arguments)


def _run_as_process(arguments: Sequence[str]) -> int:
    """Run a command with streams that take any text, and see that what it printed is written."""
    from promptfolio.cli.shadowing import find_own_first
    from promptfolio.cli.streams import flush_output, prepare_streams
    from promptfolio.processes.ending import Ended, reason

    prepare_streams()
    find_own_first()
    try:
        try:
            status = _run(arguments)
        except SystemExit as stop:  # after help
            if reason() is not None:
                raise
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        flush_output()
    except Ended:
        raise
    except BaseException as error:
        from promptfolio.cli.failures import report

        return report(error)
    return status
