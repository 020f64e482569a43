"""Run many short commands, each in a child forked from one process that has imported everything once."""

import contextlib
import dataclasses
import functools
import gc
import importlib
import io
import os
import pathlib
import pkgutil
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from tests.stress.case import Case, WrongNumbers

ROOT = pathlib.Path(__file__).parents[2]
MEMORY = 8 * 2**30
"""Bytes of address space that one command may take."""
_PACKAGES = ("promptfolio", "simulate", "theory", "figures")
_UNNEEDED = ("promptfolio.bench.peers", "promptfolio.__main__")
_POLL = 0.002


@dataclasses.dataclass(frozen=True)
class Job:
    """A case, a name for it, and whether it goes through the installed program, in a process of its own."""

    name: str
    case: Case
    console: bool = False


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: exit status; minus the signal's number when a signal ended it; None when it ran past the limit.
        out, err: what it wrote.
        new: files and folders that it left, those it was given aside.
        complaint: what is wrong with the results that it wrote; empty when nothing is.
        seconds: how long it ran.
    """

    status: int | None
    out: str
    err: str
    new: tuple[str, ...]
    complaint: str
    seconds: float


def console_program() -> list[str]:
    """The installed program beside this Python, or the package where it is not installed."""
    program = pathlib.Path(sys.executable).with_name("promptfolio")
    return [str(program)] if program.exists() else [sys.executable, "-m", "promptfolio"]


def import_everything() -> None:
    """Import the project, so that children need not; JAX's backend must stay unused, as its threads do not survive
    a fork."""
    for package in _PACKAGES:
        module = importlib.import_module(package)
        for found in pkgutil.walk_packages(module.__path__, f"{package}."):
            if not found.name.startswith(_UNNEEDED):
                importlib.import_module(found.name)
    for name in ("h5netcdf", "h5py", "matplotlib.backends.backend_agg", "optax", "tyro"):
        importlib.import_module(name)
    bridge = importlib.import_module("jax._src.xla_bridge")
    if bridge._backends:
        raise RuntimeError("an import has initialised JAX's backend, so that no child can be forked")
    _parse_once()
    gc.freeze()


def _parse_once() -> None:
    """Read the commands' declarations, which children then have."""
    import promptfolio

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        promptfolio.main(["simulate", "--clients", "0"])


def run_jobs(
    jobs: Iterable[Job],
    scratch: pathlib.Path,
    lanes: int,
    limit: float,
    inspect: Callable[[pathlib.Path], str],
) -> Iterator[tuple[Job, Ended]]:
    """Run jobs, several at a time, and yield each as it ends.

    Args:
        jobs: what to run.
        scratch: folder below which each has a folder of its own, which is removed afterwards.
        lanes: how many run at a time.
        limit: seconds after which a job is killed.
        inspect: called with a job's folder after it succeeded; returns what is wrong with its results.
    """
    waiting, running = iter(jobs), list[Running]()
    more = True
    while more or running:
        while more and len(running) < lanes:
            job = next(waiting, None)
            more = job is not None
            if job is not None:
                running.append(Running(job, scratch, inspect))
        for each in list(running):
            if (ended := each.poll(limit)) is not None:
                running.remove(each)
                yield each.job, ended
        time.sleep(_POLL)


class Running:
    """A job in a child of its own.

    Args:
        job: what to run.
        scratch: folder in which it gets a folder of its own.
        inspect: called with that folder after success; returns what is wrong with its results.
    """

    def __init__(self, job: Job, scratch: pathlib.Path, inspect: Callable[[pathlib.Path], str]):
        self.job = job
        self._base = pathlib.Path(tempfile.mkdtemp(dir=scratch))
        self._here, self._tmp = self._base / "here", self._base / "tmp"
        self._here.mkdir()
        self._tmp.mkdir()
        if job.case.prepare is not None:
            job.case.prepare(self._here)
        self._given = _listed(self._here)
        self._started = time.monotonic()
        self._pid = fork(self._base, functools.partial(_run, job, self._base, inspect))

    def poll(self, limit: float) -> Ended | None:
        """How it ended; None while it runs."""
        seconds = time.monotonic() - self._started
        pid, waited = os.waitpid(self._pid, os.WNOHANG)
        if pid == 0 and seconds < limit:
            return None
        with contextlib.suppress(ProcessLookupError):  # also what it started and left running
            os.killpg(self._pid, signal.SIGKILL)
        if pid == 0:
            os.waitpid(self._pid, 0)
        status = os.waitstatus_to_exitcode(waited) if pid else None
        out, err, complaint = (_text(self._base / name) for name in ("out", "err", "complaint"))
        left = _listed(self._here) - self._given
        temporary = {f"(temporary folder)/{path}" for path in _listed(self._tmp)}
        shutil.rmtree(self._base, ignore_errors=True)
        return Ended(status, out, err, tuple(sorted(left | temporary)), complaint, seconds)


def _listed(folder: pathlib.Path) -> set[str]:
    return {os.path.relpath(path, folder) for path in folder.rglob("*")}


def _text(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def fork(base: pathlib.Path, run: Callable[[], int], marks: Mapping[str, str] = MappingProxyType({})) -> int:
    """Run something in a child forked from this process; returns the child's process number.

    Args:
        base: folder that has the folders `here`, in which it runs, and `tmp`, for temporary files; what it writes
            goes to the files `out` and `err` in it.
        run: what to run; returns the exit status.
        marks: environment variables to set.
    """
    sys.stdout.flush()
    number = os.fork()
    if number == 0:
        _become(base, run, marks)
    return number


def _become(base: pathlib.Path, run: Callable[[], int], marks: Mapping[str, str]) -> None:
    """Run it in this process, which ends with it."""
    status = 70
    try:
        os.setsid()
        os.closerange(3, 1024)  # ends of pipes whose other ends wait for them to be closed
        os.chdir(base / "here")
        os.environ.update({**marks, "TMPDIR": str(base / "tmp")})
        tempfile.tempdir = None
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "../out", None), (2, "../err", None)):
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC if flags is None else flags, 0o666)
            os.dup2(handle, number)
            os.close(handle)
        status = run()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(status & 0xFF)


def _run(job: Job, base: pathlib.Path, inspect: Callable[[pathlib.Path], str]) -> int:
    """Run a job, and leave beside its folder what is wrong with its results; returns its exit status."""
    if job.console:
        program = console_program()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        words = [os.fsencode(word) for word in (*program, *job.case.words)]
        os.execve(program[0], words, environment)
    try:
        status = _executed(job.case)
        complaint = inspect(base / "here") if status in (0, 1) else ""
    except WrongNumbers as error:
        status, complaint = 0, str(error)
    (base / "complaint").write_text(complaint, encoding="utf-8")
    return status


def _executed(case: Case) -> int:
    """The exit status that Python would give this command, or this call."""
    from simulate.validation import ConfigurationError

    if case.call is None:
        return command_status(case.words)
    try:
        case.call()
    except (ConfigurationError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except WrongNumbers:
        raise
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def command_status(words: Sequence[str]) -> int:
    """Run a command in this process; returns the exit status that the installed program would have."""
    import promptfolio

    try:
        return promptfolio.main(list(words))
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return stop.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
