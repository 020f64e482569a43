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
from simulate.model.keys import replicate_key
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
