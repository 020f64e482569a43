"""One bad input: the command that gets it, the files it is given, and what must become of it."""

import dataclasses
import pathlib
import random
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Materials:
    """Good inputs, made once, that generators damage.

    Attributes:
        result: netCDF file of `promptfolio simulate`.
        sweep: folder with the results of `SWEEP`.
        bank: feature bank, .npz.
    """

    result: pathlib.Path
    sweep: pathlib.Path
    bank: pathlib.Path


SWEEP = """\
[experiment]
clients = 2
samples = 4
noise_dim = 30
rounds = 2
theta = [0, 1]

[grid]
seed = [0, 1]
"""
"""A sweep of two cells."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One input and what is expected of it.

    Attributes:
        command: the command, or the function of the library, that gets the input.
        kind: what is wrong with it, in a word or two.
        words: words of the command line after the program's name; empty for a function.
        fields: names, one of which a refusal has to mention.
        must: whether it has to be refused; otherwise it may be accepted, with finite results.
        prepare: puts the input's files into the folder in which it runs.
        call: the function instead of a command; it raises what refuses the input.
    """

    command: str
    kind: str
    words: tuple[str, ...]
    fields: tuple[str, ...]
    must: bool
    prepare: Callable[[pathlib.Path], object] | None = None
    call: Callable[[], object] | None = None


class WrongNumbers(Exception):
    """A damaged file was read as if nothing had happened to it."""


Draw = Callable[[random.Random, Materials], Case]
"""A generator: it draws one input."""


def written(**files: bytes | str) -> Callable[[pathlib.Path], None]:
    """A `Case.prepare` that writes files; two underscores in a name stand for its dot."""

    def prepare(folder: pathlib.Path) -> None:
        for name, content in files.items():
            data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
            (folder / name.replace("__", ".")).write_bytes(data)

    return prepare
