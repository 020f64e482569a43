"""Counts of outcomes, as tables to read and as a document."""

import collections
import pathlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata

from tests.stress.faults.aftermath import BAD, SURVIVED
from tests.stress.judge import BAD_ENDS, GOOD_ENDS

_ENDS = (*GOOD_ENDS, *BAD_ENDS)
_FATES = (SURVIVED, *BAD)
_TEMPLATE = pathlib.Path(__file__).with_name("reliability.md.in")


class Counts:
    """How often each outcome occurred.

    Attributes:
        seconds: how long it all took.
    """

    def __init__(self) -> None:
        self._inputs: list[tuple[str, str, str]] = []
        self._faults: list[tuple[str, str, str]] = []
        self._console = 0
        self.seconds = 0.0

    def add_input(self, command: str, kind: str, word: str, console: bool) -> None:
        """Count an input: who got it, what was wrong with it, the outcome, whether the installed program ran."""
        self._inputs.append((command, kind, word))
        self._console += console

    def add_fault(self, target: str, kind: str, word: str) -> None:
        """Count a fault: the command, the kind and the outcome."""
        self._faults.append((target, kind, word))

    def tables(self) -> str:
        """Both tables by command, as Markdown; outcomes that did not occur have their columns, too."""
        parts = []
        if self._inputs:
            parts.append(_table("inputs of", ((row, word) for row, _, word in self._inputs), _ENDS))
        if self._faults:
            parts.append(_table("faults in", ((row, word) for row, _, word in self._faults), _FATES))
        return "\n\n".join(parts)

    def sentence(self) -> str:
        """All counts in one sentence."""
        bad = sum(word in BAD_ENDS for *_, word in self._inputs) + sum(
            word in BAD for *_, word in self._faults
        )
        return (
            f"{len(self._inputs)} inputs ({self._console} through the installed program) and"
            f" {len(self._faults)} faults in {self.seconds / 60:.1f} minutes: {bad} bad outcomes."
        )

    def document(self, seed: int, lanes: int) -> str:
        """What `docs/reliability.md` holds."""
        by_kind = _table("kind of fault", ((kind, word) for _, kind, word in self._faults), _FATES)
        wrong = _table("what is wrong", ((kind, word) for _, kind, word in self._inputs), _ENDS)
        processes = f"{lanes} process{'es' if lanes > 1 else ''} at a time"
        return _TEMPLATE.read_text(encoding="utf-8").format(
            sentence=self.sentence(),
            seed=seed,
            versions=_versions(),
            machine=f"{platform.system()} on {platform.machine()}, {processes}",
            tables=self.tables(),
            by_kind=by_kind,
            wrong=wrong,
        )


def _table(title: str, pairs: Iterable[tuple[str, str]], outcomes: Sequence[str]) -> str:
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row, outcome in pairs:
        counts[row][outcome] += 1
    rows = [_row(row, counts[row], outcomes) for row in sorted(counts)]
    total: collections.Counter[str] = sum(counts.values(), collections.Counter())
    lines = [f"| {' | '.join([title, *outcomes, 'all'])} |", f"|---{'|--:' * (len(outcomes) + 1)}|"]
    return "\n".join([*lines, *rows, _row("**all**", total, outcomes)])


def _row(title: str, found: Mapping[str, int], outcomes: Sequence[str]) -> str:
    return f"| {' | '.join([title, *(str(found.get(each, 0)) for each in outcomes), str(sum(found.values()))])} |"


def _versions() -> str:
    names = ("promptfolio", "jax", "numpy", "scipy", "xarray", "h5netcdf", "h5py", "distributed")
    found = [f"{name} {metadata.version(name)}" for name in names]
    return ", ".join([f"Python {platform.python_version()}", *found])
