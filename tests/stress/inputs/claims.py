"""Files of claims that hold none: no Python, no claim, another name, exceptions on import."""

import pathlib
import random
from collections.abc import Callable

from tests.stress.case import Case, Materials

_GOOD = """\
from promptfolio.checks.claims.aggregation import CLAIM, collect, judge
"""


def draw(rng: random.Random, materials: Materials) -> Case:
    """One bad file for `check --claims`, or for `reproduce --claims`."""
    kind, prepare = rng.choice(_files(rng))
    name = "aggregation.py" if kind == "a claim's own name" else "mine.py"

    def prepared(here: pathlib.Path) -> None:
        prepare(here / name)

    command = rng.choice(["check", "check", "reproduce"])
    words: tuple[str, ...] = (command, "--quick", "--claims", name)
    if kind == "one name twice":
        words = (*words, f"deep/{name}")
    return Case(command, kind, words, ("claim", name), True, prepared)


def _files(rng: random.Random) -> list[tuple[str, Callable[[pathlib.Path], object]]]:
    def text(content: str) -> Callable[[pathlib.Path], object]:
        return lambda path: path.write_text(content, encoding="utf-8")

    def twice(path: pathlib.Path) -> None:
        (path.parent / "deep").mkdir()
        for each in (path, path.parent / "deep" / path.name):
            each.write_text(_named("mine"), encoding="utf-8")

    offer = rng.choice(["CLAIM", "collect", "judge"])
    error = rng.choice(
        [
            "ValueError('x\\ny')",
            "SystemExit(0)",
            "SystemExit(7)",
            "MemoryError()",
            "OSError(28)",
        ]
    )
    noise = bytes(rng.randrange(256) for _ in range(500))
    return [
        ("syntax error", text(rng.choice(["def", "x = (", "\tx\n y", "print 'x'", "é = = 1"]))),
        (
            "no Python",
            lambda path: path.write_bytes(rng.choice([noise, b"\x00", b"\xff\xfe", b"PK\x03\x04"])),
        ),
        ("empty", text(rng.choice(["", "\n", "# nothing\n", "'''text'''\n"]))),
        ("lacks a part", text(_named("mine") + f"del {offer}\n")),
        ("another name", text(_GOOD)),
        ("a claim's own name", text(_GOOD)),
        ("wrong type", text(_GOOD + f"CLAIM = {rng.choice(['None', '3', 'type', 'CLAIM.name'])}\n")),
        ("raises on import", text(f"raise {error}\n")),
        ("imports what is not there", text("import nothing_of_this_name\n")),
        ("folder", lambda path: path.mkdir()),
        ("missing", lambda path: None),
        ("link to itself", lambda path: path.symlink_to(path.name)),
        ("recursion", text("def f(): return f()\nf()\n")),
        ("deep nesting", text("x = " + "(" * rng.randint(500, 50_000))),
        ("one name twice", twice),
    ]


def _named(name: str) -> str:
    return f"import dataclasses\n{_GOOD}CLAIM = dataclasses.replace(CLAIM, name={name!r})\n"
