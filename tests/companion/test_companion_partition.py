"""Partitions: disjoint, complete, skewed alike in training and test, and never with an empty client."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.client_splits import gather
from promptfolio.companion.partition import class_anchors, partition_bank
from promptfolio.companion.split_roles import assign_roles
from promptfolio.companion.study import draw_partitions
from promptfolio.companion.study_config import ClipStudy
from simulate.model.keys import fold_purpose, replicate_key
from simulate.validation import ConfigurationError

BANK = draw_synthetic_bank(classes=6, dim=8)
BARE = dataclasses.replace(BANK, text_features=None)


def all_rows(partition):
    return np.concatenate(
        [*partition.train, *partition.validation, *partition.test, partition.anchors.ravel()]
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    clients=st.integers(2, 6),
    beta=st.floats(0.2, 100),
    fraction=st.floats(0.2, 0.8),
    anchors=st.integers(1, 3),
    texts=st.booleans(),
)
def test_every_row_has_one_purpose_and_one_client(seed, clients, beta, fraction, anchors, texts):
    bank = BANK if texts else BARE
    study = ClipStudy(
        clients=clients, beta=beta, validation_fraction=fraction, anchor_images=anchors, min_rows=1
    )
    partition = partition_bank(study, bank, replicate_key(seed, 0))
    rows = all_rows(partition)
    assert np.unique(rows).size == rows.size
    np.testing.assert_array_equal(np.sort(rows), np.arange(bank.labels.size))
    assert np.isin(np.concatenate([*partition.validation, *partition.test]), bank.rows("test")).all()
    assert np.isin(np.concatenate(partition.train), bank.rows("val")).all()
    assert partition.anchors.size == (0 if texts else bank.classes * anchors)
    assert min(part.size for part in (*partition.train, *partition.validation, *partition.test)) >= 1
    np.testing.assert_allclose(partition.proportions.sum(axis=1), 1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    clients=st.integers(2, 6),
    beta=st.floats(0.2, 100),
    anchors=st.integers(1, 3),
    texts=st.booleans(),
)
def test_pooled_clients_are_tested_on_all_they_hold(seed, clients, beta, anchors, texts):
    bank = BANK if texts else BARE
    study = ClipStudy(clients=clients, beta=beta, split="pooled", anchor_images=anchors, min_rows=1)
    partition = partition_bank(study, bank, replicate_key(seed, 0))
    for train, validation, test in zip(partition.train, partition.validation, partition.test, strict=True):
        assert np.isin(train, test).all()
        assert not np.isin(train, validation).any()
        np.testing.assert_array_equal(np.union1d(train, validation), test)
    # Every row but the anchors is in one pool.
    rows = np.concatenate([*partition.test, partition.anchors.ravel()])
    np.testing.assert_array_equal(np.sort(rows), np.arange(bank.labels.size))
    assert min(part.size for part in (*partition.train, *partition.validation)) >= 1
    # A client trains on as large a share of each class as the training split has, rounded up or down.
    pool = 24 * 6 - partition.anchors.size
    share = pool / (pool + 36 * 6)
    for train, test in zip(partition.train, partition.test, strict=True):
        assert np.abs(counts(bank, train) - share * counts(bank, test)).max() < 1


def test_pools_hold_rows_of_both_splits():
    partition = partition_bank(ClipStudy(clients=2, split="pooled"), BANK, replicate_key(0, 0))
    for train in partition.train:
        assert np.isin(train, BANK.rows("val")).any()
        assert np.isin(train, BANK.rows("test")).any()


def test_kinds_of_split_share_their_proportions():
    first, second = (
        partition_bank(ClipStudy(clients=3, split=split), BANK, replicate_key(0, 0)).proportions
        for split in ("disjoint", "pooled")
    )
    np.testing.assert_array_equal(first, second)


def test_partition_seed_fixes_the_partition_of_every_replicate():
    keys = jax.numpy.stack([replicate_key(seed, 0) for seed in (0, 1, 2)])
    drawn = draw_partitions(ClipStudy(clients=3), BARE, keys)
    fixed = draw_partitions(ClipStudy(clients=3, partition_seed=7), BARE, keys)
    other = draw_partitions(ClipStudy(clients=3, partition_seed=8), BARE, keys)
    rows = [all_rows(partition) for partition in (*drawn, fixed[0], other[0])]
    assert len({tuple(each) for each in rows}) == 5
    for partition in fixed:
        np.testing.assert_array_equal(all_rows(partition), all_rows(fixed[0]))


def counts(bank, rows):
    return np.bincount(bank.labels[rows], minlength=bank.classes)


def test_train_and_held_out_rows_follow_the_same_proportions():
    partition = partition_bank(ClipStudy(clients=4), BANK, replicate_key(0, 0))
    for client in range(4):
        held = counts(BANK, np.concatenate([partition.validation[client], partition.test[client]]))
        share = partition.proportions[:, client]
        assert np.abs(counts(BANK, partition.train[client]) - 24 * share).max() <= 1
        assert np.abs(held - 36 * share).max() <= 1
        validation = counts(BANK, partition.validation[client])
        assert np.abs(validation - held / 3).max() < 1


def test_shares_are_rounded_to_the_nearest_image():
    # The first k clients together have their cumulative share, to within half an image.
    partition = partition_bank(ClipStudy(clients=4), BANK, replicate_key(0, 0))
    held = [np.concatenate(pair) for pair in zip(partition.validation, partition.test, strict=True)]
    for parts, size in ((partition.train, 24), (held, 36)):
        cumulative = np.cumsum([counts(BANK, rows) for rows in parts], axis=0)
        share = size * partition.proportions.cumsum(axis=1).T
        assert np.abs(cumulative - share).max() <= 0.5 + 1e-9


def test_images_are_shuffled_before_they_are_shared_out():
    # Rows of a class in the order of the file would give the first client the first of them, in every replicate.
    study = ClipStudy(clients=2, beta=1e6, min_rows=1)
    draws = [partition_bank(study, BANK, replicate_key(0, seed)) for seed in range(4)]
    for part in ("train", "validation", "test"):
        of_first = [getattr(partition, part)[0] for partition in draws]
        assert len({tuple(rows) for rows in of_first}) == 4, part
    places = [np.flatnonzero(BANK.split == 0).searchsorted(draw.train[0]) % 24 for draw in draws]
    np.testing.assert_allclose(np.concatenate(places).mean(), 11.5, atol=1.5)


def test_a_clients_validation_images_are_drawn_from_all_of_its_held_out_ones():
    # Clients that the bank names leave nothing else to draw; the first rows of a file may be unlike the others.
    study = ClipStudy(clients=4)
    draws = [partition_bank(study, GIVEN, replicate_key(0, seed)) for seed in range(4)]
    for client in range(4):
        assert len({tuple(partition.validation[client]) for partition in draws}) == 4
    held = np.flatnonzero(BANK.split == 1)
    for purpose in ("validation", "test"):
        rows = np.concatenate([own for partition in draws for own in getattr(partition, purpose)])
        np.testing.assert_allclose((held.searchsorted(rows) % 36).mean(), 17.5, atol=2)


def test_drawn_clients_with_just_enough_images_are_kept():
    # Hardly any skew: each of two clients has 5 training, 5 validation and 5 test images of both classes.
    bank = draw_synthetic_bank(classes=2, dim=8, train_per_class=10, test_per_class=20)
    study = ClipStudy(clients=2, beta=1e6, validation_fraction=0.5, min_rows=10)
    partition = partition_bank(study, bank, replicate_key(0, 0))
    assert {
        rows.size for part in (partition.train, partition.validation, partition.test) for rows in part
    } == {10}
    with pytest.raises(ConfigurationError, match="min_rows"):
        partition_bank(study.replace(min_rows=11), bank, replicate_key(0, 0))


def test_clients_with_just_enough_images_are_kept():
    bank = draw_synthetic_bank(classes=2, dim=8, train_per_class=10, test_per_class=20)
    bank = dataclasses.replace(bank, client=np.arange(bank.labels.size) % 2)
    study = ClipStudy(clients=2, validation_fraction=0.5, min_rows=1)
    sizes = [
        rows.size
        for part in ("train", "validation", "test")
        for rows in getattr(partition_bank(study, bank, replicate_key(0, 0)), part)
    ]
    partition_bank(study.replace(min_rows=min(sizes)), bank, replicate_key(0, 0))
    with pytest.raises(ConfigurationError, match=f"at most {min(sizes)}, the fewest"):
        partition_bank(study.replace(min_rows=min(sizes) + 1), bank, replicate_key(0, 0))


def test_small_beta_is_heterogeneous():
    def largest_share(beta):
        study = ClipStudy(clients=4, beta=beta)
        return partition_bank(study, BANK, replicate_key(0, 0)).proportions.max(axis=1).mean()

    assert largest_share(0.2) > 0.6 > 0.4 > largest_share(100.0)


def test_same_key_same_partition_and_other_key_another():
    study = ClipStudy(clients=4)
    first, again, other = (
        all_rows(partition_bank(study, BARE, replicate_key(0, replicate))) for replicate in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_anchors_and_partitions_have_streams_of_their_own():
    key, study = replicate_key(0, 0), ClipStudy(clients=3, min_rows=1)
    shares = {}
    for purpose in ("anchors", "partition"):
        random = np.random.default_rng(np.asarray(jax.random.key_data(fold_purpose(key, purpose))))
        shares[purpose] = random.dirichlet(np.full(3, study.beta), 6)
    proportions = partition_bank(study, BARE, key).proportions
    np.testing.assert_array_equal(proportions, shares["partition"])
    assert not np.array_equal(proportions, shares["anchors"])


def test_anchors_do_not_depend_on_the_partition():
    first, second = (
        partition_bank(ClipStudy(clients=clients), BARE, replicate_key(0, 0)).anchors for clients in (2, 4)
    )
    np.testing.assert_array_equal(first, second)


def test_class_anchors_are_texts_or_normalised_means():
    study = ClipStudy(clients=3, anchor_images=4)
    partition = partition_bank(study, BARE, replicate_key(0, 0))
    anchors = class_anchors(BARE, partition)
    np.testing.assert_allclose(np.linalg.norm(anchors, axis=1), 1, rtol=1e-6)
    mean = BARE.image_features[partition.anchors[2]].mean(axis=0)
    np.testing.assert_allclose(anchors[2] * np.linalg.norm(mean), mean, rtol=1e-4, atol=1e-6)
    assert set(BARE.labels[partition.anchors[2]]) == {2}
    assert class_anchors(BANK, partition) is BANK.text_features


def test_impossible_partition_names_beta_and_clients():
    with pytest.raises(ConfigurationError) as caught:
        partition_bank(ClipStudy(clients=200, beta=0.01), BANK, replicate_key(0, 0))
    assert "beta" in caught.value.field
    assert "clients" in caught.value.field


def test_too_many_anchor_images_are_an_error():
    with pytest.raises(ConfigurationError) as caught:
        partition_bank(ClipStudy(anchor_images=25), BARE, replicate_key(0, 0))
    assert caught.value.field == "anchor_images"


def with_splits(names, codes=None):
    return dataclasses.replace(BANK, split_names=names, split=BANK.split if codes is None else codes)


def test_training_split_falls_back():
    def trained(study, bank):
        return assign_roles(study, bank).train_split

    assert trained(ClipStudy(), BANK) == "val"
    assert trained(ClipStudy(), with_splits(("train", "test"))) == "train"
    assert trained(ClipStudy(), with_splits(("few", "test", "val"))) == "few"  # val has no rows
    assert trained(ClipStudy(train_split="few"), with_splits(("few", "test"))) == "few"


@pytest.mark.parametrize(
    ("study", "bank", "field"),
    [
        (ClipStudy(train_split="absent"), BANK, "train_split"),
        (ClipStudy(), with_splits(("val", "held")), "heldout_split"),
        (ClipStudy(), with_splits(("val", "test"), np.ones_like(BANK.split)), "train_split"),
    ],
)
def test_missing_splits_are_named(study, bank, field):
    with pytest.raises(ConfigurationError) as caught:
        partition_bank(study, bank, replicate_key(0, 0))
    assert caught.value.field == field


def test_an_image_that_occurs_twice_is_used_once():
    features = BANK.image_features.copy()
    train, test = BANK.rows("val"), BANK.rows("test")
    features[test[5]] = features[train[3]]
    features[test[7]] = features[test[6]]
    bank = dataclasses.replace(BANK, image_features=features)
    rows = all_rows(partition_bank(ClipStudy(clients=2), bank, replicate_key(0, 0)))
    assert train[3] in rows
    assert test[5] not in rows
    assert (test[6] in rows) != (test[7] in rows)


def test_holdings_are_the_partitions_rows():
    partitions = [partition_bank(ClipStudy(clients=3), BANK, replicate_key(0, r)) for r in range(2)]
    splits = gather(BANK, partitions, padding=3)
    replicates = jax.tree.map(np.asarray, splits.replicates)
    train = replicates.train
    for seed, partition in enumerate(partitions):
        for client in range(3):
            own = train.weights[seed, client] > 0
            np.testing.assert_array_equal(
                train.images[seed, client][own], BANK.image_features[partition.train[client]]
            )
            assert float(train.weights[seed, client].sum()) == pytest.approx(1, rel=1e-6)
            for mask, rows in ((splits.validation, partition.validation), (splits.test, partition.test)):
                chosen = mask[seed, client]
                np.testing.assert_array_equal(splits.labels[seed, client][chosen], BANK.labels[rows[client]])
                np.testing.assert_array_equal(
                    replicates.held_out[seed, client][chosen], BANK.image_features[rows[client]]
                )
    assert not (splits.validation & splits.test).any()
    np.testing.assert_allclose(replicates.client_weights.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("split", ["disjoint", "pooled"])
def test_holdings_count_the_test_images_that_were_trained_on(split):
    study = ClipStudy(clients=3, split=split)
    partitions = [partition_bank(study, BANK, replicate_key(0, r)) for r in range(2)]
    splits = gather(BANK, partitions, padding=2)
    train = np.array([[rows.size for rows in partition.train] for partition in partitions])
    test = np.array([[rows.size for rows in partition.test] for partition in partitions])
    np.testing.assert_array_equal(splits.test.sum(axis=2), test)
    np.testing.assert_array_equal(splits.reused_rows, train if split == "pooled" else 0 * train)
    # The training part of a pool is what is tested without being held out for validation.
    both = (splits.validation & splits.test).sum(axis=2)
    np.testing.assert_array_equal(both, test - train if split == "pooled" else 0 * test)
    for seed, partition in enumerate(partitions):
        for client, rows in enumerate(partition.test):
            own = np.asarray(splits.replicates.held_out)[seed, client][splits.test[seed, client]]
            assert {tuple(image) for image in own} == {tuple(image) for image in BANK.image_features[rows]}


def test_proportions_are_drawn_for_each_class_alone():
    # Moments of Dirichlet(β, …, β) over K clients. A client's total varies as a sum of independent classes does:
    # more if all classes shared one draw, and a third as much if clients drew proportions over classes instead.
    clients, beta, draws = 3, 0.5, 120
    study = ClipStudy(clients=clients, beta=beta, min_rows=1)
    proportions = np.array(
        [partition_bank(study, BANK, replicate_key(1, draw)).proportions for draw in range(draws)]
    )
    variance = (clients - 1) / (clients**2 * (clients * beta + 1))
    np.testing.assert_allclose(proportions.mean(axis=(0, 1)), 1 / clients, atol=0.04)
    np.testing.assert_allclose(
        (proportions**2).sum(axis=2).mean(), (beta + 1) / (clients * beta + 1), rtol=0.05
    )
    np.testing.assert_allclose(proportions.var(axis=0).mean(), variance, rtol=0.1)
    np.testing.assert_allclose(
        proportions.mean(axis=1).var(axis=0).mean(), variance / BANK.classes, rtol=0.25
    )


def test_classes_with_few_images_are_divided_at_random():
    # With two test images of a class and a third for validation, rounding down or to the nearest would always
    # give one part the same number.
    bank = draw_synthetic_bank(classes=40, dim=8, train_per_class=8, test_per_class=2)
    study = ClipStudy(clients=2, beta=1.0, min_rows=1)
    partition = partition_bank(study, bank, replicate_key(0, 0))
    chosen, held = (
        np.array([counts(bank, rows) for rows in part]) for part in (partition.validation, partition.test)
    )
    for size in (1, 2):
        own = chosen + held == size
        assert set(chosen[own]) == {0, 1}
        np.testing.assert_allclose(chosen[own].mean(), size / 3, atol=0.25)


def test_weights_are_shares_of_the_training_images():
    partitions = [partition_bank(ClipStudy(clients=3), BANK, replicate_key(0, r)) for r in range(2)]
    splits = gather(BANK, partitions, padding=1)
    sizes = np.array([[rows.size for rows in partition.train] for partition in partitions])
    assert np.ptp(sizes, axis=1).min() > 20, "equal weights must not pass"
    weights = np.asarray(splits.replicates.client_weights)
    np.testing.assert_allclose(weights, sizes / sizes.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(splits.train_rows, sizes)
    images = np.asarray(splits.replicates.train.weights)
    for seed in range(2):
        for client, size in enumerate(sizes[seed]):
            np.testing.assert_allclose(
                images[seed, client][images[seed, client] > 0], np.full(size, 1 / size), rtol=1e-6
            )


def test_labels_of_padded_images_belong_to_them():
    partitions = [partition_bank(ClipStudy(clients=3), BANK, replicate_key(0, 0))]
    splits = gather(BANK, partitions, padding=2)
    index = {tuple(image): row for row, image in enumerate(BANK.image_features)}
    train = jax.tree.map(np.asarray, splits.replicates.train)
    held, held_labels = (
        np.asarray(part) for part in (splits.replicates.held_out, splits.replicates.held_out_labels)
    )
    for client in range(3):
        for images, labels, used in (
            (train.images[0, client], train.labels[0, client], train.weights[0, client] > 0),
            (
                held[0, client],
                splits.labels[0, client],
                splits.validation[0, client] | splits.test[0, client],
            ),
        ):
            rows = [index[tuple(image)] for image in images[used]]
            np.testing.assert_array_equal(labels[used], BANK.labels[rows])
            assert not images[~used].any()
    np.testing.assert_array_equal(held_labels, splits.labels)


THIRDS = dataclasses.replace(
    BANK, split=np.arange(BANK.labels.size, dtype=np.int32) % 3, split_names=("train", "val", "test")
)


@pytest.mark.parametrize("texts", [True, False])
def test_a_validation_split_is_shared_out_by_the_same_proportions(texts):
    bank = THIRDS if texts else dataclasses.replace(THIRDS, text_features=None)
    partition = partition_bank(ClipStudy(clients=3, min_rows=1), bank, replicate_key(0, 0))
    rows = all_rows(partition)
    np.testing.assert_array_equal(np.sort(rows), np.arange(bank.labels.size))
    for name, part in (("val", partition.validation), ("test", partition.test)):
        np.testing.assert_array_equal(np.sort(np.concatenate(part)), bank.rows(name))
        for client in range(3):
            expected = 20 * partition.proportions[:, client]
            assert np.abs(counts(bank, part[client]) - expected).max() <= 1
    assert np.isin(np.concatenate(partition.train), bank.rows("train")).all()


def test_shuffled_training_labels_matter():
    labels = THIRDS.labels.copy()
    train = THIRDS.rows("train")
    labels[train] = np.roll(labels[train], 7)
    first, second = (
        gather(bank, [partition_bank(ClipStudy(clients=3, min_rows=1), bank, replicate_key(0, 0))])
        for bank in (THIRDS, dataclasses.replace(THIRDS, labels=labels))
    )
    assert not np.array_equal(first.replicates.train.labels, second.replicates.train.labels)


GIVEN = dataclasses.replace(BANK, client=np.arange(BANK.labels.size) % 4)


@pytest.mark.parametrize("split", ["disjoint", "pooled"])
def test_given_clients_keep_their_images(split):
    assert GIVEN.client is not None
    partition = partition_bank(ClipStudy(clients=4, split=split), GIVEN, replicate_key(0, 0))
    for part in (partition.train, partition.validation, partition.test):
        for client, rows in enumerate(part):
            assert (GIVEN.client[rows] == client).all()
    rows = np.unique(all_rows(partition))
    np.testing.assert_array_equal(rows, np.arange(BANK.labels.size))
    np.testing.assert_allclose(partition.proportions, 0.25)
    assert any("the 4 that the bank names: beta is not used" in notice for notice in partition.notices)


def test_proportions_of_given_clients_are_theirs_in_all_images():
    client = (np.arange(BANK.labels.size) % 60 < 7 * (1 + BANK.labels)).astype(int)
    partition = partition_bank(
        ClipStudy(clients=2, min_rows=1), dataclasses.replace(BANK, client=client), replicate_key(0, 0)
    )
    share = 7 * np.arange(1, 7) / 60
    np.testing.assert_allclose(partition.proportions, np.stack([1 - share, share], axis=1))


def test_given_clients_must_be_as_many_as_the_study_has():
    with pytest.raises(ConfigurationError) as caught:
        partition_bank(ClipStudy(clients=5), GIVEN, replicate_key(0, 0))
    assert caught.value.field == "clients"
    assert caught.value.allowed.startswith("4,")


def test_given_client_with_too_few_images_is_named():
    few = dataclasses.replace(BANK, client=np.where(np.arange(BANK.labels.size) < 8, "small", "large"))
    with pytest.raises(ConfigurationError, match="client 'small'") as caught:
        partition_bank(ClipStudy(clients=2), few, replicate_key(0, 0))
    assert caught.value.field == "min_rows"


def without_training(bank, first):
    keep = ~((bank.split == 0) & (bank.labels >= first))
    return dataclasses.replace(
        bank, image_features=bank.image_features[keep], labels=bank.labels[keep], split=bank.split[keep]
    )


def test_classes_that_nobody_trains_on_are_counted():
    bank = without_training(BANK, 4)
    partitions = [partition_bank(ClipStudy(clients=3), bank, replicate_key(0, r)) for r in range(2)]
    splits = gather(bank, partitions)
    np.testing.assert_array_equal(splits.class_counts, [[24, 24, 24, 24, 0, 0]] * 2)
    assert any(
        "2 of the 6 classes with test images have no training image" in each for each in splits.notices
    )
    assert len(set(splits.notices)) == len(splits.notices)


def test_classes_whose_images_are_all_anchors_are_counted():
    study = ClipStudy(clients=3, anchor_images=24)
    keep = (BARE.split == 1) | (BARE.labels == 0) | (np.arange(BARE.labels.size) % 60 < 24)
    bank = dataclasses.replace(
        BARE, image_features=BARE.image_features[keep], labels=BARE.labels[keep], split=BARE.split[keep]
    )
    study = study.replace(min_rows=1)
    more = dataclasses.replace(bank, split=np.where(np.arange(bank.labels.size) < 60, 0, bank.split))
    partition = partition_bank(study, more, replicate_key(0, 0))
    assert partition.class_counts.tolist() == [36, 0, 0, 0, 0, 0]
    assert any("are spent on anchors: 'class 1'" in notice for notice in partition.notices)


@pytest.mark.parametrize(
    ("bank", "shots", "name"),
    [(BANK, 3, "zero-shot"), (BARE, 1, "one-shot anchors"), (BARE, 3, "3-shot anchors")],
)
def test_the_classifier_without_prompts_is_named(bank, shots, name):
    partitions = [partition_bank(ClipStudy(clients=3, anchor_images=shots), bank, replicate_key(0, 0))]
    assert gather(bank, partitions).baseline == name


def test_anchor_images_that_cancel_each_other_are_refused():
    features = BARE.image_features.copy()
    train = BARE.rows("val")
    own = train[BARE.labels[train] == 2]
    features[own[::2]] = features[own[0]]
    features[own[1::2]] = -features[own[0]]
    # Repeated images are dropped: two are left, and each is the other's opposite.
    bank = dataclasses.replace(BARE, image_features=features)
    partition = partition_bank(ClipStudy(clients=2, anchor_images=2), bank, replicate_key(0, 0))
    with pytest.raises(ConfigurationError, match="class 2"):
        class_anchors(bank, partition)
