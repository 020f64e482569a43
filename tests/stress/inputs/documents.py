"""Documents that commands compare with or write into: reports, derivations, records of faults and of speed."""

import os
import pathlib
import random

from tests.stress.case import Case, Materials


def draw(rng: random.Random, materials: Materials) -> Case:
    """One bad document; its place is where the command looks for it."""
    words, name, fields = rng.choice(
        [
            (("derive", "--tags", "T1", "--check", "--out", "d.md"), "d.md", ("out", "d.md")),
            (("derive", "--check"), "docs/derivations.md", ("out", "derivations.md")),
            (("reproduce", "--quick", "--against", "r.md"), "r.md", ("against",)),
            (("check", "--quick", "--mutants", "--record", "r.json"), "r.json", ("record",)),
            (("bench", "--quick", "--cases", "S1", "--record", "b"), "b/README.md", ("record", "README.md")),
            (("figures", "--data", "data"), "data/accuracy.nc", ("data",)),
        ]
    )
    kind = rng.choice(["bytes", "folder", "link to itself", "FIFO", *_further(words[0])])

    def prepare(here: pathlib.Path) -> None:
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(kind, path)

    return Case(words[0], f"document: {kind}", words, fields, True, prepare)


def _further(command: str) -> tuple[str, ...]:
    """Kinds that only some commands must refuse: to others, any text is a stale document, or nothing is there."""
    return {
        "check": ("empty", "text", "wrong JSON", "deep JSON"),
        "bench": ("empty", "text", "half of the markers"),
        "figures": ("missing", "empty", "text"),
        "derive": ("missing",),
        "reproduce": ("missing",),
    }[command]


def _make(kind: str, path: pathlib.Path) -> None:
    if kind == "bytes":
        path.write_bytes(b"\xff\x00" + bytes(range(256)))
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to itself":
        path.symlink_to(path.name)
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind != "missing":
        path.write_text(_TEXTS[kind])


_TEXTS = {
    "empty": "",
    "text": "# A document of another kind\n\nNaN\n",
    "wrong JSON": '[{"mutant": 3, "verdicts": [NaN], "killed": "x"}]',
    "deep JSON": "[" * 100_000,
    "half of the markers": "<!-- begin: results -->\n",
}
