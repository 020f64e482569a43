"""Run a study: prompts on CLIP features, trained under each scheme, mixed, and tested at the recorded
rounds."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key

from promptfolio.companion.bank import FeatureBank
from promptfolio.companion.client_splits import ClientSplits, gather
from promptfolio.companion.evaluate import Record, accuracy_of, evaluate
from promptfolio.companion.labels import label_study
from promptfolio.companion.partition import Partition, partition_bank
from promptfolio.companion.prompts import class_logits
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import (
    HeldOutLogits,
    HeldOutMargins,
    Hyperparameters,
    TrainingProgram,
    advance,
    smallest_margins,
    start,
    training_program,
)
from simulate.experiment import TrainingScheme
from simulate.model.keys import replicate_key
from simulate.running.arithmetic import arithmetic
from simulate.running.runner import Progress

Measured = HeldOutLogits | HeldOutMargins

# Training holds about this many arrays of the local prompts' size at once (both prompts, gradients,
# updates, optimizer).
_PROMPT_COPIES = 10
_PROMPT_BYTES = 2**30


@arithmetic("float32")
def run_study(study: ClipStudy, bank: FeatureBank, progress: Progress | None = None) -> xr.Dataset:
    """Run a prompt portfolio on the features of a bank, in float32.

    Under the posthoc scheme one training serves every θ, and θ* is predicted from validation margins
    (T24); the others train a pair for each of `study.trained_theta`. Only the reference choice "best" is made
    on test images. Validation and test images are not trained on by any client, unless the study asks for the
    pooled split, whose test images include the training images.

    Args:
        study: what to run.
        bank: the features to run it on.
        progress: called with (rounds done, rounds in all), summed over schemes, after each recorded round.

    Returns:
        A dataset with dimensions scheme, split, seed, step, theta, client, prompt and choice; see
        `promptfolio.companion.labels` for its variables and their meaning. Its attributes hold the resolved
        study, the bank's description (with "synthetic" 1 or 0), versions and commit.

    Raises:
        ConfigurationError: when the bank cannot be divided as the study asks.

    Example:
        >>> from promptfolio.companion.synthetic_bank import draw_synthetic_bank
        >>> bank = draw_synthetic_bank(classes=4, dim=16)
        >>> study = ClipStudy(clients=2, rounds=2, replicates=1, schemes=("posthoc",), theta_step=0.5)
        >>> result = run_study(study, bank)
        >>> dict(result.accuracy.sizes), result.attrs["synthetic"]
        ({'scheme': 1, 'split': 2, 'seed': 1, 'step': 2, 'theta': 8, 'client': 2}, 1)
    """
    keys = jax.vmap(lambda replicate: replicate_key(study.seed, replicate))(jnp.arange(study.replicates))
    splits = gather(bank, draw_partitions(study, bank, keys))

    blocks = {scheme: _theta_blocks(study, bank, scheme) for scheme in study.schemes}
    total = sum(map(len, blocks.values())) * study.record[-1]
    finished = 0
    records: dict[str, list[Record]] = {}
    for scheme in study.schemes:
        program = training_program(study, scheme)
        parts: list[list[Measured]] = []
        for theta in blocks[scheme]:
            part = []
            for rounds, measured in _train(study, program, splits, keys, theta):
                part.append(measured)
                if progress is not None:
                    progress(finished + rounds, total)
            parts.append(part)
            finished += study.record[-1]
        records[scheme] = [evaluate(study, splits, _join(pieces)) for pieces in zip(*parts, strict=True)]
    return label_study(study, bank, splits, records, _zero_shot(study, splits))


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
            jnp.asarray(value, jnp.float32)
            for value in (study.learning_rate, study.logit_scale, study.init_std)
        )
    )
    mixing = jnp.asarray(theta, jnp.float32)
    states = start(program, hyperparameters, splits.replicates, keys, mixing)
    for gap, rounds in zip(np.diff(study.record, prepend=0), study.record, strict=True):
        states, measured = advance(
            program, hyperparameters, splits.replicates, keys, mixing, states, jnp.asarray(gap, jnp.int32)
        )
        yield rounds, jax.tree.map(np.asarray, measured)


def _theta_blocks(
    study: ClipStudy, bank: FeatureBank, scheme: TrainingScheme
) -> list[Float[np.ndarray, " thetas"]]:
    """θ to train at, in as few blocks as memory allows. Post-hoc training does not depend on θ and runs once."""
    theta = np.zeros(1) if scheme == "posthoc" else np.asarray(study.trained_theta)
    prompt_bytes = 4 * study.replicates * study.clients * bank.classes * bank.dim
    size = max(1, _PROMPT_BYTES // (_PROMPT_COPIES * prompt_bytes))
    return [theta[first : first + size] for first in range(0, theta.size, size)]


def _join(pieces: tuple[Measured, ...]) -> Measured:
    """Concatenate the blocks of θ along their axis."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *pieces)


def _zero_shot(study: ClipStudy, splits: ClientSplits) -> Float[np.ndarray, "splits seeds clients"]:
    """Accuracy of the class anchors without any prompt."""
    replicates = splits.replicates
    logits = jax.vmap(jax.vmap(class_logits, (None, None, 0)), (None, 0, 0))(
        jnp.asarray(study.logit_scale, jnp.float32), replicates.anchors, replicates.held_out
    )
    margins = np.asarray(smallest_margins(logits, replicates.held_out_labels))
    return np.stack([accuracy_of(margins, mask) for mask in (splits.validation, splits.test)])
