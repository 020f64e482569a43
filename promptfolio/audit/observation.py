"""What an observation's module offers, and the table it shows."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import xarray as xr

from promptfolio.audit.setting import Setting
from promptfolio.checks.claim import Claim, Finding


class Table(NamedTuple):
    """A small table of text.

    Attributes:
        caption: what it shows, one sentence.
        columns: headings; those that start with '>' are aligned right (the sign is dropped).
        rows: one text per column.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class ObservationModule(Protocol):
    """One observation about the released code.

    Attributes:
        ORDER: its place in the report, from the smallest to the largest.
        OBSERVATION: what the released code does, as a claim of provenance "code".
        CHANGES: what that changes in its results, in a few words.
        demonstrate: measure it; deterministic.
        judge: whether the effect showed.
        effect: the effect measured, in one phrase.
        tables: the numbers behind it.
    """

    ORDER: float
    OBSERVATION: Claim
    CHANGES: str
    demonstrate: Callable[[Setting], xr.Dataset]
    judge: Callable[[xr.Dataset], Finding]
    effect: Callable[[xr.Dataset], str]
    tables: Callable[[xr.Dataset], tuple[Table, ...]]
