"""Which splits of a bank are trained on, choose θ and are tested on, and which of their images are used."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Int

from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.banks.checks import shortened
from promptfolio.companion.banks.noticing import listed
from promptfolio.companion.banks.repeats import first_occurrences
from promptfolio.companion.study_config import ClipStudy
from simulate.validation import ConfigurationError

_TRAIN = ("train", "training")
_VALIDATION = ("val", "valid", "validation", "dev")


@dataclasses.dataclass(frozen=True, eq=False)
class SplitRoles:
    """The splits of a bank by what a study uses them for, and their images.

    An image whose direction occurs more than once is used once: the first in the order training, validation,
    test, and by row within each. So no test image is also a training image, and where the labels of the two
    contradict each other the earlier one counts.

    Attributes:
        train_split, test_split: names of the splits trained on and tested on.
        validation_split: name of the split that θ is chosen on; `test_split` where a share of that one is.
        train, validation, test: rows of each, in order; no validation rows where a share of the test rows is
            used.
        dropped: rows of these splits that repeat an earlier image and are not used.
        kept: the row that each of them repeats.
        conflicts: True for each of them whose label is not that of the row it repeats.
        train_classes: number of training images of each class, anchors included; shape (classes,).
        notices: what a reader of the results must know about these choices.
    """

    train_split: str
    validation_split: str
    test_split: str
    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]
    test: Int[np.ndarray, " test"]
    dropped: Int[np.ndarray, " dropped"]
    kept: Int[np.ndarray, " dropped"]
    conflicts: Bool[np.ndarray, " dropped"]
    train_classes: Int[np.ndarray, " classes"]
    notices: tuple[str, ...]

    def describe(self) -> dict[str, str | int]:
        """Description for the attributes of a result, to be put AFTER the bank's: "images" counts those used.

        train_split, validation_split and test_split are names; train_images, validation_images and test_images
        count images before any share of the test images is set apart for validation; dropped_images repeat
        another image, and label_conflicts of them contradict its label.
        """
        return {
            "train_split": self.train_split,
            "validation_split": self.validation_split,
            "test_split": self.test_split,
            "images": self.train.size + self.validation.size + self.test.size,
            "train_images": self.train.size,
            "validation_images": self.validation.size,
            "test_images": self.test.size,
            "dropped_images": self.dropped.size,
            "label_conflicts": int(self.conflicts.sum()),
        }


def assign_roles(study: ClipStudy, bank: FeatureBank) -> SplitRoles:
    """Choose the splits of a bank by the study's names for them, and their images.

    Trained on is `study.train_split` if given; else the split called "train", else "val", else the first other
    one with images that is not tested on. θ is chosen on `study.validation_split` if given; else on the split
    called "val" where it is not trained on, and else on a share of the test images, `study.validation_fraction`.
    In a pooled split θ is chosen on what is not trained on, and no validation split is used.

    Raises:
        ConfigurationError: for a split that the bank does not have or that has no image, or when nothing is left
            to train on.
    """
    return _assigned(
        bank,
        study.train_split,
        study.validation_split,
        study.heldout_split,
        study.split == "pooled",
        study.validation_fraction,
    )


# Repeated images are searched once for all replicates, and for all studies of one bank.
@functools.lru_cache(maxsize=4)
def _assigned(
    bank: FeatureBank, train: str, validation: str, test: str, pooled: bool, fraction: float
) -> SplitRoles:
    filled = [name for name in bank.split_names if bank.rows(name).size]
    _require("heldout_split", test, filled)
    if train:
        _require("train_split", train, filled)
    chosen = train or _first(filled, (_TRAIN, _VALIDATION, filled), without=(test, validation))
    if chosen is None:
        raise ConfigurationError(
            "train_split", train, f"{_choices(filled)}, besides those for validation and test"
        )
    if validation:
        _require("validation_split", validation, [name for name in filled if name != chosen])
    shared = (
        validation or (None if pooled else _first(filled, (_VALIDATION,), without=(chosen, test))) or test
    )
    own = np.empty(0, np.intp) if pooled or shared == test else bank.rows(shared)
    parts = (bank.rows(chosen), own, bank.rows(test))

    rows = np.concatenate(parts)
    first = first_occurrences(bank.image_features[rows])
    repeated = first < np.arange(rows.size)
    dropped, kept = rows[repeated], rows[first[repeated]]
    conflicts = bank.labels[dropped] != bank.labels[kept]
    trained, validated, tested = (np.setdiff1d(part, dropped) for part in parts)
    roles = SplitRoles(
        train_split=chosen,
        validation_split=test if pooled else shared,
        test_split=test,
        train=trained,
        validation=validated,
        test=tested,
        dropped=dropped,
        kept=kept,
        conflicts=conflicts,
        train_classes=np.bincount(bank.labels[trained], minlength=bank.classes),
        notices=(),
    )
    return dataclasses.replace(roles, notices=tuple(_notices(roles, bank, train, pooled, fraction)))


def _notices(
    roles: SplitRoles, bank: FeatureBank, asked: str, pooled: bool, fraction: float
) -> Iterator[str]:
    trained, tested = roles.train_split, roles.test_split
    used = {trained, roles.validation_split, tested}
    unused = [
        f"{name!r} ({bank.rows(name).size})"
        for name in bank.split_names
        if name not in used and bank.rows(name).size
    ]
    why = "" if asked or trained.casefold() in _TRAIN else "; none is called 'train'"
    if pooled:
        text = f"splits {trained!r} ({roles.train.size} images{why}) and {tested!r} ({roles.test.size}) are pooled"
    else:
        text = f"trained on split {trained!r} ({roles.train.size} images{why}), tested on {tested!r}"
        text += f" ({roles.test.size})"
        if roles.validation_split == tested:
            text += f"; θ is chosen on {fraction:.0%} of the latter, which are not tested on"
        else:
            text += f"; θ is chosen on {roles.validation_split!r} ({roles.validation.size})"
    if unused:
        text += f"; not used: {', '.join(unused)}"
    yield text
    yield from _repeat_notices(roles, bank)
    yield from _class_notices(roles, bank)


def _repeat_notices(roles: SplitRoles, bank: FeatureBank) -> Iterator[str]:
    if not roles.dropped.size:
        return
    by_split = [
        f"{count} in {name!r}"
        for name, count in zip(bank.split_names, np.bincount(bank.split[roles.dropped]), strict=False)
        if count
    ]
    row, first = roles.dropped[0], roles.kept[0]
    yield (
        f"{roles.dropped.size} {'image repeats' if roles.dropped.size == 1 else 'images repeat'} another one and"
        f" {'is' if roles.dropped.size == 1 else 'are'} not used: {', '.join(by_split)}; the first is row {row},"
        f" which repeats row {first}"
    )
    if roles.conflicts.any():
        worst = int(np.argmax(roles.conflicts))
        row, first = roles.dropped[worst], roles.kept[worst]
        names = [repr(shortened(bank.class_names[bank.labels[each]], 60)) for each in (row, first)]
        yield (
            f"{roles.conflicts.sum()} of the repeated images contradict each other in their labels, the earlier one"
            f" counts: the first is row {row}, {names[0]}, which repeats row {first}, {names[1]}"
        )


def _class_notices(roles: SplitRoles, bank: FeatureBank) -> Iterator[str]:
    tested, untested = (
        np.bincount(bank.labels[rows], minlength=bank.classes) for rows in (roles.test, roles.dropped)
    )
    untrained = np.flatnonzero((roles.train_classes == 0) & (tested > 0))
    if untrained.size:
        yield (
            f"{untrained.size} of the {np.count_nonzero(tested)} classes with test images have no training image:"
            f" {listed(bank.class_names[index] for index in untrained)}"
        )
    lost = np.flatnonzero((tested == 0) & (untested > 0))
    if lost.size:
        yield "without a test image once repeated images are dropped: " + listed(
            bank.class_names[index] for index in lost
        )
    never = np.flatnonzero((tested == 0) & (untested == 0) & (roles.train_classes > 0))
    if never.size:
        yield (
            f"{never.size} of the {np.count_nonzero(roles.train_classes)} classes with training images have no test"
            f" image: {listed(bank.class_names[index] for index in never)}"
        )


def _first(filled: list[str], preferences: Iterable[Iterable[str]], without: tuple[str, ...]) -> str | None:
    """The first split that answers to the names preferred most, whatever the case of its letters."""
    for names in preferences:
        for name in names:
            for own in filled:
                if own.casefold() == name.casefold() and own not in without:
                    return own
    return None


def _require(field: str, name: str, filled: list[str]) -> None:
    if name not in filled:
        raise ConfigurationError(field, name, _choices(filled))


def _choices(filled: list[str]) -> str:
    return f"a split of the bank that has images ({', '.join(filled)})"
