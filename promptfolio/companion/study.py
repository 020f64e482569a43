"""Run a study: prompts on CLIP features, trained under each scheme, mixed, and tested at the recorded
rounds."""

from collections.abc import Iterator

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key

from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.baseline import baseline_margins, baseline_of
from promptfolio.companion.client_splits import ClientSplits, gather
from promptfolio.companion.cost import PROMPT_COPIES, require_room
from promptfolio.companion.evaluate import Record, choosing_images, evaluate
from promptfolio.companion.labels import label_study, study_name
from promptfolio.companion.partition import Partition, partition_bank
from promptfolio.companion.remarks import remarks
from promptfolio.companion.replicates import alike, distinct_replicates
from promptfolio.companion.split_roles import assign_roles
from promptfolio.companion.stability import require_sound
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import (
    HeldOutLogits,
    HeldOutMargins,
    Hyperparameters,
    TrainingProgram,
    advance,
    start,
    training_program,
)
from simulate.experiment import MixingScheme
from simulate.model.keys import replicate_key, replicate_keys
from simulate.results.notices import with_notices
from simulate.running.arithmetic import arithmetic
from simulate.running.runner import Progress
from simulate.validation import ConfigurationError

Measured = HeldOutLogits | HeldOutMargins

_PROMPT_BYTES = 2**30


@arithmetic("float32")
def run_study(study: ClipStudy, bank: FeatureBank, progress: Progress | None = None) -> xr.Dataset:
    """Run a prompt portfolio on the features of a bank, in float32.

    Under the posthoc scheme one training serves every θ, and θ* is predicted from validation margins
    (T24); the others train a pair for each of `study.trained_theta`. Only the reference choice "best" is made
    on test images, and no validation image of a class that nobody trains on chooses anything. Validation and test
    images are not trained on by any client, unless the study asks for the pooled split, whose test images include
    the training images.

    Replicates that would be the same run, because the study leaves nothing random, are run once: the result then
    has one seed, and a notice.

    Args:
        study: what to run.
        bank: the features to run it on.
        progress: called with (rounds done, rounds in all), summed over schemes, after each recorded round.

    Returns:
        A dataset with dimensions scheme, split, seed, step, theta, client, prompt, choice and group; see
        `promptfolio.companion.labels` for its variables and their meaning. Its attributes hold the resolved
        study, which names the splits that were used, the description of the bank and of its images in use
        ("synthetic" 1 or 0), notices, the number of replicates that differ, versions and commit.

    Raises:
        ConfigurationError: when the bank cannot be divided as the study asks, or this machine cannot hold the
            study.
        NonFiniteError: when a training leaves the numbers that float32 resolves.

    Example:
        >>> from promptfolio.companion.banks import draw_synthetic_bank
        >>> bank = draw_synthetic_bank(classes=4, dim=16)
        >>> study = ClipStudy(clients=2, rounds=2, replicates=1, schemes=("posthoc",), theta_step=0.5)
        >>> result = run_study(study, bank)
        >>> dict(result.accuracy.sizes), result.attrs["synthetic"]
        ({'scheme': 1, 'split': 2, 'seed': 1, 'step': 2, 'theta': 8, 'client': 2}, 1)
    """
    require_room(study, bank)
    asked = study.replicates
    keys = replicate_keys(study.seed, np.arange(asked, dtype=np.uint32))
    partitions = draw_partitions(study, bank, keys)
    study = resolved_study(study, bank)
    if alike(study, partitions):
        study, keys, partitions = study.replace(replicates=1), keys[:1], partitions[:1]
    splits = gather(bank, partitions)
    _check_choosing(study, splits)
    baseline = baseline_of(baseline_margins(splits), splits)

    blocks = {scheme: _theta_blocks(study, bank, scheme) for scheme in study.schemes}
    total = sum(map(len, blocks.values())) * study.record[-1]
    finished = 0
    records: dict[str, list[Record]] = {}
    last: list[Measured] = []
    for scheme in study.schemes:
        program = training_program(study, scheme)
        parts: list[list[Measured]] = []
        for theta in blocks[scheme]:
            part = []
            for rounds, measured in _train(study, program, splits, keys, theta):
                require_sound(study, scheme, splits, measured, theta, rounds, baseline.tied)
                part.append(measured)
                if progress is not None:
                    progress(finished + rounds, total)
            parts.append(part)
            last.append(part[-1])
            finished += study.record[-1]
        records[scheme] = [evaluate(study, splits, _join(pieces)) for pieces in zip(*parts, strict=True)]
    data = label_study(study, bank, splits, records, (baseline.accuracy, baseline.group_accuracy))
    data = data.assign_attrs(distinct_replicates=distinct_replicates(splits, last))
    return with_notices(data, (*splits.notices, *remarks(data, asked)))


def resolved_study(study: ClipStudy, bank: FeatureBank) -> ClipStudy:
    """A study with the names of the splits of a bank that it uses, which it may leave open.

    Raises:
        ConfigurationError: for splits that the bank does not have.

    Example:
        >>> from promptfolio.companion.banks import draw_synthetic_bank
        >>> study = resolved_study(ClipStudy(), draw_synthetic_bank())
        >>> study.train_split, study.validation_split, study.heldout_split
        ('val', 'test', 'test')
    """
    roles = assign_roles(study, bank)
    validation = "" if study.split == "pooled" else roles.validation_split
    return study.replace(
        train_split=roles.train_split, validation_split=validation, heldout_split=roles.test_split
    )


def possible_names(study: ClipStudy, bank: FeatureBank) -> tuple[str, ...]:
    """The names, as of `promptfolio.companion.labels.study_name`, that the result of `run_study` may have.

    There are two where several replicates are asked for: replicates that would be the same run are run once, and
    only the partitions, which are drawn later, decide whether they would.

    Raises:
        ConfigurationError: for splits that the bank does not have.
    """
    resolved, description = resolved_study(study, bank), bank.describe()
    counts = sorted({1, study.replicates})
    return tuple(
        study_name({**description, "study": resolved.replace(replicates=count).to_json()}) for count in counts
    )


def draw_partitions(study: ClipStudy, bank: FeatureBank, keys: Key[Array, " seeds"]) -> list[Partition]:
    """The partition of every replicate: one each, or the same for all where the study fixes its seed.

    Raises:
        ConfigurationError: when the bank cannot be divided as the study asks.
    """
    if study.partition_seed is None:
        return [partition_bank(study, bank, key) for key in keys]
    return [partition_bank(study, bank, replicate_key(study.partition_seed, 0))] * len(keys)


def _train(
    study: ClipStudy,
    program: TrainingProgram,
    splits: ClientSplits,
    keys: Key[Array, " seeds"],
    theta: Float[np.ndarray, " thetas"],
) -> Iterator[tuple[int, Measured]]:
    """Yield (rounds done, measurement as host arrays) at each recorded round. Which rounds are recorded does not
    change training."""
    hyperparameters = Hyperparameters(
        *(
            jax.device_put(np.asarray(value, np.float32))
            for value in (study.learning_rate, study.logit_scale, study.init_std)
        )
    )
    mixing = jax.device_put(theta.astype(np.float32))
    states = start(program, hyperparameters, splits.replicates, keys, mixing)
    for gap, rounds in zip(np.diff(study.record, prepend=0), study.record, strict=True):
        states, measured = advance(
            program, hyperparameters, splits.replicates, keys, mixing, states, np.asarray(gap, np.int32)
        )
        yield rounds, jax.tree.map(np.asarray, measured)


def _theta_blocks(
    study: ClipStudy, bank: FeatureBank, scheme: MixingScheme
) -> list[Float[np.ndarray, " thetas"]]:
    """θ to train at, in as few blocks as memory allows. Post-hoc training does not depend on θ and runs once."""
    theta = np.zeros(1) if scheme == "posthoc" else np.asarray(study.trained_theta)
    prompt_bytes = 4 * study.replicates * study.clients * bank.classes * bank.dim
    size = max(1, _PROMPT_BYTES // (PROMPT_COPIES * prompt_bytes))
    return [theta[first : first + size] for first in range(0, theta.size, size)]


def _join(pieces: tuple[Measured, ...]) -> Measured:
    """Concatenate the blocks of θ along their axis."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *pieces)


def _check_choosing(study: ClipStudy, splits: ClientSplits) -> None:
    if not choosing_images(splits).any(axis=(1, 2)).all():
        raise ConfigurationError(
            "validation_split",
            splits.roles.validation_split,
            f"a split with images of the classes that split {study.train_split!r} has training images of",
        )
