"""Accuracy of the class anchors without any prompt: zero-shot classification, where the anchors are class texts."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from promptfolio.companion.client_splits import ClientSplits
from promptfolio.companion.evaluate import accuracy_of, group_images

_RESOLUTION = 1e-6
"""Difference of two cosines that float32 may not tell apart."""


class Baseline(NamedTuple):
    """Accuracies of the anchors as fractions, NaN for a group of classes without test images.

    Attributes:
        accuracy: on each client's validation and test images; shape (splits, seeds, clients).
        group_accuracy: on all test images of classes with and without training images; shape (groups, seeds).
        tied: number of held-out images whose true class and best rival float32 may not tell apart; shape (seeds,).
    """

    accuracy: Float[np.ndarray, "splits seeds clients"]
    group_accuracy: Float[np.ndarray, "groups seeds"]
    tied: Int[np.ndarray, " seeds"]


def baseline_margins(splits: ClientSplits) -> Float[np.ndarray, "seeds clients samples"]:
    """Cosine of each held-out image with its class's anchor minus the largest other one, in double precision."""
    margins = np.empty(splits.labels.shape)
    anchors = np.asarray(splits.replicates.anchors, np.float64)
    for seed, images in enumerate(np.asarray(splits.replicates.held_out)):
        for client, own in enumerate(images):
            cosines = own.astype(np.float64) @ anchors[seed].T
            labels = splits.labels[seed, client][:, None]
            true = np.take_along_axis(cosines, labels, axis=1)[:, 0]
            np.put_along_axis(cosines, labels, -np.inf, axis=1)
            margins[seed, client] = true - cosines.max(axis=1)
    return margins


def baseline_of(margins: Float[np.ndarray, "seeds clients samples"], splits: ClientSplits) -> Baseline:
    """Accuracies from `baseline_margins`. The logit scale, which is positive, makes no difference to them."""
    groups = group_images(splits)
    with np.errstate(invalid="ignore"):
        group_accuracy = ((margins > 0) & groups).sum(axis=(2, 3)) / groups.sum(axis=(2, 3))
    real = splits.validation | splits.test
    return Baseline(
        np.stack([accuracy_of(margins, mask) for mask in (splits.validation, splits.test)]),
        group_accuracy,
        ((np.abs(margins) < _RESOLUTION) & real).sum(axis=(1, 2)),
    )
