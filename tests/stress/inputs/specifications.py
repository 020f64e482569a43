"""Specifications of sweeps, as text and as tables, that are no such thing or contradict themselves."""

import functools
import random
from collections.abc import Callable
from typing import Any

from tests.stress.case import SWEEP, Case, Materials, written

Document = dict[str, Any]


class Raw(str):
    """Text that stands in TOML as it is: dates, numbers with underscores, ranges."""


def draw(rng: random.Random, materials: Materials) -> Case:
    """One bad specification, with --status, which reads it and computes nothing."""
    if rng.random() < 0.15:
        return _of_bytes(rng)
    document: Document = {
        "experiment": {"clients": 2, "noise_dim": 30, "rounds": 2},
        "grid": {"seed": [0, 1]},
    }
    kind, fields, must = rng.choice(_CHANGES)(rng, document)
    return _case(kind, toml(document), (*fields, "spec"), must)


def _case(kind: str, content: bytes | str, fields: tuple[str, ...], must: bool) -> Case:
    words = ("sweep", "spec.toml", "--out", "results", "--status")
    return Case("sweep", kind, words, fields, must, written(spec__toml=content))


def _of_bytes(rng: random.Random) -> Case:
    """Files that are no TOML, or no text, or nothing at all."""
    good = SWEEP.encode()
    place = rng.randrange(len(good))
    must = True
    kind, content = rng.choice(
        [
            ("no TOML", b"clients = \n" + good),
            ("no TOML", good[:place].rstrip() + b"\n= = ="),
            ("bytes", bytes(rng.randrange(256) for _ in range(rng.randint(1, 3000))) + b"\xff"),
            ("no UTF-8", good + b"\n# \xff\xfe"),
            ("surrogate", good + b'\n[x]\n"\xed\xb3\xbf" = 1'),
            ("UTF-16", good.decode().encode("utf-16")),
            ("control", good[:place] + b"\x00" + good[place:]),
            ("deep nesting", b"x = " + b"[" * rng.randint(10**3, 10**5)),
            ("deep nesting", b"[grid]\nseed = " + b"[" * 300 + b"]" * 300),
            ("long key", b"[experiment]\n" + b"k" * 30_000 + b" = 1"),
            ("repeated key", good + b"\nseed = [1]\n"),
            ("repeated table", good + b"\n[grid]\n"),
            ("huge number", b"[grid]\nseed = [" + b"9" * 5000 + b"]"),
            ("huge table", b"[grid]\nrounds = [" + b"1," * rng.randint(10, 10**5) + b"]"),
            ("zip archive", b"PK\x03\x04" + bytes(200)),
            ("empty", b""),
        ]
    )
    must = kind != "empty"
    if rng.random() < 0.06:
        words = ("sweep", "spec.toml", "--out", "results", "--status")
        folder = Case("sweep", "folder", words, ("spec",), True, lambda here: (here / "spec.toml").mkdir())
        return rng.choice([folder, _of_cells(rng)])
    return _case(kind, content, ("spec", "table", "grid", "experiment", "seed", "rounds", "x", "k"), must)


def _of_cells(rng: random.Random) -> Case:
    """More cells than a sweep may have."""
    points = rng.randint(400, 10**5)
    ranges = f"{{ from = 0, to = {points - 1}, points = {points} }}"
    text = f"[grid]\nseed = {ranges}\nrounds = {{ from = 1, to = {points}, points = {points} }}\n"
    return _case("too many cells", text, ("grid", "cells", "seed"), True)


_JUNK: tuple[Any, ...] = (
    True,
    "x",
    "",
    "[red]",
    Raw("1979-05-27"),
    Raw("07:32:00"),
    Raw("1979-05-27T07:32:00Z"),
    Raw("nan"),
    Raw("-inf"),
    Raw("inf"),
    -1,
    -(10**30),
    [[[]]],
    [{}],
    [[1, 2], [3]],
    {"a": 1},
    {"from": 0},
    {"from": 1, "to": 0, "points": 3},
    {"from": 0, "to": 1, "points": 10**9},
    {"from": 0, "to": 1, "points": 1},
    {"from": 0, "to": 1, "points": 2.5},
    {"from": 0, "to": Raw("inf"), "points": 3},
    {"from": "a", "to": "b", "points": 3},
    {"from": 0, "to": 1, "points": 3, "spacing": "log"},
    {"from": 1, "to": 9, "points": 3, "spacing": "cubic"},
    {"from": 1, "to": 9, "points": 3, "step": 1},
    [True],
    [Raw("nan")],
    ["x", 1],
    10**400,
    "\u202e",
    "a\nb",
    "x" * 9000,
)


@functools.cache
def _kinds() -> dict[str, str]:
    from promptfolio.sweep.fields import field_kinds

    return {field: str(kind) for field, kind in field_kinds().items()}


def _bad_value(rng: random.Random, field: str) -> Any:
    while True:
        value = rng.choice(_JUNK)
        seeds = field in ("seed", "prompt_dim") and isinstance(value, int) and value > 0
        if not seeds and not (_kinds()[field] == "options" and value in ({"a": 1},)):
            return value


_MAY_BE_NEGATIVE = ("activation_parameter",)


def _must(field: str, value: Any) -> bool:
    empty = isinstance(value, str) and not isinstance(value, Raw) and value == ""
    return not (empty or (field in _MAY_BE_NEGATIVE and isinstance(value, int)))


def _shared_value(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    field = rng.choice(sorted(_kinds()))
    value = _bad_value(rng, field)
    document["grid"].pop(field, None)
    document["experiment"][field] = value
    return f"{_described(value)} for a field", (field,), _must(field, value)


def _varied_value(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    field = rng.choice(sorted(_kinds()))
    value = _bad_value(rng, field)
    document["experiment"].pop(field, None)
    good = {"seed": [0], "clients": [2, 3]}.get(field, [])
    document["grid"][field] = value if rng.random() < 0.2 else [*good, value]
    return f"{_described(value)} in the grid", (field,), _must(field, value)


def _described(value: Any) -> str:
    if isinstance(value, Raw):
        return "NaN or infinity" if "n" in value else "date"
    if isinstance(value, dict):
        return "range" if "from" in value else "table"
    names = {bool: "boolean", str: "text", list: "list", int: "huge or negative number"}
    return names[type(value)]


def _unknown_name(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    name = rng.choice(
        ["colour", "Clients", "clients ", "", "Ω", "a\nb", "__class__", "x" * 5000, "[x]", "\x1b[31m"]
    )
    table = rng.choice(["experiment", "grid", ""])
    (document[table] if table else document)[name] = [1]
    return "unknown name", (name[:40] or table or "table", "experiment", "grid", "table"), True


def _former_name(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    from simulate.former_names import FIELDS

    field = rng.choice(sorted(FIELDS))
    document[rng.choice(["experiment", "grid"])][field] = [1]
    return "former name", (field,), True


def _twice(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    document["together"] = [{rng.choice(["clients", "seed"]): [2, 3]}]
    return "field in two tables", ("clients", "seed"), True


def _repeated(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    document["grid"]["seed"] = [rng.choice([0, 7])] * rng.randint(2, 50)
    return "repeated value", ("seed",), True


def _unequal(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    lengths = rng.sample(range(1, 9), 2)
    document["together"] = [
        {"local_steps": list(range(1, lengths[0] + 1)), "replicates": list(range(1, lengths[1] + 1))}
    ]
    return "unequal lengths", ("together",), True


def _wrong_table(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    table = rng.choice(["experiment", "grid", "together"])
    document[table] = rng.choice([1, "x", True, Raw("nan"), [1], [[]], Raw("1979-05-27"), [{}], {"a": {}}])
    return "no table", (table,), True


def _contradiction(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    field, values = rng.choice(
        [
            ("record", [[rng.randint(3, 10**6)]]),
            ("groups", [[0, 2]]),
            ("samples", [[1, 2, 3]]),
            ("theta", [[0, 0]]),
            ("theta", [1.5]),
            ("class_prior", [[0.5, 0.5, 0.5]]),
            ("prompt_dim", [3]),
            ("participation", [0]),
            ("optimizer", ["sgd", "no_such"]),
            ("engine", ["gram", "no_such"]),
        ]
    )
    document["grid"][field] = values
    return "contradiction in a cell", (field,), True


def _empty(rng: random.Random, document: Document) -> tuple[str, tuple[str, ...], bool]:
    document["grid"] = {rng.choice(["seed", "rounds", "theta"]): []}
    return "empty list", ("seed", "rounds", "theta"), True


_CHANGES: tuple[Callable[[random.Random, Document], tuple[str, tuple[str, ...], bool]], ...] = (
    *(_shared_value,) * 6,
    *(_varied_value,) * 6,
    _unknown_name,
    _former_name,
    _twice,
    _repeated,
    _unequal,
    _wrong_table,
    _contradiction,
    _empty,
)


def toml(document: Document) -> str:
    """A document as TOML, one line per entry."""
    plain = {name: value for name, value in document.items() if not isinstance(value, dict)}
    lines = [f"{_key(name)} = {_value(value)}" for name, value in plain.items()]
    for name, table in document.items():
        if isinstance(table, dict):
            lines += [f"[{_key(name)}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    escaped = "".join(f"\\u{ord(each):04x}" if ord(each) < 32 else each for each in name)
    return f'"{escaped}"'


def _value(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _key(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)
