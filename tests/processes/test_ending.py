"""Commands that a signal or a closed pipe ends: within seconds, in one line, with all that they started."""

import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support import ROOT
from tests.waiting import LIMIT, members, wait_until

SOON = 5.0
PROMPTFOLIO = "from promptfolio.cli import main; import sys; sys.argv[0] = 'promptfolio'; main()"
COMMAND = ("simulate", "--clients", "2", "--noise-dim", "50")
NAMES = {
    signal.SIGINT: "interrupted (SIGINT)",
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGHUP: "ended by SIGHUP: the terminal was closed",
    signal.SIGPIPE: "ended: nobody reads standard output any more",
}


class Command:
    """A command in a session of its own; ``before`` is Python that runs first in its process."""

    def __init__(self, *arguments: str, before: str = "", folder: pathlib.Path | None = None):
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{PROMPTFOLIO}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )

    def ended_by(self, number: signal.Signals, *, group: bool = False) -> str:
        """End it, and return its standard error after the checks that are the same for all."""
        assert self.process.poll() is None, self.process.communicate()
        started = time.monotonic()
        if number == signal.SIGPIPE:
            assert self.process.stdout is not None
            self.process.stdout.close()
        elif group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        status = self.process.wait(LIMIT)
        took = time.monotonic() - started
        assert self.process.stderr is not None
        said = self.process.stderr.read().decode()
        assert status == 128 + number, said
        assert took < SOON
        wait_until(lambda: not self.members())
        return said

    def members(self) -> list[str]:
        """Processes of its session that still run."""
        return members(self.process.pid)


@pytest.fixture
def commands() -> Iterator[list[Command]]:
    """Commands to end, whatever becomes of the test."""
    started: list[Command] = []
    yield started
    for command in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.process.pid, signal.SIGKILL)
        command.process.wait()
        for stream in (command.process.stdout, command.process.stderr):
            if stream is not None:
                stream.close()


def line(number: signal.Signals) -> str:
    return f"promptfolio: {NAMES[number]}\n"


# Each says by making a file where it has come to; the time after that is what the signal is given.
IMPORTING = """
import importlib.abc, pathlib, sys, time
class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "jax":
            pathlib.Path("there").touch()
            time.sleep(1e6)
sys.meta_path.insert(0, Slow())
"""
IN_A_CALL_THAT_DOES_NOT_RETURN = """
import ctypes, importlib.abc, pathlib, sys
class Stuck(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "jax":
            pathlib.Path("there").touch()
            while True:
                try:
                    ctypes.CDLL(None).sleep(1000)
                except BaseException:
                    pass
sys.meta_path.insert(0, Stuck())
"""
AT_THE_END = """
import atexit, pathlib, time
atexit.register(lambda: (pathlib.Path("there").touch(), time.sleep(1e6)))
"""
WHERE_PYTHON_IGNORES_ERRORS = """
import importlib.abc, pathlib, sys, time
class Swallowing:
    def __del__(self):
        pathlib.Path("there").touch()
        time.sleep(1e6)
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "jax":
            Swallowing()
            time.sleep(1e6)
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ("before", "number"),
    [
        *itertools.product((IMPORTING, WHERE_PYTHON_IGNORES_ERRORS), NAMES),
        (IN_A_CALL_THAT_DOES_NOT_RETURN, signal.SIGTERM),
        (AT_THE_END, signal.SIGINT),
    ],
    ids=[f"{where}-{number.name}" for where in ("import", "finaliser") for number in NAMES] + ["call", "end"],
)
def test_a_command_ends_wherever_it_is(
    tmp_path: pathlib.Path, commands: list[Command], before: str, number: signal.Signals
) -> None:
    arguments = ("simulate", "--help") if before == AT_THE_END else COMMAND
    command = Command(*arguments, before=before, folder=tmp_path)
    commands.append(command)
    wait_until((tmp_path / "there").exists)
    assert command.ended_by(number) == line(number)


def test_a_second_interrupt_does_not_wait(tmp_path: pathlib.Path, commands: list[Command]) -> None:
    command = Command(*COMMAND, before=IN_A_CALL_THAT_DOES_NOT_RETURN, folder=tmp_path)
    commands.append(command)
    wait_until((tmp_path / "there").exists)
    command.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    started = time.monotonic()
    assert command.ended_by(signal.SIGINT) == line(signal.SIGINT)
    assert time.monotonic() - started < SOON / 2


def test_what_nohup_ignores_stays_ignored(tmp_path: pathlib.Path, commands: list[Command]) -> None:
    command = Command(
        *COMMAND,
        before=f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{IMPORTING}",
        folder=tmp_path,
    )
    commands.append(command)
    wait_until((tmp_path / "there").exists)
    command.process.send_signal(signal.SIGHUP)
    assert command.ended_by(signal.SIGTERM) == line(signal.SIGTERM)


@pytest.mark.parametrize("killed", [False, True], ids=["terminal", "killed"])
def test_no_process_of_a_sweep_outlives_it(
    tmp_path: pathlib.Path, commands: list[Command], killed: bool
) -> None:
    (tmp_path / "sweep.toml").write_text("[experiment]\nclients = 2\nnoise_dim = 50\n[grid]\nseed = [0, 1]\n")
    # Processes of the sweep load this first, wherever they find it: before the interpreter runs anything else.
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import sys\nif 'promptfolio.processes.worker' in sys.orig_argv:\n"
        "    import importlib.util, pathlib, time\n"
        "    import promptfolio.sweep.worker as worker\n"
        "    def compute(self, experiment, folder, *rest):\n"
        "        pathlib.Path(f'there-{experiment.seed}').touch()\n"
        "        time.sleep(1e6)\n"
        "    worker.Runner.compute = compute\n"
    )
    environment = f"import os; os.environ['PYTHONPATH'] = {os.pathsep.join([str(site), str(ROOT)])!r}"
    command = Command(
        "sweep", "sweep.toml", "--out", "out", "--workers", "2", before=environment, folder=tmp_path
    )
    commands.append(command)
    wait_until(lambda: len(list(tmp_path.glob("there-*"))) == 2)
    assert len(command.members()) == 3
    if killed:
        command.process.kill()
        wait_until(lambda: not command.members())
    else:
        assert command.ended_by(signal.SIGINT, group=True) == line(signal.SIGINT)
        assert list((tmp_path / "out").iterdir()) == []
