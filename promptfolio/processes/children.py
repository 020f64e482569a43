"""Python processes that this one starts: they end when it does, even when it is killed.

A child finds the project's code where this process found it. It ignores the signals that a terminal sends to all
processes of a command; its parent ends it.
"""

import contextlib
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

from simulate.running.parent import die_with_parent

_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]);"
    " from promptfolio.processes.children import begin; begin()"
)
_started: set[int] = set()
_lifeline: list[int] = []  # the two ends of a pipe, once there are children
_opening = threading.Lock()


@contextlib.contextmanager
def child(
    module: str,
    arguments: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    folder: pathlib.Path | None = None,
    descriptors: Sequence[int] = (),
    input: int = subprocess.DEVNULL,
    output: int = 2,
    errors: int | None = None,
) -> "Iterator[subprocess.Popen[bytes]]":
    """Context with a process that runs a module of the project as a program; it is killed at the context's end.

    Args:
        module: its name.
        arguments: words of its command line.
        environment: its environment variables; None for those of this process.
        folder: its working folder; None for that of this process.
        descriptors: file descriptors that it inherits.
        input, output, errors: as the standard streams of `subprocess.Popen`. By default nothing is read, and what
            it prints goes to standard error, since standard output is for results.
    """
    lifeline = _shared_lifeline()
    words = [
        sys.executable,
        "-P",
        "-c",
        _START,
        json.dumps(sys.path),
        str(os.getpid()),
        str(lifeline),
        module,
    ]
    process = subprocess.Popen(
        [*words, *arguments],
        stdin=input,
        stdout=output,
        stderr=errors,
        env=environment,
        cwd=folder,
        pass_fds=(lifeline, *descriptors),
    )
    _started.add(process.pid)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def answer_of(
    module: str,
    request: bytes,
    *,
    environment: Mapping[str, str] | None = None,
    folder: pathlib.Path | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run a module of the project as a program to its end, as `subprocess.run` does with all output captured."""
    pipe = subprocess.PIPE
    with child(
        module, environment=environment, folder=folder, input=pipe, output=pipe, errors=pipe
    ) as process:
        output, errors = process.communicate(request)
        return subprocess.CompletedProcess(module, process.returncode, output, errors)


def own_processes() -> set[int]:
    """Numbers of this process and of all that it has started with `child`, whether they still run or not."""
    return {os.getpid(), *_started}


def how_it_ended(status: int) -> str:
    """In words, how a process ended that should have gone on.

    Args:
        status: as `subprocess.Popen.returncode`: negative for a signal.

    Example:
        >>> how_it_ended(-9), how_it_ended(3)
        ('was killed by SIGKILL (out of memory?)', 'ended with status 3')
    """
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"was killed by {name}" + (" (out of memory?)" if -status == signal.SIGKILL else "")


def begin() -> None:
    """The first that a child does: tie itself to its parent, then run its module as a program."""
    parent, lifeline, module = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.set_inheritable(lifeline, False)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    die_with_parent(parent)
    sys.argv[1:] = sys.argv[5:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(lifeline: int) -> None:
    """Wait until nobody holds the other end of the lifeline, then end this process."""
    os.read(lifeline, 1)
    os._exit(1)


def _shared_lifeline() -> int:
    """The end of a pipe to read from; only this process holds the other one, and never writes to it."""
    with _opening:
        if not _lifeline:
            _lifeline.extend(os.pipe())
        return _lifeline[0]
