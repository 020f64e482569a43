"""Split a feature bank over clients by Dirichlet label skew, into training, validation and test rows: disjoint
ones, unless the study asks for the pooled split of the authors' released code.

After Hsu, Qi and Brown, 2019 (arXiv:1909.06335): each class is shared out in proportions drawn from
Dirichlet(β, …, β); small β gives every client its own few classes. Training and held-out rows of a class
follow the SAME proportions, so that a client is tested on the classes it trains on.

In the pooled split a client gets one pool of rows from both splits together. It trains on a part of the pool, as
large a share as the training split has of all rows; its test rows are the WHOLE pool, training rows included, and
its validation rows the rest of the pool, which it did not train on.
"""

import dataclasses

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from promptfolio.companion.bank import FeatureBank
from promptfolio.companion.study_config import ClipStudy
from simulate.model.keys import fold_purpose
from simulate.validation import ConfigurationError

_TRIES = 50

Parts = tuple[np.ndarray, ...]
"""Row indices of each client."""


@dataclasses.dataclass(frozen=True, eq=False)
class Partition:
    """Which rows of a bank each client uses for training, validation and test. No row belongs to two clients
    or, in a disjoint split, to two of the three parts.

    Attributes:
        train, validation, test: row indices of each client, one array per client. In a pooled split ``test`` is
            ``train`` and ``validation`` together.
        anchors: rows whose mean image feature replaces the class text feature, shape (classes, anchor_images);
            no column when the bank has texts. They belong to no client.
        proportions: share of each class given to each client; shape (classes, clients).
    """

    train: tuple[Int[np.ndarray, "_"], ...]
    validation: tuple[Int[np.ndarray, "_"], ...]
    test: tuple[Int[np.ndarray, "_"], ...]
    anchors: Int[np.ndarray, "classes anchor_images"]
    proportions: Float[np.ndarray, "classes clients"]


def partition_bank(study: ClipStudy, bank: FeatureBank, key: Key[Array, ""]) -> Partition:
    """Draw the anchors and the partition of one replicate.

    Images that occur twice, bit for bit, are used once, so that in a disjoint split no test image is also a
    training image. Proportions are redrawn until every client has `min_rows` rows in each of its three parts.

    Args:
        study: clients, beta, split, validation_fraction, min_rows, anchor_images and the names of the splits.
        bank: the features.
        key: the replicate's key; streams "anchors" and "partition" are folded from it.

    Raises:
        ConfigurationError: a split that the bank does not have, too few images for the anchors, or no allowed
            partition found.
    """
    pool, held_out = _pools(study, bank)
    anchors = _draw_anchors(study, bank, pool, _generator(key, "anchors"))
    pool = np.setdiff1d(pool, anchors)

    random = _generator(key, "partition")
    for _ in range(_TRIES):
        proportions = random.dirichlet(np.full(study.clients, study.beta), bank.classes)
        if not np.isfinite(proportions).all():  # all gammas of a tiny β can underflow together
            continue
        if study.split == "pooled":
            train, validation, test = _pooled_parts(bank.labels, pool, held_out, proportions, random)
        else:
            train = _share_out(bank.labels, pool, proportions, random)
            held = _share_out(bank.labels, held_out, proportions, random)
            validation, test = _divide_each(bank.labels, held, study.validation_fraction, random)
        if min(rows.size for part in (train, validation, test) for rows in part) >= study.min_rows:
            return Partition(train, validation, test, anchors, proportions)
    raise ConfigurationError(
        "beta, clients, min_rows",
        (study.beta, study.clients, study.min_rows),
        f"such that {pool.size} training and {held_out.size} held-out images give each client min_rows of"
        f" training, validation and test; {_TRIES} draws did not (raise beta, or lower clients or min_rows)",
    )


def class_anchors(bank: FeatureBank, partition: Partition) -> Float[np.ndarray, "classes dim"]:
    """The text feature t_c of each class, of unit length: the bank's own, or the normalised mean of its
    anchor images."""
    if bank.text_features is not None:
        return bank.text_features
    means = bank.image_features[partition.anchors].mean(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def training_split(study: ClipStudy, bank: FeatureBank) -> str:
    """Name of the split that training rows come from.

    `study.train_split` if given; else "val" where the bank has such rows (clean single views), "train"
    next, and then the first other split with rows that is not the held-out one.

    Raises:
        ConfigurationError: when there is none.
    """
    if study.train_split:
        if study.train_split not in bank.split_names or not bank.rows(study.train_split).size:
            raise ConfigurationError("train_split", study.train_split, _choices(bank))
        return study.train_split
    for name in ("val", "train", *bank.split_names):
        if name in bank.split_names and name != study.heldout_split and bank.rows(name).size:
            return name
    raise ConfigurationError(
        "train_split", study.train_split, f"{_choices(bank)}, besides the held-out split"
    )


def _pools(study: ClipStudy, bank: FeatureBank) -> tuple[np.ndarray, np.ndarray]:
    if study.heldout_split not in bank.split_names or not bank.rows(study.heldout_split).size:
        raise ConfigurationError("heldout_split", study.heldout_split, _choices(bank))
    pool, held_out = bank.rows(training_split(study, bank)), bank.rows(study.heldout_split)
    rows = np.concatenate([pool, held_out])
    _, first = np.unique(bank.image_features[rows], axis=0, return_index=True)
    return np.sort(rows[first[first < pool.size]]), np.sort(rows[first[first >= pool.size]])


def _choices(bank: FeatureBank) -> str:
    filled = [name for name in bank.split_names if bank.rows(name).size]
    return f"a split of the bank that has rows ({', '.join(filled)})"


def _draw_anchors(
    study: ClipStudy, bank: FeatureBank, pool: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    if bank.text_features is not None:
        return np.empty((bank.classes, 0), int)
    counts = np.bincount(bank.labels[pool], minlength=bank.classes)
    if counts.min() < study.anchor_images:
        raise ConfigurationError(
            "anchor_images",
            study.anchor_images,
            f"at most {counts.min()}, the training images of class {bank.class_names[counts.argmin()]!r}",
        )
    shuffled = _by_class(bank.labels, pool, bank.classes, random)
    return np.stack([rows[: study.anchor_images] for rows in shuffled])


def _share_out(
    labels: np.ndarray, pool: np.ndarray, proportions: np.ndarray, random: np.random.Generator
) -> Parts:
    """Rows of each client: every class's rows, shuffled and cut at the rounded cumulative proportions."""
    classes, clients = proportions.shape
    shares: list[list[np.ndarray]] = [[] for _ in range(clients)]
    for rows, cumulative in zip(
        _by_class(labels, pool, classes, random), proportions.cumsum(axis=1), strict=True
    ):
        cuts = np.rint(cumulative[:-1] * rows.size).astype(int)
        for share, piece in zip(shares, np.split(rows, cuts), strict=True):
            share.append(piece)
    return tuple(np.sort(np.concatenate(share)) for share in shares)


def _pooled_parts(
    labels: np.ndarray,
    pool: np.ndarray,
    held_out: np.ndarray,
    proportions: np.ndarray,
    random: np.random.Generator,
) -> tuple[Parts, Parts, Parts]:
    """Train, validation and test rows when both splits are pooled: the last are all of a client's rows."""
    own = _share_out(labels, np.concatenate([pool, held_out]), proportions, random)
    train_share = pool.size / (pool.size + held_out.size)
    train, rest = _divide_each(labels, own, train_share, random)
    return train, rest, own


def _divide_each(
    labels: np.ndarray, clients: Parts, fraction: float, random: np.random.Generator
) -> tuple[Parts, Parts]:
    chosen, rest = zip(*(_divide(labels, rows, fraction, random) for rows in clients), strict=True)
    return chosen, rest


def _divide(
    labels: np.ndarray, rows: np.ndarray, fraction: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A client's rows in two parts, each class divided by the fraction, rounded at random.

    Plain rounding would give classes with one or two rows to one part alone.
    """
    parts = []
    for label in np.unique(labels[rows]):
        own = random.permutation(rows[labels[rows] == label])
        parts.append(own[: int(own.size * fraction + random.random())])
    chosen = np.sort(np.concatenate([*parts, np.empty(0, int)]))
    return chosen, np.setdiff1d(rows, chosen)


def _by_class(
    labels: np.ndarray, pool: np.ndarray, classes: int, random: np.random.Generator
) -> list[np.ndarray]:
    return [random.permutation(pool[labels[pool] == label]) for label in range(classes)]


def _generator(key: Key[Array, ""], purpose: str) -> np.random.Generator:
    """A NumPy generator, for draws of unequal length, seeded by the JAX stream of that name."""
    stream = fold_purpose(key, purpose)  # type: ignore[arg-type]
    return np.random.default_rng(np.asarray(jax.random.key_data(stream)))
