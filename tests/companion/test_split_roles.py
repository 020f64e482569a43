"""Which splits a study uses, which images of them, and what it says about that."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from promptfolio.companion.banks import FeatureBank, draw_synthetic_bank
from promptfolio.companion.banks.repeats import SAME_DISTANCE, first_occurrences
from promptfolio.companion.split_roles import assign_roles
from promptfolio.companion.study_config import ClipStudy
from simulate.validation import ConfigurationError

BANK = draw_synthetic_bank(classes=6, dim=16)
THIRDS = dataclasses.replace(
    BANK, split=np.arange(BANK.labels.size, dtype=np.int32) % 3, split_names=("train", "val", "test")
)


def renamed(*names):
    return dataclasses.replace(THIRDS, split_names=names)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("val", "train", "test"), ("train", "val", "test")),
        (("Train", "Validation", "test"), ("Train", "Validation", "test")),
        (("training", "dev", "test"), ("training", "dev", "test")),
        (("train_16shot", "val", "test"), ("val", "test", "test")),
        (("few", "more", "test"), ("few", "test", "test")),
        (("test", "few", "more"), ("few", "test", "test")),
        (("train", "more", "test"), ("train", "test", "test")),
    ],
)
def test_splits_are_chosen_by_their_names(names, expected):
    roles = assign_roles(ClipStudy(), renamed(*names))
    assert (roles.train_split, roles.validation_split, roles.test_split) == expected
    assert (roles.validation.size == 0) == (expected[1] == expected[2])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"train_split": "val"}, ("val", "test", "test")),
        ({"validation_split": "train"}, ("val", "train", "test")),
        ({"validation_split": "test"}, ("train", "test", "test")),
        ({"heldout_split": "val"}, ("train", "val", "val")),
        ({"split": "pooled"}, ("train", "test", "test")),
    ],
)
def test_named_splits_are_used(asked, expected):
    roles = assign_roles(ClipStudy(**asked), THIRDS)
    assert (roles.train_split, roles.validation_split, roles.test_split) == expected
    np.testing.assert_array_equal(roles.train, THIRDS.rows(expected[0]))
    np.testing.assert_array_equal(roles.test, THIRDS.rows(expected[2]))
    if expected[1] != expected[2]:
        np.testing.assert_array_equal(roles.validation, THIRDS.rows(expected[1]))


@pytest.mark.parametrize("field", ["train_split", "validation_split", "heldout_split"])
def test_absent_splits_are_refused(field: str) -> None:
    asked: dict[str, Any] = {field: "absent"}
    with pytest.raises(ConfigurationError) as caught:
        assign_roles(ClipStudy(**asked), THIRDS)
    assert caught.value.field == field
    assert "val, test" in str(caught.value.allowed)


def test_the_choice_and_its_numbers_are_said():
    roles = assign_roles(ClipStudy(), THIRDS)
    assert roles.notices == (
        "trained on split 'train' (120 images), tested on 'test' (120); θ is chosen on 'val' (120)",
    )
    described = roles.describe()
    assert described["images"] == 360
    assert [described[f"{name}_images"] for name in ("train", "validation", "test", "dropped")] == [
        120,
        120,
        120,
        0,
    ]
    (shared,) = assign_roles(ClipStudy(train_split="val"), THIRDS).notices
    assert "'val' (120 images)" in shared
    assert "33% of the latter" in shared
    assert "not used: 'train' (120)" in shared
    (unnamed,) = assign_roles(ClipStudy(), renamed("few", "more", "test")).notices
    assert "none is called 'train'" in unnamed
    (pooled,) = assign_roles(ClipStudy(split="pooled"), THIRDS).notices
    assert "pooled" in pooled


def with_repeats(bank, **of):
    """The bank with rows replaced: repeated row = row it repeats, times a length, as float16 rounds it."""
    features = np.asarray(bank.image_features, np.float64).copy()
    for number, (length, half) in of.items():
        row, first = (int(part) for part in number.removeprefix("r").split("_"))
        features[row] = length * features[first]
        if half:
            features[row] = features[row].astype(np.float16)
    return dataclasses.replace(bank, image_features=features)


@pytest.mark.parametrize("length", [1.0, 2.0, 3.0, 0.1, 7e5, 1e-200])
@pytest.mark.parametrize("half", [False, True])
def test_repeats_are_found_by_direction(length, half):
    if half and not 0.01 < length < 100:
        pytest.skip("beyond float16")
    # Rows 0, 3, 6 are of train, 1, 4, 7 of val and 2, 5, 8 of test.
    bank = with_repeats(THIRDS, r5_0=(length, half), r4_3=(length, half), r8_2=(length, half))
    roles = assign_roles(ClipStudy(), bank)
    assert sorted(roles.dropped.tolist()) == [4, 5, 8]
    assert dict(zip(roles.dropped.tolist(), roles.kept.tolist(), strict=True)) == {4: 3, 5: 0, 8: 2}
    assert roles.describe()["dropped_images"] == 3
    assert roles.describe()["images"] == 357
    assert any("3 images repeat another one" in notice for notice in roles.notices)


def test_training_images_are_counted_without_those_dropped():
    # Rows 0, 3, 6 are of train; 0 and 3 are of class 0, and so is what repeats them.
    bank = with_repeats(THIRDS, r3_0=(1.0, False), r6_0=(2.0, True), r4_1=(1.0, False))
    roles = assign_roles(ClipStudy(), bank)
    trained = THIRDS.labels[THIRDS.rows("train")]
    expected = np.bincount(trained, minlength=6) - np.array([2, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(roles.train_classes, expected)
    assert (roles.train.size, roles.validation.size, roles.test.size) == (118, 119, 120)


def test_only_repeats_with_another_label_contradict():
    # A class has 60 rows, so that 5 and 65 differ in class, and 4 and 1 do not.
    bank = with_repeats(THIRDS, r65_5=(1.0, False), r4_1=(1.0, False), r8_2=(1.0, False))
    roles = assign_roles(ClipStudy(), bank)
    assert dict(zip(roles.dropped.tolist(), roles.conflicts.tolist(), strict=True)) == {
        4: False,
        8: False,
        65: True,
    }
    assert roles.describe()["label_conflicts"] == 1
    (said,) = (notice for notice in roles.notices if "contradict" in notice)
    assert said.startswith("1 of the repeated images contradict each other")
    assert "row 65, 'class 1', which repeats row 5, 'class 0'" in said


def test_repeats_across_splits_stay_in_training():
    bank = with_repeats(THIRDS, r0_5=(3.0, False))
    roles = assign_roles(ClipStudy(), bank)
    assert roles.dropped.tolist() == [5]
    assert 0 in roles.train


def test_contradicting_labels_are_counted_and_lost_classes_named():
    labels = BANK.labels
    rows = [np.flatnonzero((labels == label) & (BANK.split == 1)) for label in (1, 2)]
    features = BANK.image_features.copy()
    features[rows[1]] = 2 * features[rows[0]]
    roles = assign_roles(ClipStudy(), dataclasses.replace(BANK, image_features=features))
    assert roles.describe()["label_conflicts"] == roles.describe()["dropped_images"] == 36
    text = " ".join(roles.notices)
    assert "36 of the repeated images contradict each other" in text
    assert f"row {rows[1][0]}, 'class 2', which repeats row {rows[0][0]}, 'class 1'" in text
    assert "without a test image once repeated images are dropped: 'class 2'" in text


def test_classes_without_training_or_test_images_are_named():
    train, labels = BANK.split == 0, BANK.labels
    keep = ~((train & (labels >= 4)) | (~train & (labels == 0)))
    bank = dataclasses.replace(
        BANK,
        image_features=BANK.image_features[keep],
        labels=labels[keep],
        split=BANK.split[keep],
    )
    roles = assign_roles(ClipStudy(), bank)
    assert roles.train_classes.tolist() == [24, 24, 24, 24, 0, 0]
    text = " ".join(roles.notices)
    assert "2 of the 5 classes with test images have no training image: 'class 4', 'class 5'" in text
    assert "1 of the 4 classes with training images have no test image: 'class 0'" in text


def brute_force(features):
    exact = features.astype(np.float64)
    distances = np.linalg.norm(exact[:, None] - exact[None], axis=2)
    return (distances <= SAME_DISTANCE).argmax(axis=1)


@pytest.mark.parametrize("rows", [1, 2, 700, 1500])
@pytest.mark.parametrize("copies", [0.0, 0.3, 1.0])
def test_first_occurrences_are_those_of_all_pairs(rows, copies, monkeypatch):
    monkeypatch.setattr("promptfolio.companion.banks.repeats._CHUNK", 300)
    random = np.random.default_rng(rows)
    features = random.standard_normal((rows, 12))
    copied = random.random(rows) < copies
    features[copied] = features[random.integers(0, rows, copied.sum())]
    features += 1e-5 * random.standard_normal(features.shape)
    unit = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    np.testing.assert_array_equal(first_occurrences(unit), brute_force(unit))


@pytest.mark.parametrize("block", [1, 7, 512])
def test_repeats_at_the_limit_are_found_wherever_blocks_end(block, monkeypatch):
    monkeypatch.setattr("promptfolio.companion.banks.repeats._BLOCK", block)
    pairs = 0.02 * np.arange(150)
    angles = np.concatenate([pairs, pairs + np.where(np.arange(150) % 2, 0.95, 1.05) * SAME_DISTANCE])
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = first_occurrences(circle)
    np.testing.assert_array_equal(found, brute_force(circle))
    assert (found < np.arange(300)).sum() == 75


def test_equal_rows_are_all_the_first_one():
    assert not first_occurrences(np.full((3000, 4), 0.5, np.float32)).any()


@pytest.mark.parametrize(("distance", "first"), [(0.0019, 0), (0.0021, 1), (0.004, 1)])
def test_images_nearer_than_the_limit_are_repeats(distance, first):
    images = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, distance], [0.0, 1.0, 0.0]], np.float32)
    unit = images / np.linalg.norm(images, axis=1, keepdims=True)
    assert first_occurrences(unit).tolist() == [0, first, 2]


def test_synthetic_bank_has_no_repeats():
    bank: FeatureBank = draw_synthetic_bank(classes=40)
    assert (first_occurrences(bank.image_features) == np.arange(bank.labels.size)).all()
