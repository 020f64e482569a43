"""What a bank's names, labels and texts look like that its user must know."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from promptfolio.companion.banks.checks import shortened
from promptfolio.companion.banks.repeats import first_occurrences
from promptfolio.companion.banks.text_order import label_notices, text_notices

if TYPE_CHECKING:
    from promptfolio.companion.banks.feature_bank import FeatureBank

# What other programs write where a name is missing.
_MISSING = ("nan", "none", "null", "n/a", "<na>")
_SHOWN = 3


def notices_about(bank: "FeatureBank") -> Iterator[str]:
    """Sentences on what is unusual in a bank; none for a bank that is as expected."""
    yield from _name_notices(bank)
    yield from _class_notices(bank)
    yield from label_notices(bank)
    if bank.text_features is not None:
        yield from text_notices(bank)


def listed(names: Iterable[str]) -> str:
    """The first names of several, quoted, and how many more there are.

    Example:
        >>> listed(["ant", "bee"]), listed(["ant", "bee", "cat", "dog", "eel"])
        ("'ant', 'bee'", "'ant', 'bee', 'cat' and 2 more")
    """
    every = [repr(shortened(name, 60)) for name in names]
    text = ", ".join(every[:_SHOWN])
    return text if len(every) <= _SHOWN else f"{text} and {len(every) - _SHOWN} more"


def _name_notices(bank: "FeatureBank") -> Iterator[str]:
    for index, name in enumerate(bank.class_names):
        if name.strip().casefold() in _MISSING:
            yield f"class {index} of the bank is called {name!r}, which often stands for a missing name"
            break
    for kind, other, equal in (
        ("names", "names", _equal_names(bank.class_names)),
        ("texts", "text features", _equal_texts(bank)),
    ):
        if equal:
            first, second = equal[0]
            pairs = "1 pair" if len(equal) == 1 else f"{len(equal)} pairs"
            shown = (
                f"classes {first} ({bank.class_names[first]!r}) and {second} ({bank.class_names[second]!r})"
            )
            told = "" if kind == "names" else ", which no image can tell apart without prompts"
            yield f"{pairs} of classes of the bank have equal {other}{told}: first {shown}"


def _equal_names(names: tuple[str, ...]) -> list[tuple[int, int]]:
    seen: dict[str, int] = {}
    return [(seen[name], index) for index, name in enumerate(names) if seen.setdefault(name, index) != index]


def _equal_texts(bank: "FeatureBank") -> list[tuple[int, int]]:
    if bank.text_features is None:
        return []
    first = first_occurrences(bank.text_features)
    return [(int(first[index]), int(index)) for index in np.flatnonzero(first < np.arange(first.size))]


def _class_notices(bank: "FeatureBank") -> Iterator[str]:
    empty = np.flatnonzero(np.bincount(bank.labels, minlength=bank.classes) == 0)
    if empty.size:
        text = f"without any image among the bank's {bank.classes} classes: "
        text += listed(bank.class_names[index] for index in empty)
        if empty[0] == 0 and (empty.size == 1 or bank.labels.max() == bank.classes - 1):
            text += " (class 0 is one of them: labels must be numbered from 0)"
        yield text
