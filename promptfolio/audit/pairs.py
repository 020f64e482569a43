"""Pairs of separately trained prompts with the images they are tested on, for given partitions."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.client_splits import ClientSplits, gather
from promptfolio.companion.partition import Partition
from promptfolio.companion.prompts import residual_encoder
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, Hyperparameters, advance, start, training_program
from simulate.model.keys import replicate_keys as keys_of


class Pairs(NamedTuple):
    """Trained pairs, as NumPy arrays; leading axis of replicates.

    Attributes:
        splits: which held-out image is what.
        logits_global, logits_local: of the held-out images; shape (replicates, clients, samples, classes).
        feature_global: text features of the global prompt, of unit length; shape (replicates, classes, dim).
        feature_local: of the local prompts; shape (replicates, clients, classes, dim).
    """

    splits: ClientSplits
    logits_global: np.ndarray
    logits_local: np.ndarray
    feature_global: np.ndarray
    feature_local: np.ndarray


def replicate_keys(study: ClipStudy) -> Key[Array, " seeds"]:
    """The keys of a study's replicates."""
    return keys_of(study.seed, np.arange(study.replicates, dtype=np.uint32))


def train_pairs(
    study: ClipStudy, bank: FeatureBank, partitions: Sequence[Partition], keys: Key[Array, " seeds"]
) -> Pairs:
    """Train the post-hoc pair of every replicate for all rounds of a study.

    Args:
        study: rounds and training settings; its partition and replicates are not used.
        bank: the features.
        partitions: one per replicate.
        keys: one per replicate, from which initial prompts and participation are drawn.
    """
    splits = gather(bank, partitions)
    program = training_program(study, "posthoc")
    hyperparameters = Hyperparameters(
        *(
            jax.device_put(np.asarray(value, np.float32))
            for value in (study.learning_rate, study.logit_scale, study.init_std)
        )
    )
    theta = jax.device_put(np.zeros(1, np.float32))  # post-hoc training knows no θ
    states = start(program, hyperparameters, splits.replicates, keys, theta)
    gap = np.asarray(study.rounds, np.int32)
    states, measured = advance(program, hyperparameters, splits.replicates, keys, theta, states, gap)
    assert isinstance(measured, HeldOutLogits)

    def features(anchors: Array, prompt: Array) -> Float[Array, "classes dim"]:
        return residual_encoder(anchors)(prompt, None)

    anchors = splits.replicates.anchors
    feature_global = jax.vmap(features)(anchors, states.global_prompt[:, 0])
    feature_local = jax.vmap(jax.vmap(features, (None, 0)))(anchors, states.local_prompts[:, 0])
    logits = (measured.global_prompt[:, 0], measured.local_prompt[:, 0])
    arrays = (*logits, feature_global, feature_local)
    return Pairs(splits, *(np.asarray(array) for array in arrays))
