"""Turn partitions into arrays: every client's images padded to equal length, all replicates stacked."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Int

from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.partition import Partition, baseline_name, class_anchors
from promptfolio.companion.prompts import ImageBatch
from promptfolio.companion.split_roles import SplitRoles
from promptfolio.companion.training import Replicate


class ClientSplits(NamedTuple):
    """Features of all replicates as device arrays, and as host arrays the purpose of each held-out image.

    Attributes:
        replicates: anchors, training and held-out images, and client weights; every array has a leading axis of
            seeds.
        labels: class of each held-out image, 0 for padding; shape (seeds, clients, samples).
        validation, test: True for the validation and the test images, False for padding; shape (seeds, clients,
            samples).
        train_rows: n_k, number of training images; shape (seeds, clients).
        reused_rows: number of test images that some client also trained on, 0 in a disjoint split; shape (seeds,
            clients).
        class_counts: number of training images of each class over all clients; 0 for a class that nobody trains on;
            shape (seeds, classes).
        roles: the splits of the bank that the images come from, the same for all replicates.
        baseline: what the classifier without any prompt is called, "zero-shot" or "one-shot anchors".
        notices: what a reader of the results must know about the bank and its partitions, without repeats.
    """

    replicates: Replicate
    labels: Int[np.ndarray, "seeds clients samples"]
    validation: Bool[np.ndarray, "seeds clients samples"]
    test: Bool[np.ndarray, "seeds clients samples"]
    train_rows: Int[np.ndarray, "seeds clients"]
    reused_rows: Int[np.ndarray, "seeds clients"]
    class_counts: Int[np.ndarray, "seeds classes"]
    roles: SplitRoles
    baseline: str
    notices: tuple[str, ...]


def gather(bank: FeatureBank, partitions: Sequence[Partition], padding: int = 0) -> ClientSplits:
    """Gather the features of all partitions of a bank.

    Args:
        bank: the features, float32.
        partitions: one per seed.
        padding: rows to add beyond those of the client with the most images; the result of training does not
            depend on it.
    """
    train = _padded([list(partition.train) for partition in partitions], padding)
    held = [
        [
            np.concatenate([validation, np.setdiff1d(test, validation)])
            for validation, test in zip(partition.validation, partition.test, strict=True)
        ]
        for partition in partitions
    ]
    held_out = _padded(held, padding)
    validation = _belonging(held_out, [partition.validation for partition in partitions])
    test = _belonging(held_out, [partition.test for partition in partitions])
    trained = np.stack([np.isin(rows, train[seed]) for seed, rows in enumerate(held_out)])

    present = train >= 0
    counts = present.sum(axis=2)
    labels = np.where(held_out >= 0, bank.labels[held_out], 0).astype(np.int32)
    put = jax.device_put
    replicates = Replicate(
        anchors=put(np.stack([class_anchors(bank, partition) for partition in partitions])),
        train=ImageBatch(
            images=put(np.where(present[..., None], bank.image_features[train], 0)),
            labels=put(np.where(present, bank.labels[train], 0).astype(np.int32)),
            weights=put((present / counts[:, :, None]).astype(np.float32)),
        ),
        held_out=put(np.where(held_out[..., None] >= 0, bank.image_features[held_out], 0)),
        held_out_labels=put(labels),
        client_weights=put((counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)),
    )
    return ClientSplits(
        replicates,
        labels,
        validation,
        test,
        train_rows=counts,
        reused_rows=(trained & test).sum(axis=2),
        class_counts=np.stack([partition.class_counts for partition in partitions]),
        roles=partitions[0].roles,
        baseline=baseline_name(partitions[0]),
        notices=tuple(dict.fromkeys(notice for partition in partitions for notice in partition.notices)),
    )


def _belonging(
    held_out: np.ndarray, rows: list[tuple[np.ndarray, ...]]
) -> Bool[np.ndarray, "seeds clients samples"]:
    """True where a held-out row is one of the given rows of the same client; False for padding."""
    return np.stack(
        [
            np.stack([np.isin(held, own) for held, own in zip(clients, owns, strict=True)])
            for clients, owns in zip(held_out, rows, strict=True)
        ]
    )


def _padded(rows: list[list[np.ndarray]], padding: int) -> np.ndarray:
    """Row indices as (seeds, clients, samples), −1 beyond each client's own."""
    longest = max(each.size for clients in rows for each in clients) + padding
    return np.stack(
        [
            np.stack([np.pad(each, (0, longest - each.size), constant_values=-1) for each in clients])
            for clients in rows
        ]
    )
