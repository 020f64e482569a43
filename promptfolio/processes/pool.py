"""Jobs in processes of their own: one that dies costs the job it had, and no other.

Jobs and results travel through pipes between parent and child, so that nothing listens on any port.
"""

import pickle
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, ParamSpec, TypeVar

from promptfolio.processes.children import child, how_it_ended
from promptfolio.processes.ending import cleaned_up
from promptfolio.processes.machine import resident_bytes

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_LOOK = 0.5
"""Seconds between two looks at a worker's memory."""
_SHARE = 0.95
"""Part of its memory that a worker may take; beyond it the operating system might choose which process to kill."""


class WorkerDied(RuntimeError):
    """The process that a job ran in ended before the job did."""


class _Raised(Exception):
    """The traceback of an exception in another process, as text."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


@contextmanager
def worker_pool(
    number: int, environment: Mapping[str, str], memory: int | None = None
) -> Iterator["WorkerPool"]:
    """Processes to work in; when the context ends all of them do, whatever they work on.

    Args:
        number: of processes. They start when there are jobs.
        environment: all their environment variables.
        memory: bytes that each may take; one that exceeds them is killed. None sets no limit.
    """
    pool = WorkerPool(number, environment, memory)
    with cleaned_up(pool.kill):
        try:
            yield pool
        finally:
            pool.shutdown()


class WorkerPool(Executor):
    """Processes as an executor of functions that are importable by their name, as of `concurrent.futures`."""

    def __init__(self, number: int, environment: Mapping[str, str], memory: int | None):
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Any] | None] = queue.SimpleQueue()
        self._environment, self._memory = dict(environment), memory
        self._workers: dict[int, _Worker] = {}
        self._killed = False
        self._threads = [
            threading.Thread(target=self._serve, args=(turn,), daemon=True) for turn in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, function: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> "Future[Result]":
        """Have a process call a function.

        The future raises what the function raises, and `WorkerDied` when the process ends before.
        """
        future: Future[Result] = Future()
        self._jobs.put((future, (function, args, kwargs)))
        return future

    def process_ids(self) -> list[int]:
        """The processes that are there now."""
        return [worker.process.pid for worker in tuple(self._workers.values())]

    def kill(self) -> None:
        """End all processes at once, and take no further jobs: those that wait are cancelled."""
        self._killed = True
        with suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job[0].cancel()
        for worker in tuple(self._workers.values()):
            worker.process.kill()
        for _ in self._threads:
            self._jobs.put(None)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Kill all processes; with ``wait``, return once they are gone."""
        self.kill()
        if wait:
            for thread in self._threads:
                thread.join()

    def _serve(self, turn: int) -> None:
        """Give jobs to one process, one at a time; a process that died is replaced when there is a job."""
        with ExitStack() as stack:
            while (job := self._jobs.get()) is not None:
                future, call = job
                if self._killed:
                    future.cancel()
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    if turn not in self._workers:
                        self._workers[turn] = stack.enter_context(_worker(self._environment, self._memory))
                    if self._killed:  # meanwhile, so that this process was not
                        self._workers[turn].process.kill()
                    result = self._workers[turn].result(call)
                except WorkerDied as error:
                    del self._workers[turn]
                    stack.close()
                    future.set_exception(error)
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            self._workers.pop(turn, None)


@contextmanager
def _worker(environment: Mapping[str, str], memory: int | None) -> Iterator["_Worker"]:
    ours, theirs = Pipe()
    descriptor = theirs.fileno()
    program = "promptfolio.processes.worker"
    arguments = [str(descriptor)]
    with (
        ours,
        theirs,
        child(program, arguments, environment=environment, descriptors=[descriptor]) as process,
    ):
        theirs.close()  # so that reading ends when the process does
        yield _Worker(process, ours, memory)


class _Worker:
    def __init__(self, process: Any, connection: Connection, memory: int | None):
        self.process, self._connection, self._memory = process, connection, memory

    def result(self, call: tuple[Any, ...]) -> Any:
        message = pickle.dumps(call)  # outside the block below: this error is the job's
        try:
            self._connection.send_bytes(message)
            while self._memory is not None and not self._connection.poll(_LOOK):
                taken = resident_bytes(self.process.pid)
                if taken > _SHARE * self._memory:
                    self.process.kill()
                    self.process.wait()
                    raise WorkerDied(
                        f"its worker process {self.process.pid} took {taken / 2**30:.2g} GiB of memory,"
                        f" and may take {self._memory / 2**30:.2g}"
                    )
            answer = self._connection.recv_bytes()
        except (EOFError, OSError):
            status = self.process.wait()
            raise WorkerDied(f"its worker process {self.process.pid} {how_it_ended(status)}") from None
        succeeded, value, trace = pickle.loads(answer)
        if not succeeded:
            raise value from _Raised(trace)
        return value


def serve(connection: Connection) -> None:
    """Work on jobs until the parent closes the connection; what a worker process does."""
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(_answer(message))


def _answer(message: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(message)
        return pickle.dumps((True, function(*args, **kwargs), ""))
    except BaseException as error:
        trace = "".join(traceback.format_exception(error))
        return _pickled_error(error, trace)


def _pickled_error(error: BaseException, trace: str) -> bytes:
    """An exception that can be read again; one of the same text where it cannot, or would end a program."""
    if isinstance(error, Exception):
        with suppress(Exception):
            pickled = pickle.dumps((False, error, trace))
            pickle.loads(pickled)
            return pickled
    return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}"), trace))
