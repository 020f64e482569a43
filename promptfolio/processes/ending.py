"""How a command ends before its time: on a signal, or because nobody reads its standard output any more.

Python runs a signal's handler between two instructions of the main thread: not before a long call into compiled
code returns. And what it raises may be swallowed by code that catches everything. So a signal does two things: its
handler raises `Ended` in the main thread, which unwinds in the ordinary way; and a thread of its own, told by the
signal itself, ends the process if that has not happened within `GRACE` seconds. Only light modules are imported
here, so that this is in place before anything heavy loads.
"""

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import NoReturn

GRACE = 3.0
"""Seconds that the main thread has to unwind before the process is ended."""

_CLEANING = 1.0
"""Seconds that the last cleaning up may take, on a file system that hangs, say."""

_REASONS = {
    signal.SIGINT: "interrupted (SIGINT)",
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGHUP: "ended by SIGHUP: the terminal was closed",
    signal.SIGPIPE: "ended: nobody reads standard output any more",
}


class Ended(KeyboardInterrupt):
    """The command is to end; raised in the main thread.

    Attributes:
        number: of the signal; SIGPIPE when standard output was closed by its reader.
    """

    def __init__(self, number: int):
        super().__init__(_REASONS[signal.Signals(number)])
        self.number = number


class _State:
    """What is known in this process; there is one command line per process."""

    reason: int | None = None  # the first signal
    watched = False  # this process is a command, and nobody else's
    raised = False  # `Ended` was raised in the main thread
    swallowed = False  # `Ended` was raised where Python ignores exceptions: it must be raised again
    finishing = False  # nothing is left to unwind: a further signal ends the process at once
    said = False  # the line about the end is printed
    raised_here = 0  # signals that the watching thread raised itself


_state = _State()
_last = threading.RLock()
_cleanups: list[Callable[[], object]] = []


def watch_for_ends() -> None:
    """From now on, end this process on SIGINT, SIGTERM, SIGHUP and when its standard output's reader goes away.

    Signals that are ignored already stay so, as nohup wants it. Call it once, in the main thread.
    """
    _state.watched = True
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    installed = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)
            installed.append(number)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    _silence_what_an_end_breaks()
    threading.Thread(target=_watch, args=(woken, tuple(installed)), daemon=True, name="ends").start()


def is_command() -> bool:
    """Whether this process is a command of this toolkit, rather than one that uses it as a library."""
    return _state.watched


def reason() -> int | None:
    """The number of the signal on which this process is ending; None while it is not."""
    return _state.reason


def explanation(number: int) -> str:
    """Why the command ends, in words.

    Example:
        >>> explanation(signal.SIGTERM)
        'ended by SIGTERM'
    """
    return _REASONS[signal.Signals(number)]


@contextlib.contextmanager
def cleaned_up(cleanup: Callable[[], object]) -> Iterator[None]:
    """Context after which ``cleanup`` is called; it is called too when the process is ended within it, unless it
    is killed.

    Args:
        cleanup: must do no harm when called twice, or from another thread.
    """
    _cleanups.append(cleanup)
    try:
        yield
    finally:
        try:
            cleanup()
        finally:
            _cleanups.remove(cleanup)


def say(line: str) -> None:
    """Print a line on standard error, whatever the state of Python's own streams; no error is raised."""
    with contextlib.suppress(OSError):
        os.write(2, f"promptfolio: {line}\n".encode(errors="backslashreplace"))


def say_why(number: int) -> None:
    """Print, once in a process, why the command ends."""
    if not _state.said:
        _state.said = True
        say(explanation(number))


def finish(status: int) -> NoReturn:
    """End the process with a status, after the functions that libraries have registered for the end.

    Python's own end is skipped: it waits for threads of compiled code, and a signal during it gives a traceback.
    """
    _state.finishing = True
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with _last:
        os._exit(status)


def _raise(number: int, frame: FrameType | None) -> None:
    """Handler of the signals, in the main thread."""
    first = _state.reason is None
    if first:
        _state.reason = number
    if _state.finishing:
        _end_now()
    if first or not _state.raised or _state.swallowed:
        _state.raised, _state.swallowed = True, False
        assert _state.reason is not None
        raise Ended(_state.reason)


def _watch(woken: int, installed: tuple[signal.Signals, ...]) -> None:
    """Wait for a signal or for the loss of standard output, then see that the process ends."""
    poll = select.poll()
    poll.register(woken, select.POLLIN)
    # A terminal sends SIGHUP when it closes, which may be ignored.
    if not os.isatty(1):
        poll.register(1, 0)  # errors alone: the reader of a pipe has gone
    while _state.reason is None:
        for descriptor, what in poll.poll():
            if descriptor == woken:
                numbers = [number for number in os.read(woken, 64) if number in installed]
                if numbers and _state.reason is None:
                    _state.reason = numbers[0]
            elif what & (select.POLLERR | select.POLLHUP) and not _state.finishing:
                _state.reason = _state.reason or signal.SIGPIPE
                _raise_in_main_thread(installed)
            else:
                poll.unregister(1)  # it was closed in this process, or all is written
    deadline = time.monotonic() + GRACE
    poll = select.poll()
    poll.register(woken, select.POLLIN)
    while time.monotonic() < deadline:
        if poll.poll(50):
            arrived = [number for number in os.read(woken, 64) if number in installed]
            # A second Ctrl-C: its sender does not want to wait.
            if len(arrived) > _state.raised_here:
                break
            _state.raised_here -= len(arrived)
        if _state.swallowed:
            _raise_in_main_thread(installed)
    _end_now()


def _raise_in_main_thread(installed: tuple[signal.Signals, ...]) -> None:
    if installed:
        _state.raised_here += 1
        # A real signal, which ends a wait for a lock, too.
        signal.pthread_kill(_main_thread(), installed[0])


def _main_thread() -> int:
    number = threading.main_thread().ident
    assert number is not None
    return number


def _end_now() -> NoReturn:
    with _last:
        number = _state.reason
        assert number is not None
        status = 128 + number
        # Killed children first, then what they wrote to: the last that was registered comes first.
        threading.Thread(target=_exit_later, args=(status,), daemon=True).start()
        for cleanup in reversed(_cleanups):
            with contextlib.suppress(Exception):
                cleanup()
        say_why(number)
        os._exit(status)


def _exit_later(status: int) -> None:
    time.sleep(_CLEANING)
    assert _state.reason is not None
    say_why(_state.reason)
    os._exit(status)


def _silence_what_an_end_breaks() -> None:
    """Have Python not report what an end breaks in threads and in code that cannot raise; the line says enough."""
    report, report_thread, report_uncaught = sys.unraisablehook, threading.excepthook, sys.excepthook

    def unraisable(broken: "sys.UnraisableHookArgs") -> None:
        if isinstance(broken.exc_value, Ended):
            _state.swallowed = True
        if _state.reason is None:
            report(broken)

    def in_thread(broken: threading.ExceptHookArgs) -> None:
        if _state.reason is None:
            report_thread(broken)

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if _state.reason is not None:
            _end_now()
        report_uncaught(kind, error, trace)

    sys.unraisablehook, threading.excepthook, sys.excepthook = unraisable, in_thread, uncaught
