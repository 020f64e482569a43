"""Files are written whole or not at all, and what killed processes leave is removed."""

import errno
import os
import pathlib
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from simulate.results import files
from simulate.results.files import remove_files_of, remove_leftovers, temporary_name, write_bytes

GONE = 2**22 + 1
"""More than the largest number of a process on Linux, and on macOS."""


def _fails_with(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failure_leaves_what_was_there(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    path = tmp_path / "kept.txt"
    write_bytes(path, b"before")
    if call == "fsync":
        monkeypatch.setattr("os.fsync", _fails_with(number))
    else:
        monkeypatch.setattr(pathlib.Path, "replace", _fails_with(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        write_bytes(path, b"after")
    assert [each.name for each in tmp_path.iterdir()] == ["kept.txt"]
    assert path.read_bytes() == b"before"


def test_a_full_disk_is_an_error(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "large"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_bytes(path, bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_flushed_does_not_matter(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def only_files(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            _fails_with(errno.EINVAL)()
        real(handle)

    monkeypatch.setattr("os.fsync", only_files)
    write_bytes(tmp_path / "x", b"y")
    assert (tmp_path / "x").read_bytes() == b"y"


def test_permissions_are_those_of_any_new_file(tmp_path: pathlib.Path) -> None:
    write_bytes(tmp_path / "ours", b"")
    (tmp_path / "theirs").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_the_longest_name_can_be_written(tmp_path: pathlib.Path) -> None:
    path = tmp_path / ("x" * 255)
    write_bytes(path, b"")
    assert path.exists()


def test_only_old_files_of_processes_that_are_gone_are_removed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(process: int, age: float, machine: str | None = None) -> pathlib.Path:
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: process)
            name = temporary_name()
        if machine is not None:
            name = name.replace(files._machine(), machine)
        path = tmp_path / name
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    hour, day = 3700.0, 90_000.0
    removed = [left(GONE, hour), left(os.getpid(), day), left(GONE, day, "0" * 8)]
    kept = [left(GONE, 60), left(os.getpid(), hour), left(GONE, hour, "0" * 8)]
    for name in (".promptfolio-notes.tmp", "promptfolio-00000000-1-00000000.tmp", ".run-abc123.nc"):
        kept.append(tmp_path / name)
        kept[-1].touch()
        os.utime(kept[-1], (0, 0))
    remove_leftovers(tmp_path)
    assert not [path for path in removed if path.exists()]
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    remove_leftovers(tmp_path / "nowhere")


def test_a_process_removes_leftovers_when_it_first_writes(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getpid", lambda: GONE)
    left = tmp_path / temporary_name()
    monkeypatch.undo()
    left.touch()
    os.utime(left, (0, 0))
    write_bytes(tmp_path / "new", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_an_exception_from_a_signal_leaves_nothing(tmp_path: pathlib.Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from simulate.results import files\n"
        "def end(*_): raise SystemExit(3)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "real = os.fsync\n"
        "def slow(handle):\n"
        "    print('writing', flush=True)\n"
        "    import time; time.sleep(60)\n"
        "os.fsync = slow\n"
        "files.write_bytes(pathlib.Path(sys.argv[1], 'x'), b'half')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, alive in ((ProcessLookupError, False), (PermissionError, True), (OverflowError, True)):

        def kill(process: int, signal: int, error: type[Exception] = error) -> None:
            assert (process, signal) == (4711, 0)
            raise error

        monkeypatch.setattr("os.kill", kill)
        assert files._alive(4711) is alive


def test_files_of_processes_that_end_are_removed_and_no_others(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {}
    for process in (11, 12, 111):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        names[process] = temporary_name()
    names[0] = names[11].replace(files._machine(), "0" * 8)
    for name in (*names.values(), "11"):
        (tmp_path / name).touch()
    remove_files_of(tmp_path, {11, 12})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(("11", names[0], names[111]))
    remove_files_of(tmp_path / "nowhere", {11})


def test_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, path = [], tmp_path / "run.nc"

    def fsync(handle: int) -> None:
        found = os.fstat(handle)
        flushed.append((stat.S_ISDIR(found.st_mode), path.exists(), found.st_size))

    monkeypatch.setattr("os.fsync", fsync)
    write_bytes(path, b"whole")
    assert flushed[0] == (False, False, 5)
    assert [folder for folder, _, _ in flushed] == [False, True]
    assert flushed[1][1], "the name must be there before the folder is flushed"
