"""Jobs on processes of their own: SymPy, and all that Python does before a program runs, use one core at a time."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self, TypeAlias

_Answer: TypeAlias = tuple[Any, Exception | None, str | None]
"""Result of a job, and if it failed its exception, where that can be sent, and the traceback."""
_SPAWN = multiprocessing.get_context("spawn")  # a forked process could not use JAX


class WorkerError(RuntimeError):
    """What went wrong in another process: the traceback of a job there, or how the process ended."""


ENVIRONMENT = {
    # Linear algebra on one thread: with as many processes as cores, more would mostly wait for each other.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Several processes share an accelerator only if none takes all of its memory at once.
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
"""What processes at work beside others are told, unless the environment says otherwise already."""


class Workers:
    """Processes that work on jobs, in the order in which these are submitted.

    A context: at its end all processes are ended, whatever they work on.

    Args:
        number: of processes.

    Example:
        >>> with Workers(1) as workers:
        ...     workers.submit(divmod, 17, 5).result()
        (3, 2)
    """

    def __init__(self, number: int):
        self._threads = concurrent.futures.ThreadPoolExecutor(number)
        with _told(ENVIRONMENT):
            self._processes = [_Process() for _ in range(number)]
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self._processes:
            self._idle.put(process)

    def submit(
        self, job: Callable[..., Any], *arguments: Any, begin: Callable[[], None] | None = None
    ) -> concurrent.futures.Future[Any]:
        """Have a process call a function.

        Args:
            job: a function of a module; what it returns must be picklable, like its arguments.
            arguments: its arguments.
            begin: called in this process, on another thread, just before the work starts.

        Returns:
            Its result, or the exception that it raised, whose cause is a `WorkerError`.
        """
        return self._threads.submit(self._work, job, arguments, begin)

    def _work(
        self, job: Callable[..., Any], arguments: tuple[Any, ...], begin: Callable[[], None] | None
    ) -> Any:
        process = self._idle.get()  # there is one for every thread
        try:
            if begin is not None:
                begin()
            return process.call(job, arguments)
        finally:
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.end()
        self._threads.shutdown()


@contextlib.contextmanager
def _told(environment: dict[str, str]) -> Iterator[None]:
    """Add to the environment that processes inherit: libraries read it when they load, before a job could."""
    added = {name: value for name, value in environment.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


class _Process:
    """One process and the line to it."""

    def __init__(self) -> None:
        self._line, other = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()  # its end is the process's alone, so that the line breaks when the process ends

    def call(self, job: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        try:
            self._line.send((job, arguments))
            result, error, trace = self._line.recv()
        except (EOFError, OSError):
            self._process.join()
            status = self._process.exitcode
            raise WorkerError(f"a process ended at work, with status {status}; out of memory?") from None
        if trace is None:
            return result
        raise error or WorkerError("a job failed") from WorkerError(trace)

    def end(self) -> None:
        self._process.terminate()
        self._process.join()


def _serve(line: Connection) -> None:
    """Work on what comes along the line until it breaks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the first process, which ends this one
    with contextlib.suppress(EOFError, OSError):
        while True:
            job, arguments = line.recv()
            answer: _Answer
            try:
                answer = job(*arguments), None, None
            except Exception as error:
                answer = None, _as_sent(error), traceback.format_exc()
            line.send(answer)


def _as_sent(error: Exception) -> Exception | None:
    """What arrives of an exception; None when it cannot be sent, which some kinds cannot."""
    try:
        arrived = pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return arrived if isinstance(arrived, Exception) else None
