"""Feature banks: what a good one gives, and the one error that every malformed one raises."""

import dataclasses
import pathlib

import numpy as np
import pytest

from promptfolio.companion.banks import checks, draw_synthetic_bank, load_bank, load_banks
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
        ("backbone", np.array(["one", "two"])),
        ("image_features", contents()["image_features"].astype(complex)),
        ("labels", np.zeros(15, "m8[s]")),
        ("labels", np.zeros(15, bool)),
        ("class_names", np.array([b"one", b"two", b"three"])),
        ("class_names", np.array(["one", "", "three"])),
        ("class_names", np.array(["one", "two\nlines", "three"])),
        ("class_names", np.array(["one", "\x1b[31mred", "three"])),
        ("class_names", np.array(["one", "\ud800", "three"])),
        ("class_names", np.array(["one", "\u202egnp", "three"])),
        ("class_names", np.array(["one", "x" * 501, "three"])),
        ("class_names", np.full(3, 0x110000, np.uint32).view("U1")),
        ("backbone", np.array(" ")),
        ("synthetic", np.array(2)),
        ("synthetic", np.array([True, False])),
        ("synthetic", np.array("yes")),
        ("client", np.zeros(3, int)),
        ("client", np.zeros(15)),
        ("client", np.zeros(15, int)),
        ("client_names", np.array(["one", "two"])),
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


def at(array, row, value):
    changed = array.copy()
    changed[row] = value
    return changed


FEATURES = contents()["image_features"].astype(np.float64)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("image_features", at(FEATURES, (7, 3), np.nan), "nan in row 7, column 3"),
        ("image_features", at(FEATURES, (14, 0), -np.inf), "-inf in row 14, column 0"),
        ("image_features", at(FEATURES, 3, 0), "zero throughout row 3"),
        ("image_features", at(FEATURES, 3, 1e-9).astype(np.float16), "zero throughout row 3"),
        ("text_features", at(contents()["text_features"], 2, 0), "zero throughout row 2"),
        ("labels", at(contents()["labels"], 5, 3), "3 in row 5"),
        ("labels", at(contents()["labels"], 5, -1), "-1 in row 5"),
        ("labels", at(contents()["labels"].astype(np.uint64), 4, 2**64 - 1), f"{2**64 - 1} in row 4"),
        ("labels", at(contents()["labels"].astype(np.int64), 4, 2**32), f"{2**32} in row 4"),
        ("split", at(contents()["split"], 9, 2), "2 in row 9"),
        ("class_names", np.array(["one", "two", "t\t"]), "entry 2"),
    ],
)
@pytest.mark.parametrize("entries", [None, 1])
def test_first_bad_row_is_named(tmp_path, monkeypatch, key, value, said, entries):
    if entries is not None:  # a block of one row, so that the row is not in the first block
        monkeypatch.setattr(checks, "_BLOCK_ENTRIES", entries)
    with pytest.raises(ConfigurationError, match=f"{key}.* = {said}"):
        load_bank(save(tmp_path, **{key: value}))


@pytest.mark.parametrize(
    "change",
    [
        lambda features: features * 1e300,
        lambda features: features * 1e-300,
        lambda features: features * np.logspace(-200, 200, 15)[:, None],
        lambda features: features.astype(">f8"),
        lambda features: np.asfortranarray(features),
        lambda features: features.astype(np.longdouble),
        lambda features: features.astype(">f2"),
    ],
)
def test_features_of_any_scale_and_layout_have_their_direction(tmp_path, change):
    expected = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    bank = load_bank(save(tmp_path, image_features=change(FEATURES)))
    np.testing.assert_allclose(bank.image_features, expected, rtol=1e-6, atol=1e-7)
    assert bank.image_features.dtype == np.float32


@pytest.mark.parametrize(("kind", "scale"), [("f2", 1e-6), ("f4", 1e-42), ("f8", 1e-320)])
def test_features_too_small_for_their_type_are_refused(tmp_path, kind, scale):
    features = (FEATURES / np.abs(FEATURES).max()).astype("f8")
    features[3] *= scale
    with pytest.raises(ConfigurationError, match=r"image_features.*in size throughout row 3 .*loses digits"):
        load_bank(save(tmp_path, image_features=features.astype(kind)))


def test_labels_of_any_integer_type_are_read(tmp_path):
    for kind in ("u1", "i1", ">i2", "u8", ">i8"):
        labels = load_bank(save(tmp_path, labels=contents()["labels"].astype(kind))).labels
        np.testing.assert_array_equal(labels, contents()["labels"])
        assert labels.dtype == np.int32


@pytest.mark.parametrize(
    ("client", "names", "codes"),
    [
        (np.arange(15) % 3, ("0", "1", "2"), np.arange(15) % 3),
        (np.arange(15) % 2 * 70 + 7, ("7", "77"), np.arange(15) % 2),
        (np.array(["b", "a", "a"] * 5), ("a", "b"), np.array([1, 0, 0] * 5)),
    ],
)
def test_given_clients_are_named(tmp_path, client, names, codes):
    bank = load_bank(save(tmp_path, client=client))
    assert bank.client_names == names
    np.testing.assert_array_equal(bank.client, codes)
    assert bank.describe()["clients_given"] == len(names)


def test_clients_may_have_names(tmp_path):
    bank = load_bank(save(tmp_path, client=np.arange(15) % 2, client_names=np.array(["north", "south"])))
    assert bank.client_names == ("north", "south")
    with pytest.raises(ConfigurationError, match="2 in row 2"):
        load_bank(save(tmp_path, client=np.arange(15) % 3, client_names=np.array(["north", "south"])))


def test_keys_that_are_not_used_become_a_notice(tmp_path):
    bank = load_bank(save(tmp_path, domain=np.zeros(15, int), notes=np.array("by hand")))
    assert bank.notices[0].startswith(
        "the bank's domain, notes are not used; to make a client of each domain"
    )
    assert load_bank(save(tmp_path)).remarks == ()


def test_contents_tell_banks_apart(tmp_path):
    first = load_bank(save(tmp_path))
    np.savez_compressed(tmp_path / "packed.npz", **contents())
    again = load_bank(tmp_path / "packed.npz")
    assert first.sha256 == again.sha256 == first.describe()["bank_sha256"]
    assert len(first.sha256) == 64
    others = (
        {"labels": contents()["labels"][::-1].copy()},
        {"class_names": np.array(["one", "two", "three"])},
        {"text_features": None},
        {"client": np.arange(15) % 2},
        {"synthetic": np.array(True)},
    )
    digests = {load_bank(save(tmp_path, **other)).sha256 for other in others}
    assert len(digests | {first.sha256}) == len(others) + 1


def test_every_field_of_a_bank_counts_in_its_digest():
    bank = draw_synthetic_bank(classes=3, dim=8, train_per_class=2, test_per_class=3)
    assert bank.text_features is not None
    bank = dataclasses.replace(bank, client=np.arange(15) % 2, client_names=("north", "south"))

    def moved(rows):
        return rows + np.float32(1e-4) * (np.arange(rows.size) == 0).reshape(rows.shape)

    changes = {
        "image_features": moved(bank.image_features),
        "labels": np.roll(bank.labels, 1),
        "split": 1 - bank.split,
        "split_names": ("train", "test"),
        "class_names": ("class 0", "class 1", "third"),
        "backbone": "another",
        "text_features": moved(bank.text_features),
        "synthetic": False,
        "client": 1 - np.arange(15) % 2,
        "client_names": ("north", "east"),
    }
    named = {field.name for field in dataclasses.fields(bank)}
    assert set(changes) == named - {"source", "remarks"}, "a new field must count, too"
    digests = {name: dataclasses.replace(bank, **{name: value}).sha256 for name, value in changes.items()}
    assert len({bank.sha256, *digests.values()}) == 1 + len(changes)
    same = dataclasses.replace(bank, source="elsewhere", remarks=("a note",))
    assert same.sha256 == bank.sha256


def test_a_bank_describes_its_own_numbers():
    bank = draw_synthetic_bank(classes=3, dim=8, train_per_class=2, test_per_class=5)
    described = bank.describe()
    assert (described["images"], described["classes"], described["feature_dim"]) == (21, 3, 8)
    assert (described["clients_given"], described["backbone"]) == (0, "none (synthetic features)")
    assert (bank.rows("val").size, bank.rows("test").size) == (6, 15)
    assert np.bincount(bank.labels[bank.rows("val")]).tolist() == [2, 2, 2]


def test_banks_of_one_result_have_different_sources(tmp_path):
    paths = []
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        paths.append(save(tmp_path / name, backbone=np.array(name)))
    assert [bank.source for bank in load_banks(paths)] == [str(path) for path in paths]
    assert [bank.source for bank in load_banks(paths[:1])] == ["bank.npz"]
    with pytest.raises(ConfigurationError, match="their contents are equal"):
        load_banks([paths[0], paths[0]])


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


def test_synthetic_clusters_have_the_spread_and_the_error_that_are_asked_for():
    # Without text error a text is its class's direction in the text's own shared frame; all numbers are those of
    # α v_c against α · spread · w, with α = tan of the angle to the shared direction.
    bank = draw_synthetic_bank(
        classes=8, dim=400, train_per_class=150, test_per_class=150, spread=1.5, text_error=0.5
    )
    rows = bank.image_features.astype(np.float64)
    classes = [rows[bank.labels == label] for label in range(8)]
    centres = np.array([own.mean(axis=0) for own in classes])
    within = np.mean([((own - own.mean(axis=0)) ** 2).sum(axis=1).mean() for own in classes])
    between = ((centres - centres.mean(axis=0)) ** 2).sum(axis=1).mean() * 8 / 7 - within / 150
    assert within / between == pytest.approx(1.5**2, rel=0.15)
    assert bank.text_features is not None
    texts = bank.text_features.astype(np.float64)
    texts = texts - texts.mean(axis=0)
    image = centres - centres.mean(axis=0)
    cosines = (texts * image).sum(axis=1) / np.linalg.norm(texts, axis=1) / np.linalg.norm(image, axis=1)
    assert cosines.mean() == pytest.approx(1 / np.sqrt(1 + 0.5**2), abs=0.05)


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
