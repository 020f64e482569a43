"""Feature banks: what a good one gives, and the one error that every malformed one raises."""

import pathlib

import numpy as np
import pytest

from promptfolio.companion.banks import draw_synthetic_bank, load_bank
from simulate.validation import ConfigurationError


def contents(texts=True):
    bank = draw_synthetic_bank(classes=3, dim=8, train_per_class=2, test_per_class=3)
    arrays = {
        "image_features": bank.image_features.astype(np.float16),
        "labels": bank.labels,
        "split": bank.split.astype(np.int8),
        "split_names": np.array(bank.split_names),
        "class_names": np.array(bank.class_names),
        "backbone": np.array(bank.backbone),
    }
    assert bank.text_features is not None
    return arrays | ({"text_features": bank.text_features.astype(np.float16)} if texts else {})


def save(directory: pathlib.Path, **changes) -> pathlib.Path:
    path = directory / "bank.npz"
    np.savez(path, **{key: value for key, value in (contents() | changes).items() if value is not None})
    return path


def test_good_bank_is_read_and_normalised_in_float32(tmp_path):
    bank = load_bank(save(tmp_path))
    assert bank.image_features.dtype == np.float32
    # float16 rounding alone would leave norms off by up to 5e-4.
    np.testing.assert_allclose(np.linalg.norm(bank.image_features, axis=1), 1, atol=2e-7)
    assert bank.text_features is not None
    np.testing.assert_allclose(np.linalg.norm(bank.text_features, axis=1), 1, atol=2e-7)
    assert bank.source == "bank.npz"
    assert not bank.synthetic
    assert bank.describe()["text_features"] == 1


def test_texts_are_optional_and_a_synthetic_file_stays_synthetic(tmp_path):
    bank = load_bank(save(tmp_path, text_features=None, synthetic=np.array(True)))
    assert bank.text_features is None
    assert bank.synthetic
    assert bank.describe()["synthetic"] == 1


NAN = contents()["image_features"].copy()
NAN[1, 2] = np.nan
ZERO = contents()["text_features"].copy()
ZERO[0] = 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, None) for key in contents(texts=False)),
        ("image_features", np.zeros(15)),
        ("image_features", np.ones((15, 8), int)),
        ("image_features", np.zeros((0, 8))),
        ("image_features", NAN),
        ("image_features", np.array([{"a": 1}], dtype=object)),
        ("labels", np.zeros(3, int)),
        ("labels", np.zeros(15)),
        ("labels", np.full(15, 3)),
        ("labels", np.full(15, -1)),
        ("split", np.full(15, 2)),
        ("split", np.zeros((15, 1), int)),
        ("split_names", np.array(["test", "test"])),
        ("split_names", np.array([1, 2])),
        ("class_names", np.array(["one"])),
        ("class_names", np.array([["a", "b", "c"]])),
        ("backbone", np.array(3)),
        ("text_features", np.ones((2, 8))),
        ("text_features", np.ones((3, 7))),
        ("text_features", ZERO),
    ],
)
def test_malformed_key_is_named(tmp_path, key, value):
    path = save(tmp_path, **{key: value})
    with pytest.raises(ConfigurationError) as caught:
        load_bank(path)
    assert caught.value.field == f"{path}[{key}]"
    assert caught.value.allowed


def damaged(path: pathlib.Path, kind: str) -> pathlib.Path:
    whole = save(path.parent).read_bytes()
    if kind == "text":
        path.write_text("not a bank")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut short":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped bytes":
        path.write_bytes(whole[:100] + bytes(byte ^ 255 for byte in whole[100:200]) + whole[200:])
    elif kind == "npy":
        with path.open("wb") as stream:
            np.save(stream, np.ones(3))
    elif kind == "pickle":
        np.savez(path, image_features=np.array([{}], dtype=object))
    elif kind == "directory":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    "kind", ["absent", "text", "empty", "cut short", "flipped bytes", "npy", "pickle", "directory"]
)
def test_unreadable_file_is_named(tmp_path, kind):
    path = damaged(tmp_path / "other.npz", kind)
    with pytest.raises(ConfigurationError) as caught:
        load_bank(path)
    assert caught.value.field.startswith(str(path))


def test_unknown_split_is_an_error():
    with pytest.raises(ConfigurationError, match="split"):
        draw_synthetic_bank(classes=2, dim=8).rows("nowhere")


def test_synthetic_bank_is_marked_and_decent_at_zero_shot():
    bank = draw_synthetic_bank(seed=1)
    assert bank.synthetic
    assert bank.source == "synthetic"
    assert bank.text_features is not None
    test = bank.rows("test")
    zero_shot = np.mean(
        (bank.image_features[test] @ bank.text_features.T).argmax(axis=1) == bank.labels[test]
    )
    assert 0.6 < zero_shot < 0.8
    # The modality gap: images resemble any other image more than their own text.
    images = bank.image_features[test]
    assert np.median(images @ images.T) > np.median(
        (images * bank.text_features[bank.labels[test]]).sum(axis=1)
    )


def test_synthetic_bank_depends_on_its_seed_alone():
    first, again, other = draw_synthetic_bank(1), draw_synthetic_bank(1), draw_synthetic_bank(2)
    np.testing.assert_array_equal(first.image_features, again.image_features)
    assert np.abs(first.image_features - other.image_features).max() > 0.1


@pytest.mark.parametrize(
    ("field", "value"),
    [("classes", 1), ("dim", 2), ("spread", -1.0), ("text_error", np.nan), ("train_per_class", 0)],
)
def test_synthetic_bank_names_bad_arguments(field, value):
    with pytest.raises(ConfigurationError) as caught:
        draw_synthetic_bank(**{field: value})
    assert caught.value.field == field
