"""The commands as their own declarations describe them, and small valid words for each."""

import dataclasses
import pathlib
import shutil
import types
import typing
from typing import Any, Literal, NamedTuple, get_args, get_origin

from tests.stress.case import SWEEP, Materials

TINY: dict[str, tuple[str, ...]] = {
    "simulate": (
        "--clients",
        "2",
        "--samples",
        "4",
        "--noise-dim",
        "30",
        "--rounds",
        "2",
        "--theta",
        "0",
        "1",
    ),
    "mixing": (
        *("--clients", "2", "--noise-dim", "60", "--rounds", "1", "2", "--theta-step", "0.5"),
        *("--schemes", "posthoc"),
    ),
    "clip": (
        *("--clients", "2", "--rounds", "1", "--replicates", "1", "--trained-theta", "0.5"),
        *("--theta-step", "0.5", "--schemes", "posthoc"),
    ),
    "sweep": ("spec.toml", "--out", "results", "--workers", "0"),
    "check": ("--quick", "--claims", "aggregation"),
    "derive": ("--tags", "T1"),
    "figures": (),
    "plot": ("run.nc", "--out", "picture.png"),
    "audit": ("--quick",),
    "bench": ("--quick", "--cases", "S1"),
    "reproduce": ("--quick",),
}
"""Words with which a command is valid and, if it can be, quick."""

SLOW = ("audit", "bench", "reproduce")
"""Commands that take long even so: they get only what has to be refused."""


class Flag(NamedTuple):
    """A flag of a command.

    Attributes:
        command: the command's name.
        field: the flag's name in the command's declaration.
        type: of one value.
        several: whether it takes any number of values.
        optional: whether it may be left out with None.
        positional: whether it is a word without a flag.
    """

    command: str
    field: str
    type: Any
    several: bool
    optional: bool
    positional: bool

    @property
    def word(self) -> str:
        """As it is written."""
        return "--" + self.field.replace("_", "-")

    @property
    def names(self) -> tuple[str, ...]:
        """How a message may refer to it."""
        singular = self.field.removesuffix("s") if self.several else self.field
        return self.field, self.word, singular

    @property
    def is_path(self) -> bool:
        """Whether it names something to write."""
        return self.type is str and self.field in WRITTEN


WRITTEN = ("out", "json", "report", "record", "pictures", "figure", "compilation_cache")
"""Flags that name a file or a folder to write."""
FOLDERS = {
    ("mixing", "out"),
    ("clip", "out"),
    ("sweep", "out"),
    ("figures", "out"),
    ("reproduce", "out"),
    ("reproduce", "pictures"),
    ("bench", "record"),
}
"""Those that name a folder, beside every `compilation_cache`."""


def flags() -> tuple[Flag, ...]:
    """Every flag of every command."""
    from promptfolio.cli import application

    classes = [get_args(each)[0] for each in get_args(application.Command)]
    return tuple(flag for each in classes for flag in _flags_of(each.__name__.lower(), each))


def _flags_of(command: str, declared: type) -> list[Flag]:
    found = []
    hints = typing.get_type_hints(declared, include_extras=True)
    for field in dataclasses.fields(declared):
        hint = hints[field.name]
        positional = "Positional" in repr(hint)
        if get_origin(hint) is typing.Annotated:
            hint = get_args(hint)[0]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            found += _flags_of(command, hint)
            continue
        optional = get_origin(hint) in (types.UnionType, typing.Union) and type(None) in get_args(hint)
        if optional:
            (hint,) = (each for each in get_args(hint) if each is not type(None))
        several = get_origin(hint) is tuple
        inner = get_args(hint)[0] if several else hint
        found.append(Flag(command, field.name, inner, several, optional, positional))
    return found


def is_choice(type_: Any) -> bool:
    """Whether a flag takes one of a few words."""
    return get_origin(type_) is Literal


def is_pair(type_: Any) -> bool:
    """Whether a flag takes names with numbers."""
    return get_origin(type_) is tuple


def without(words: tuple[str, ...], flag: Flag) -> tuple[str, ...]:
    """Words of a command without one of its flags and that flag's values."""
    if flag.positional:
        return words[1:]
    kept, dropping = [], False
    for word in words:
        if word.startswith("--"):
            dropping = word == flag.word
        if not dropping:
            kept.append(word)
    return tuple(kept)


def files_for(command: str, materials: Materials) -> Any:
    """What puts a command's own input files into its folder."""

    def prepare(folder: pathlib.Path) -> None:
        if command == "sweep":
            (folder / "spec.toml").write_text(SWEEP, encoding="utf-8")
        if command == "plot":
            shutil.copy(materials.result, folder / "run.nc")

    return prepare
