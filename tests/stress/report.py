"""Counts of outcomes, as tables to read and as a document."""

import collections
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata

Counts = Mapping[str, Mapping[str, int]]
"""How often each outcome occurred, by row."""


def counted(pairs: Iterable[tuple[str, str]]) -> dict[str, collections.Counter[str]]:
    """Outcomes counted by row, rows in alphabetical order."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row, outcome in pairs:
        counts[row][outcome] += 1
    return dict(sorted(counts.items()))


def markdown_table(title: str, counts: Counts, outcomes: Sequence[str]) -> str:
    """Counts as a Markdown table with totals; every outcome has its column, whether it occurred or not."""
    rows = [
        [row, *(found.get(each, 0) for each in outcomes), sum(found.values())]
        for row, found in counts.items()
    ]
    totals = ["**all**", *(sum(found.get(each, 0) for found in counts.values()) for each in outcomes)]
    rows.append([*totals, sum(sum(found.values()) for found in counts.values())])
    lines = [
        f"| {' | '.join([title, *outcomes, 'all'])} |",
        f"|---{'|--:' * (len(outcomes) + 1)}|",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
    ]
    return "\n".join(lines)


def versions() -> str:
    """Versions of what was tested and of what it stands on, in words."""
    names = ("promptfolio", "jax", "numpy", "scipy", "xarray", "h5netcdf", "h5py", "distributed")
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"Python {platform.python_version()}, {packages}"


def machine(cores: int) -> str:
    """The machine, in words."""
    return f"{platform.system()}, {platform.machine()}, {cores} core{'s' if cores > 1 else ''} used"
