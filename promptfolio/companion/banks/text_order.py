"""Whether a bank's labels, texts and images belong together: by the accuracy of its texts, and of the mean images
of its classes, on its own images.

Texts in another order than the labels, labels numbered from 1 and two exchanged classes leave every shape as it
should be. They show in the texts' confusion matrix: another assignment of texts to classes fits it much better.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from promptfolio.companion.banks.feature_bank import FeatureBank

# Accuracies are known well enough from this many images, spread evenly over the bank.
_MOST_IMAGES = 20_000
_BLOCK_ENTRIES = 2**24
_FEWEST_IMAGES = 5
_MANY, _FEW = 0.5, 0.1
_NEARLY_ALL, _HARDLY_ANY = 0.8, 0.05
# CLIP's texts can reach half of the class means' accuracy on data unlike its training images.
_POOR = 1 / 3
# Another order of the texts is worth a notice when it gains this much accuracy.
_GAIN = 0.1


def text_notices(bank: "FeatureBank") -> Iterator[str]:
    """Sentences on texts that classify the bank's images hardly better than guessing, much worse than the classes'
    mean images, or better in another order."""
    assert bank.text_features is not None
    rows = _sampled(bank)
    labels = bank.labels[rows]
    guessed = _nearest(bank.image_features, rows, bank.text_features)
    confusion = np.zeros((bank.classes, bank.classes))
    np.add.at(confusion, (labels, guessed), 1)
    counts = confusion.sum(axis=1)
    accuracy = float(np.mean(guessed == labels))
    means = float(np.mean(_nearest_mean(bank, rows) == labels))

    assigned = _best_assignment(confusion)
    reassigned = float(confusion[np.arange(bank.classes), assigned].sum() / rows.size)
    shift, shifted = _common_shift(guessed, labels, bank.classes)
    own, other = np.diag(confusion), confusion[np.arange(bank.classes), assigned]
    moved = np.flatnonzero(
        (assigned != np.arange(bank.classes))
        & (counts >= _FEWEST_IMAGES)
        & (other >= _MANY * counts)
        & (own <= _FEW * counts)
    )

    found = f"the texts classify {accuracy:.1%} of the bank's images right"
    if at_chance(accuracy, bank.classes, rows.size):
        yield f"{found}, no better than guessing ({1 / bank.classes:.1%})"
    elif accuracy < _POOR * means:
        yield f"{found}, far less than the {means:.1%} of the classes' mean images"
    if shift and shifted >= max(_MANY * means, accuracy + _GAIN):
        cause = ": are labels numbered from 1?" if shift == -1 else ""
        yield f"{shifted:.1%} of the images are nearest to the text of the class numbered label {shift:+d}{cause}"
    elif moved.size == 2 and assigned[moved[0]] == moved[1] and assigned[moved[1]] == moved[0]:
        yield (
            f"the texts of {_class(bank, moved[0])} and {_class(bank, moved[1])} seem to be exchanged"
            + _shares(confusion, moved, assigned)
        )
    elif moved.size > 1 or (reassigned >= accuracy + _GAIN and reassigned >= _MANY * means):
        yield (
            f"the texts seem to be in another order than the labels: reassigned to the classes they fit best, they"
            f" would classify {reassigned:.1%} instead of {accuracy:.1%} right"
            + (
                f" (images of {_class(bank, moved[0])} fit the text of {_class(bank, assigned[moved[0]])})"
                if moved.size
                else ""
            )
        )
    yield from _misplaced(bank, confusion, counts, moved)


def label_notices(bank: "FeatureBank") -> Iterator[str]:
    """Sentences on splits whose images the classes' mean images classify hardly better than guessing."""
    rows = _sampled(bank)
    right = _nearest_mean(bank, rows) == bank.labels[rows]
    for index, name in enumerate(bank.split_names):
        own = bank.split[rows] == index
        size = int(own.sum())
        if size >= _FEWEST_IMAGES * bank.classes and at_chance(
            accuracy := float(right[own].mean()), bank.classes, size
        ):
            yield (
                f"the labels of split {name!r} seem unrelated to its images: the classes' mean images classify"
                f" {accuracy:.1%} of it right, no better than guessing ({1 / bank.classes:.1%})"
            )


def at_chance(accuracy: float, classes: int, images: int) -> bool:
    """Whether an accuracy is no higher than guessing between equally frequent classes could give by luck: by two
    standard deviations, but at most a tenth of the way to 1.

    Example:
        >>> at_chance(0.1, 10, 1000), at_chance(0.2, 10, 1000)
        (True, False)
    """
    chance = 1 / classes
    deviation = np.sqrt(chance * (1 - chance) / images)
    return bool(accuracy <= chance + min(2 * deviation, 0.1 * (1 - chance)))


def _misplaced(
    bank: "FeatureBank", confusion: np.ndarray, counts: np.ndarray, moved: np.ndarray
) -> Iterator[str]:
    """Single classes nearly all of whose images go to one other class, other than those already named."""
    if moved.size:
        return
    largest = confusion.argmax(axis=1)
    share = confusion.max(axis=1) / np.maximum(counts, 1)
    own = np.diag(confusion) / np.maximum(counts, 1)
    lost = np.flatnonzero((counts >= _FEWEST_IMAGES) & (share >= _NEARLY_ALL) & (own <= _HARDLY_ANY))
    if lost.size and lost.size < bank.classes / 2:
        first = lost[0]
        more = f"; {lost.size - 1} more classes are like it" if lost.size > 1 else ""
        yield (
            f"the texts take {share[first]:.0%} of the images of {_class(bank, first)} for"
            f" {_class(bank, largest[first])}{more}"
        )


def _best_assignment(confusion: Float[np.ndarray, "classes classes"]) -> Int[np.ndarray, " classes"]:
    """The text of each class that fits most images in all, its own where that does as well."""
    favoured = confusion + 0.5 * np.eye(confusion.shape[0])
    return scipy.optimize.linear_sum_assignment(favoured, maximize=True)[1]


def _common_shift(guessed: np.ndarray, labels: np.ndarray, classes: int) -> tuple[int, float]:
    """The most frequent difference between the class of the nearest text and the label, and how frequent it is."""
    counts = np.bincount(guessed - labels + classes)
    return int(counts.argmax()) - classes, float(counts.max() / labels.size)


def _sampled(bank: "FeatureBank") -> Int[np.ndarray, " rows"]:
    images = bank.labels.size
    return np.linspace(0, images - 1, min(images, _MOST_IMAGES)).round().astype(np.intp)


def _nearest(features: np.ndarray, rows: np.ndarray, texts: np.ndarray) -> Int[np.ndarray, " rows"]:
    block = max(1, _BLOCK_ENTRIES // (texts.shape[0] + texts.shape[1]))
    return np.concatenate(
        [
            (features[rows[start : start + block]] @ texts.T).argmax(axis=1)
            for start in range(0, rows.size, block)
        ]
    )


def _nearest_mean(bank: "FeatureBank", rows: np.ndarray) -> Int[np.ndarray, " rows"]:
    """The class whose mean image is nearest to each image, without the image itself in its own class's mean."""
    labels = bank.labels[rows]
    counts = np.bincount(labels, minlength=bank.classes)
    sums = np.zeros((bank.classes, bank.dim), np.float32)
    np.add.at(sums, labels, bank.image_features[rows])
    # A mean may be zero, of images that cancel each other; nothing is near to it.
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    nearest = []
    block = max(1, _BLOCK_ENTRIES // (bank.classes + bank.dim))
    for start in range(0, rows.size, block):
        images, own = bank.image_features[rows[start : start + block]], labels[start : start + block]
        without = sums[own] - images
        with np.errstate(divide="ignore", invalid="ignore"):
            similarity = images @ means.T
            left_out = (without * images).sum(axis=1) / np.linalg.norm(without, axis=1)
        similarity[np.arange(own.size), own] = np.where(counts[own] > 1, left_out, np.nan)
        nearest.append(np.where(np.isnan(similarity), -np.inf, similarity).argmax(axis=1))
    return np.concatenate(nearest)


def _class(bank: "FeatureBank", index: int | np.integer) -> str:
    return repr(bank.class_names[index])


def _shares(confusion: np.ndarray, moved: np.ndarray, assigned: np.ndarray) -> str:
    shares = [confusion[index, assigned[index]] / confusion[index].sum() for index in moved]
    return f": {shares[0]:.0%} and {shares[1]:.0%} of their images are taken for the other's"
