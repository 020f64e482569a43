"""The toolkit as processes of their own, to which things happen while they run."""

import contextlib
import functools
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

from simulate.running.compilation import VARIABLE
from tests.stress.forked import ROOT, command_status, console_program, fork

MARK = "PROMPTFOLIO_STRESS"
"""Environment variable by which all processes of one fault are found, whoever their parents are."""
_GONE = 3.0
"""Seconds that processes have to follow the one that started them."""

Steps = Generator[None, None, Any]
"""What takes time: it yields whenever it waits, so that others can go on."""


class Site:
    """A folder in which a fault is caused, and what runs in it.

    Args:
        folder: for everything of this fault; made here.
        name: different for every site.
    """

    def __init__(self, folder: pathlib.Path, name: str):
        self.base, self._name = folder, name
        self.here, self.results, self._tmp = folder / "here", folder / "here" / "results", folder / "tmp"
        self.here.mkdir(parents=True)
        self._tmp.mkdir()
        self._started = 0

    def start(
        self,
        words: Sequence[str],
        wrapper: Sequence[str] = (),
        stdout: int | None = None,
        before: Callable[[], None] | None = None,
    ) -> "Process":
        """Start the program with these words, below a wrapper if one is given.

        Args:
            words: of the command line after the program's name.
            wrapper: words to put before the program.
            stdout: a file descriptor to write to instead of a file.
            before: called in the new process before the program takes it over.
        """
        self._started += 1
        texts = [self.base / f"{name}-{self._started}" for name in ("out", "err")]
        environment = {**os.environ, MARK: self._name, "TMPDIR": str(self._tmp), "PYTHONPATH": str(ROOT)}
        # It compiles for itself, as a user's first one does.
        del environment["JAX_COMPILATION_CACHE_DIR"]
        environment[VARIABLE] = ""
        with texts[0].open("wb") as out, texts[1].open("wb") as err:
            running = subprocess.Popen(
                [*wrapper, *console_program(), *words],
                cwd=self.here,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=err,
                start_new_session=True,
                preexec_fn=functools.partial(_begin, before),
            )
        return Process(running, texts[1])

    def fork(self, words: Sequence[str]) -> "Process":
        """Run a command in a child forked from this process, which has imported everything: it starts at once, and
        takes compiled programs from the harness's cache."""
        run = functools.partial(command_status, words)
        return Process(_Child(fork(self.base, run, {MARK: self._name})), self.base / "err")

    def processes(self) -> dict[int, str]:
        """Command lines of all that still runs here, by process number."""
        mark = f"{MARK}={self._name}\0".encode()
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes() + b"\0":
                        found[int(entry.name)] = (
                            (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                        )
        return found

    def orphans(self) -> Steps:
        """What still runs some seconds after the end; it is killed."""
        deadline = time.monotonic() + _GONE
        while (left := self.processes()) and time.monotonic() < deadline:
            yield
        for number in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return [f"{number} {words[-80:]}" for number, words in left.items()]

    def temporary(self) -> list[pathlib.Path]:
        """Temporary files that lie beside results, or in the folder for such files."""
        hidden = [path for path in self.here.rglob(".*") if path.name not in (".", "..")]
        return [*hidden, *self._tmp.iterdir()]

    def age_temporary(self) -> None:
        """Make temporary files look as if they had been left days ago, and forget the system's own."""
        long_ago = time.time() - 7 * 24 * 3600
        for path in self.here.rglob(".*"):
            with contextlib.suppress(OSError):
                os.utime(path, (long_ago, long_ago), follow_symlinks=False)
        for path in self._tmp.iterdir():
            subprocess.run(["rm", "-rf", "--", str(path)], check=False)


def _begin(before: Callable[[], None] | None) -> None:
    """Make a new process ready for the program: it ignores no signal, although the harness may, as with `nohup`."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if before is not None:
        before()


class _Child:
    """A forked child, with what `subprocess.Popen` offers of a process."""

    def __init__(self, pid: int):
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            pid, waited = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(waited) if pid else None
        return self._code

    def wait(self) -> int:
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Process:
    """A started program, or a forked child."""

    def __init__(self, running: "subprocess.Popen[bytes] | _Child", err: pathlib.Path):
        self._running, self._err = running, err
        self._started = time.monotonic()

    @property
    def number(self) -> int:
        """Its process number."""
        return self._running.pid

    @property
    def status(self) -> int | None:
        """Its exit status as a shell has it, 128 and more after a signal; None while it runs."""
        code = self._running.poll()
        return 128 - code if code is not None and code < 0 else code

    @property
    def err(self) -> str:
        """What it wrote on standard error."""
        return self._err.read_text(encoding="utf-8", errors="replace")

    def send(self, number: int, everybody: bool = False) -> None:
        """Send a signal, to the process or to its whole group."""
        with contextlib.suppress(ProcessLookupError):
            if everybody:
                os.killpg(self.number, number)
            else:
                self._running.send_signal(number)

    def wait(self, seconds: float) -> Steps:
        """Wait for the end; returns whether it came in time. If not, all of the group is killed."""
        deadline = time.monotonic() + seconds
        while self.status is None:
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL, everybody=True)
                self._running.wait()
                return False
            yield
        return True

    def until(self, seconds: float, reached: Callable[[], bool] = lambda: False) -> Steps:
        """Wait until a moment after the start, or until a condition holds, or until the end."""
        while self.status is None and time.monotonic() < self._started + seconds and not reached():
            yield
