"""Labels, texts and images that do not belong together are noticed, and what is in order is not."""

import pathlib

import numpy as np
import pytest

from promptfolio.companion.banks import FeatureBank, draw_synthetic_bank, load_bank, text_order

REAL = pathlib.Path(__file__).parents[3] / "shared" / "clip"


def clusters(classes=20, images=30, dim=48, spread=1.0, seed=0, **changes):
    """Clusters on the sphere with texts near their centres: half of each class's images in either split."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((classes, dim))
    labels = np.repeat(np.arange(classes), images)
    fields = {
        "image_features": centres[labels] + spread * random.standard_normal((labels.size, dim)),
        "labels": labels,
        "split": np.arange(labels.size) % 2,
        "split_names": ("train", "test"),
        "class_names": tuple(f"class {index}" for index in range(classes)),
        "backbone": "none",
        "source": "by hand",
        "text_features": centres + 0.8 * random.standard_normal((classes, dim)),
    }
    return FeatureBank(**fields | changes)


def exchanged(bank, first, second):
    texts = bank.text_features.copy()
    texts[[first, second]] = texts[[second, first]]
    return texts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 5, 20])
def test_banks_in_order_are_not_noticed(seed, classes):
    assert clusters(classes, seed=seed).notices == ()
    assert draw_synthetic_bank(seed, classes=classes).notices == ()
    assert draw_synthetic_bank(seed, classes=classes, texts=False).notices == ()


def test_permuted_texts_are_noticed():
    order = np.random.default_rng(1).permutation(20)
    notices = clusters(text_features=np.asarray(clusters().text_features)[order]).notices
    assert any("in another order than the labels" in notice for notice in notices)
    assert any("no better than guessing" in notice for notice in notices)


@pytest.mark.parametrize("pair", [(3, 4), (0, 19)])
@pytest.mark.parametrize("classes", [20, 50])
def test_two_exchanged_classes_are_named(pair, classes):
    bank = clusters(classes)
    (notice,) = clusters(classes, text_features=exchanged(bank, *pair)).notices
    assert f"the texts of 'class {pair[0]}' and 'class {pair[1]}' seem to be exchanged" in notice


def test_labels_numbered_from_1_are_noticed():
    right = clusters(19)
    bank = clusters(
        image_features=right.image_features,
        labels=right.labels + 1,
        split=right.split,
        text_features=np.vstack([right.text_features, np.ones(48)]),
    )
    notices = bank.notices
    assert any("are labels numbered from 1?" in notice for notice in notices)
    assert any("class 0 is one of them" in notice for notice in notices)


def test_texts_of_another_space_are_at_chance():
    texts = np.random.default_rng(5).standard_normal((20, 48))
    assert any("no better than guessing" in notice for notice in clusters(text_features=texts).notices)


def test_one_class_taken_for_another_is_named():
    texts = np.asarray(clusters().text_features).copy()
    texts[9] += 0.9 * texts[7]
    texts[7] = -texts[7]
    notices = clusters(text_features=texts).notices
    assert any("of the images of 'class 7' for 'class 9'" in notice for notice in notices)


def test_split_with_unrelated_labels_is_named():
    bank = clusters()
    labels = bank.labels.copy()
    train = bank.rows("train")
    labels[train] = np.random.default_rng(0).permutation(labels[train])
    (notice,) = clusters(labels=labels).notices
    assert "the labels of split 'train' seem unrelated to its images" in notice


def test_an_image_does_not_vouch_for_its_own_label():
    # In so many dimensions each image is nearest to any mean that it is part of.
    random = np.random.default_rng(0)
    notices = clusters(
        images=12, image_features=random.standard_normal((240, 512)), text_features=None
    ).notices
    assert len(notices) == 2
    assert all("seem unrelated to its images" in notice for notice in notices)


def test_a_handful_of_images_says_nothing_about_a_split():
    bank = clusters()
    labels, split = bank.labels.copy(), bank.split.copy()
    few = [10, 200, 400]
    labels[few] = (labels[few] + 7) % 20
    split[few] = 2
    assert clusters(labels=labels, split=split, split_names=("train", "test", "few")).notices == ()


def test_texts_far_worse_than_mean_images_are_noticed_with_their_accuracy():
    bank = clusters()
    means = np.stack([bank.image_features[bank.labels == label].mean(axis=0) for label in range(20)])
    noise = np.random.default_rng(1).standard_normal(means.shape)
    texts = means / np.linalg.norm(means, axis=1, keepdims=True) + 0.75 * noise
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    accuracy = np.mean((bank.image_features @ texts.T).argmax(axis=1) == bank.labels)
    assert 0.15 < accuracy < 0.3
    said = f"the texts classify {accuracy:.1%} of the bank's images right, far less than the"
    assert any(notice.startswith(said) for notice in clusters(text_features=texts).notices)


def test_a_sample_of_the_images_reaches_the_last_class(monkeypatch):
    exchanged_last = exchanged(clusters(), 18, 19)
    monkeypatch.setattr(text_order, "_MOST_IMAGES", 300)
    (notice,) = clusters(text_features=exchanged_last).notices
    assert "the texts of 'class 18' and 'class 19' seem to be exchanged" in notice


def test_class_0_is_pointed_at_only_where_labels_may_start_at_1():
    bank = clusters()
    for absent, pointed in (((0,), True), ((0, 5), True), ((0, 19), False), ((5,), False)):
        labels = np.where(np.isin(bank.labels, absent), 7, bank.labels)
        said = [each for each in clusters(labels=labels).notices if "without any image" in each]
        assert len(said) == 1
        assert ("labels must be numbered from 0" in said[0]) == pointed, absent


def test_equal_texts_and_names_are_noticed():
    texts = np.asarray(clusters().text_features).copy()
    texts[11] = 3 * texts[2]
    names = list(clusters().class_names)
    names[11] = names[2]
    notices = clusters(text_features=texts, class_names=tuple(names)).notices
    assert any("equal names: first classes 2 ('class 2') and 11 ('class 2')" in each for each in notices)
    assert any("equal text features" in each and "2 ('class 2') and 11" in each for each in notices)


@pytest.mark.parametrize("name", ["nan", "NaN", "None"])
def test_missing_names_are_noticed(name):
    names = ("class 0", name, *clusters().class_names[2:])
    assert any(
        f"class 1 of the bank is called {name!r}" in each for each in clusters(class_names=names).notices
    )


def test_images_that_cancel_each_other_are_no_error():
    features = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])
    bank = clusters(
        2,
        image_features=features,
        labels=np.array([0, 0, 1, 1, 0, 0]),
        split=np.zeros(6, int),
        text_features=np.eye(2),
    )
    assert all(notice.isprintable() for notice in bank.notices)


@pytest.mark.parametrize("name", ["caltech61", "dtd", "ucf101"])
def test_real_banks_are_in_order(name):
    path = REAL / f"{name}_clip_vitb32.npz"
    if not path.exists():
        pytest.skip("the real feature banks are not here")
    assert all("not used" in notice for notice in load_bank(path).notices)


def test_exchanged_texts_of_a_real_bank_are_named():
    path = REAL / "caltech61_clip_vitb32.npz"
    if not path.exists():
        pytest.skip("the real feature banks are not here")
    bank = load_bank(path)
    names = bank.class_names
    swapped = FeatureBank(
        bank.image_features,
        bank.labels,
        bank.split,
        bank.split_names,
        names,
        bank.backbone,
        bank.source,
        exchanged(bank, 7, 8),
    )
    (notice,) = swapped.notices
    assert f"{names[7]!r} and {names[8]!r} seem to be exchanged" in notice
