"""Split a feature bank over clients, into training, validation and test rows: disjoint ones, unless the study
asks for the pooled split of the authors' released code.

A bank that says which client holds each image is divided so. Any other is divided by Dirichlet label skew, after
Hsu, Qi and Brown, 2019 (arXiv:1909.06335): each class is shared out in proportions drawn from Dirichlet(β, …, β);
small β gives every client its own few classes. Training, validation and test rows of a class follow the SAME
proportions, so that a client is tested on the classes it trains on.

In the pooled split a client gets one pool of rows from both splits together. It trains on a part of the pool, as
large a share as the training split has of all rows; its test rows are the WHOLE pool, training rows included, and
its validation rows the rest of the pool, which it did not train on.
"""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from promptfolio.companion.banks import FeatureBank
from promptfolio.companion.banks.checks import shortened
from promptfolio.companion.banks.noticing import listed
from promptfolio.companion.split_roles import SplitRoles, assign_roles
from promptfolio.companion.study_config import ClipStudy
from simulate.model.keys import fold_purpose
from simulate.validation import ConfigurationError

_TRIES = 50
# A mean of unit vectors in single precision says nothing below this length.
_SHORTEST_MEAN = 1e-5

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
        proportions: share of each class given to each client, 0 for a class without images in a bank that names
            the clients; shape (classes, clients).
        class_counts: number of training images of each class over all clients, 0 for a class that nobody trains
            on; shape (classes,).
        roles: the splits of the bank that the rows come from.
        notices: what a reader of the results must know about the bank, its splits and this partition.
    """

    train: tuple[Int[np.ndarray, "_"], ...]
    validation: tuple[Int[np.ndarray, "_"], ...]
    test: tuple[Int[np.ndarray, "_"], ...]
    anchors: Int[np.ndarray, "classes anchor_images"]
    proportions: Float[np.ndarray, "classes clients"]
    class_counts: Int[np.ndarray, " classes"]
    roles: SplitRoles
    notices: tuple[str, ...]


def partition_bank(study: ClipStudy, bank: FeatureBank, key: Key[Array, ""]) -> Partition:
    """Draw the anchors and the partition of one replicate.

    Images that occur twice are used once, see `SplitRoles`. Proportions are redrawn until every client has
    `min_rows` rows in each of its three parts; the clients that a bank names are not drawn.

    Args:
        study: clients, beta, split, validation_fraction, min_rows, anchor_images and the names of the splits.
        bank: the features.
        key: the replicate's key; streams "anchors" and "partition" are folded from it.

    Raises:
        ConfigurationError: a split that the bank does not have, too few images for the anchors, another number of
            clients than the bank names, or no allowed partition found.
    """
    roles = assign_roles(study, bank)
    anchors = _draw_anchors(study, bank, roles.train, _generator(key, "anchors"))
    random = _generator(key, "partition")
    if bank.client is not None:
        proportions, parts = _given_parts(study, bank, roles, anchors, random)
    else:
        proportions, parts = _drawn_parts(study, bank, roles, anchors, random)
    trained = np.bincount(bank.labels[np.concatenate(parts[0])], minlength=bank.classes)
    notices = (*bank.notices, *roles.notices, *_notices(bank, roles, trained))
    return Partition(*parts, anchors, proportions, trained, roles, notices)


def class_anchors(bank: FeatureBank, partition: Partition) -> Float[np.ndarray, "classes dim"]:
    """The text feature t_c of each class, of unit length: the bank's own, or the normalised mean of its
    anchor images.

    Raises:
        ConfigurationError: naming a class whose anchor images cancel each other.
    """
    if bank.text_features is not None:
        return bank.text_features
    means = bank.image_features[partition.anchors].mean(axis=1)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    if lengths.min() < _SHORTEST_MEAN:
        name = shortened(bank.class_names[int(lengths.argmin())], 60)
        raise ConfigurationError(
            "anchor_images",
            partition.anchors.shape[1],
            f"another number: those of class {name!r} cancel each other",
        )
    return means / lengths


def baseline_name(partition: Partition) -> str:
    """What the classifier without any prompt is called: "zero-shot" with class texts, and otherwise by the number
    of images of each class that its anchors were made from.

    Example:
        >>> from promptfolio.companion.banks import draw_synthetic_bank
        >>> from simulate.model.keys import replicate_key
        >>> banks = [draw_synthetic_bank(texts=texts) for texts in (True, False)]
        >>> [baseline_name(partition_bank(ClipStudy(), bank, replicate_key(0, 0))) for bank in banks]
        ['zero-shot', 'one-shot anchors']
    """
    shots = partition.anchors.shape[1]
    return {0: "zero-shot", 1: "one-shot anchors"}.get(shots, f"{shots}-shot anchors")


def _drawn_parts(
    study: ClipStudy, bank: FeatureBank, roles: SplitRoles, anchors: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, tuple[Parts, Parts, Parts]]:
    """Proportions and parts by Dirichlet label skew, redrawn until each client has enough."""
    pool = np.setdiff1d(roles.train, anchors)
    for _ in range(_TRIES):
        proportions = random.dirichlet(np.full(study.clients, study.beta), bank.classes)
        if not np.isfinite(proportions).all():  # all gammas of a tiny β can underflow together
            continue

        def share_out(rows: np.ndarray, proportions: np.ndarray = proportions) -> Parts:
            return _share_out(bank.labels, rows, proportions, random)

        parts = _parts(study, bank, roles, pool, share_out, random)
        if min(rows.size for part in parts for rows in part) >= study.min_rows:
            return proportions, parts
    raise ConfigurationError(
        "beta, clients, min_rows",
        (study.beta, study.clients, study.min_rows),
        f"such that {pool.size} training and {roles.validation.size + roles.test.size} held-out images give each"
        f" client min_rows of training, validation and test; {_TRIES} draws did not (raise beta, or lower clients"
        " or min_rows)",
    )


def _given_parts(
    study: ClipStudy, bank: FeatureBank, roles: SplitRoles, anchors: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, tuple[Parts, Parts, Parts]]:
    """Proportions and parts by the clients that the bank names."""
    client = bank.client
    assert client is not None
    count = len(bank.client_names)
    if study.clients != count:
        raise ConfigurationError(
            "clients", study.clients, f"{count}, the number of clients that the bank names (key client)"
        )

    def share_out(rows: np.ndarray) -> Parts:
        return tuple(rows[client[rows] == each] for each in range(count))

    parts = _parts(study, bank, roles, np.setdiff1d(roles.train, anchors), share_out, random)
    for name, rows in (
        (name, rows) for part in parts for name, rows in zip(bank.client_names, part, strict=True)
    ):
        if rows.size < study.min_rows:
            raise ConfigurationError(
                "min_rows",
                study.min_rows,
                f"at most {rows.size}, the fewest training, validation or test images of client {name!r}",
            )
    table = np.zeros((bank.classes, count))
    rows = np.concatenate([roles.train, roles.validation, roles.test])
    np.add.at(table, (bank.labels[rows], client[rows]), 1)
    return table / np.maximum(table.sum(axis=1, keepdims=True), 1), parts


def _parts(
    study: ClipStudy,
    bank: FeatureBank,
    roles: SplitRoles,
    pool: np.ndarray,
    share_out: Callable[[np.ndarray], Parts],
    random: np.random.Generator,
) -> tuple[Parts, Parts, Parts]:
    """Train, validation and test rows of each client."""
    if study.split == "pooled":  # test rows are all of a client's rows
        own = share_out(np.concatenate([pool, roles.test]))
        train_share = pool.size / (pool.size + roles.test.size)
        train, rest = _divide_each(bank.labels, own, train_share, random)
        return train, rest, own
    train, held = share_out(pool), share_out(roles.test)
    if roles.validation_split != roles.test_split:
        return train, share_out(roles.validation), held
    return train, *_divide_each(bank.labels, held, study.validation_fraction, random)


def _notices(bank: FeatureBank, roles: SplitRoles, trained: np.ndarray) -> Iterator[str]:
    if bank.client is not None:
        yield f"the clients are the {len(bank.client_names)} that the bank names: beta is not used"
    spent = np.flatnonzero((trained == 0) & (roles.train_classes > 0))
    if spent.size:
        yield "all training images of some classes are spent on anchors: " + listed(
            bank.class_names[index] for index in spent
        )


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
    # Sorted once: a comparison with every class would cost classes × images.
    own = labels[pool]
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], np.arange(1, classes))
    return [random.permutation(rows) for rows in np.split(pool[order], starts)]


def _generator(key: Key[Array, ""], purpose: str) -> np.random.Generator:
    """A NumPy generator, for draws of unequal length, seeded by the JAX stream of that name."""
    stream = fold_purpose(key, purpose)  # type: ignore[arg-type]
    return np.random.default_rng(np.asarray(jax.random.key_data(stream)))
