"""Whether the replicates of a study are different runs: equal ones have no spread, whatever its arithmetic says."""

import hashlib
from collections.abc import Sequence

import jax
import numpy as np

from promptfolio.companion.client_splits import ClientSplits
from promptfolio.companion.partition import Partition
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, HeldOutMargins


def alike(study: ClipStudy, partitions: Sequence[Partition]) -> bool:
    """Whether several replicates would be the same run: equal partitions and anchors, initial prompts that are
    zero, and all clients in every round."""
    if len(partitions) < 2 or study.init_std > 0 or study.participants < study.clients:
        return False
    first = _rows(partitions[0])
    return all(
        partition is partitions[0] or all(map(np.array_equal, _rows(partition), first))
        for partition in partitions
    )


def distinct_replicates(splits: ClientSplits, measured: Sequence[HeldOutLogits | HeldOutMargins]) -> int:
    """Number of replicates that differ, bit for bit, in their images or in what was measured on them.

    Args:
        splits: the images.
        measured: host arrays with a leading axis of seeds.
    """
    arrays = [*splits[1:4], *jax.tree.leaves(tuple(measured))]
    seeds = splits.labels.shape[0]
    if seeds == 1:
        return 1
    digests = set()
    for seed in range(seeds):
        digest = hashlib.blake2b()
        for array in arrays:
            digest.update(np.ascontiguousarray(array[seed]).data)
        digests.add(digest.digest())
    return len(digests)


def _rows(partition: Partition) -> list[np.ndarray]:
    return [*partition.train, *partition.validation, *partition.test, partition.anchors]
