"""Outputs where none can be written, or none should be: devices, pipes, links, folders, other files' places."""

import functools
import os
import pathlib
import random
import socket
from collections.abc import Callable
from typing import NamedTuple

from tests.stress.case import Case, Materials
from tests.stress.inputs import commands
from tests.stress.inputs.commands import Flag


class Target(NamedTuple):
    """A path to write to.

    Attributes:
        kind: what is special about it.
        path: the path, relative to the command's folder.
        must: whether it has to be refused.
        prepare: makes what stands in the way.
    """

    kind: str
    path: str
    must: bool
    prepare: Callable[[pathlib.Path], object] | None = None


_NAME_MAX = 255


def draw(rng: random.Random, materials: Materials) -> Case:
    """One bad target for one of a command's outputs."""
    flag = rng.choice(_flags())
    folder = (flag.command, flag.field) in commands.FOLDERS or flag.field == "compilation_cache"
    targets = _folder_targets(rng) if folder else _file_targets(rng)
    slow = flag.command in commands.SLOW or (flag.command, flag.field) == ("check", "record")
    # What may be accepted is drawn less often: most of it trains something.
    target = rng.choice([each for each in targets if each.must or (not slow and rng.random() < 0.25)])
    words = _needing(flag, commands.without(commands.TINY[flag.command], flag))
    inputs = commands.files_for(flag.command, materials)

    def prepare(here: pathlib.Path) -> None:
        inputs(here)
        if target.prepare is not None:
            target.prepare(here)

    attached = rng.random() < 0.5 or target.path.startswith("-")
    given = (f"{flag.word}={target.path}",) if attached else (flag.word, target.path)
    fields = (*flag.names, "output", *(("data",) if flag.command == "figures" else ()))
    return Case(flag.command, target.kind, (flag.command, *words, *given), fields, target.must, prepare)


@functools.cache
def _flags() -> tuple[Flag, ...]:
    return tuple(flag for flag in commands.flags() if flag.is_path)


def _needing(flag: Flag, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words, with the flags without which this one is not allowed."""
    return (*words, "--mutants") if (flag.command, flag.field) == ("check", "record") else words


def _file_targets(rng: random.Random) -> list[Target]:
    word = rng.choice(["x", "run", "é", "[red]", "a b", "results"])
    return [
        *_anywhere(word),
        Target("folder as a file", "there", True, lambda here: (here / "there").mkdir()),
        Target("full folder as a file", "there", True, _full_folder),
        Target("folder with a slash", f"{word}/", False),
        Target("this folder", rng.choice([".", "..", "/", "./", "", "there/.."]), True, _full_folder),
        Target("device", "device", True, _device),
        Target("FIFO", "pipe", True, lambda here: os.mkfifo(here / "pipe")),
        Target("socket", "socket", True, _socket),
        Target("link to a folder", "link", True, _link("there", _full_folder)),
        Target("link to a FIFO", "link", True, _link("pipe", lambda here: os.mkfifo(here / "pipe"))),
        Target("link to a device", "link", True, _link("device", _device)),
        Target("link to a file", "link", False, _link("file", _file)),
        Target("link to nothing", "link", False, _link("nothing")),
        Target("existing file", "file", False, _file),
        Target("read-only file", "file", False, _read_only),
    ]


def _folder_targets(rng: random.Random) -> list[Target]:
    word = rng.choice(["x", "run", "é", "[red]", "a b", "results"])
    return [
        *_anywhere(word),
        Target("file as a folder", "file", True, _file),
        Target("file as a folder", "file/", True, _file),
        Target("device", "device", True, _device),
        Target("FIFO", "pipe", True, lambda here: os.mkfifo(here / "pipe")),
        Target("link to a file", "link", True, _link("file", _file)),
        Target("full folder", "there", False, _full_folder),
        Target("link to a folder", "link", False, _link("there", _full_folder)),
    ]


def _anywhere(word: str) -> list[Target]:
    return [
        Target("below a file", f"file/{word}", True, _file),
        Target("below a device", f"device/{word}", True, _device),
        Target("below a FIFO", f"pipe/{word}", True, lambda here: os.mkfifo(here / "pipe")),
        Target("below a link to itself", f"link/{word}", True, _link("link")),
        Target("link to itself", "link", True, _link("link")),
        Target("name too long", word * (_NAME_MAX + 1), True),
        Target("name too long", "é" * (_NAME_MAX + 1), True),
        Target("path too long", "/".join([word[:100]] * 5000), True),
        Target("name at the limit", "n" * _NAME_MAX, False),
        Target("missing folder", f"deep/deeper/{word}", False),
        Target("line break", f"{word}\n{word}", False),
        Target("control", f"\x1b[31m{word}\x07", False),
        Target("surrogate", f"{word}\udcff", False),
        Target("markup", "[bold red]x[/]", False),
        Target("like a flag", "-x", False),
        Target("two dots", f"there/../{word}", False, _full_folder),
    ]


def _file(here: pathlib.Path) -> None:
    (here / "file").write_text("in the way\n")


def _read_only(here: pathlib.Path) -> None:
    _file(here)
    (here / "file").chmod(0o444)


def _full_folder(here: pathlib.Path) -> None:
    (here / "there").mkdir()
    (here / "there" / "kept").write_text("kept\n")


def _device(here: pathlib.Path) -> None:
    """A device of the folder's own, a twin of /dev/full, as writing in its place would replace the real one."""
    try:
        os.mknod(here / "device", 0o666 | 0o020000, os.makedev(1, 7))
    except PermissionError:  # not allowed to users
        os.mkfifo(here / "device")


def _socket(here: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        before = pathlib.Path.cwd()
        os.chdir(here)  # the path of a socket has to be short
        try:
            listening.bind("socket")
        finally:
            os.chdir(before)


def _link(to: str, make: Callable[[pathlib.Path], object] | None = None) -> Callable[[pathlib.Path], object]:
    def prepare(here: pathlib.Path) -> None:
        if make is not None:
            make(here)
        (here / "link").symlink_to(to)

    return prepare
