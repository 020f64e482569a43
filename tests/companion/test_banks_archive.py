"""Archives that nobody vouches for: each is read, or refused in one line, before memory is taken for it."""

import io
import os
import random
import struct
import warnings
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from promptfolio.companion.banks import archive, load_bank
from simulate.validation import ConfigurationError
from tests.companion.test_companion_bank import contents


def npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=True)
    return stream.getvalue()


def with_header(descr: str, shape: str, body: bytes = b"", fortran: str = "False", version: int = 1) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + body


def write(path, members, method=zipfile.ZIP_DEFLATED):
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as stream:
        warnings.simplefilter("ignore")  # duplicate names are what is tested
        for name, content in members:
            stream.writestr(name, content)
    return path


def good_members(**changes: bytes):
    return [(f"{key}.npy", changes.get(key, npy(value))) for key, value in contents().items()]


def refusal(path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_bank(path)
    text = str(caught.value)
    assert text.isprintable(), "one line, without control characters"
    assert len(text) < 1500
    return text


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_as_numpy_writes_them_are_read(tmp_path, method):
    assert load_bank(write(tmp_path / "bank.npz", good_members(), method)).classes == 3


HEADERS = {
    "more than any machine holds": with_header("'<f4'", "(100000000000, 1000)"),
    "more than 64 bits": with_header("'<f4'", "(99999999999999999999999, 2)"),
    "negative": with_header("'<f4'", "(-15, -8)", bytes(480)),
    "fewer than it holds": with_header("'<f4'", "(15, 8)", bytes(500)),
    "more than it holds": with_header("'<f4'", "(15, 8)", bytes(400)),
    "entries without bytes": with_header("'<U0'", "(4611686018427387904,)"),
    "records": with_header("[('a', '<f4')]", "(15, 8)", bytes(480)),
    "objects": npy(np.array([{"a": 1}], dtype=object)),
    "nested brackets": with_header("'<f4'", "(" * 3000),
    "unfinished": with_header("'<f4'", "(15,"),
    "not a tuple": with_header("'<f4'", "'abc'", bytes(480)),
    "another version": with_header("'<f4'", "(15, 8)", bytes(480), version=9),
    "no header": b"",
    "no magic": b"a text",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_header_that_cannot_be_right_is_refused(tmp_path, kind):
    path = write(tmp_path / "bank.npz", good_members(image_features=HEADERS[kind]))
    assert f"{path}[image_features]" in refusal(path)


def test_header_of_python_2_is_read(tmp_path):
    features = np.ones((15, 8), "<f4")
    old = with_header("'<f4'", "(15L, 8L)", features.tobytes())
    assert load_bank(write(tmp_path / "bank.npz", good_members(image_features=old))).dim == 8


def test_arrays_that_do_not_fit_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "bank.npz", good_members())
    monkeypatch.setattr(archive, "machine_memory", lambda: 2000)

    def read(*_, **__):
        raise AssertionError("the array was read")

    monkeypatch.setattr(np.lib.format, "read_array", read)
    assert "at most 1,000 bytes" in refusal(path)


def test_what_unpacks_to_far_more_than_it_is_is_refused(tmp_path, monkeypatch):
    bomb = with_header("'<f4'", "(10000, 100)", bytes(4_000_000))
    path = write(tmp_path / "bank.npz", good_members(image_features=bomb))
    monkeypatch.setattr(archive, "_LARGE", 10**6)
    assert "packed by a factor of at most 200" in refusal(path)


def edited_directory(path, offset: int, value: bytes):
    """The archive with bytes of the first member's entry in the central directory replaced."""
    whole = bytearray(path.read_bytes())
    at = whole.index(b"PK\x01\x02") + offset
    whole[at : at + len(value)] = value
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (8, b"\x01\x00", "encrypted"),
        (10, b"\x0c\x00", "method 12"),
        (10, b"\x63\x00", "method 99"),
        (16, b"\x00\x00\x00\x00", "CRC"),
        (20, b"\xff\xff\xff\x7f", "packed bytes"),
        (24, b"\xff\xff\xff\x7f", "holds for it"),
        (42, b"\xff\xff\xff\x00", "image_features"),
    ],
)
def test_directory_that_cannot_be_right_is_refused(tmp_path, offset, value, said):
    path = write(tmp_path / "bank.npz", good_members())
    assert said in refusal(edited_directory(path, offset, value))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("text_feature.npy", "the nearest is text_features"),
        ("image_feature.npy", "the nearest is image_features"),
        ("Labels.npy", "the nearest is labels"),
        ("word/document.xml", "'word/document.xml'"),
        ("../labels.npy", "'../labels'"),
        ("labels", "labels"),
        ("two\nlines.npy", "two\\nlines"),
        ("x" * 5000 + ".npy", "xxx…"),
        ("folder/", "folder/"),
    ],
)
def test_unknown_keys_are_named(tmp_path, name, said):
    text = refusal(write(tmp_path / "bank.npz", [*good_members(), (name, npy(np.zeros(3)))]))
    assert said in text
    assert "image_features, labels" in text


def test_key_that_occurs_twice_is_refused(tmp_path):
    twice = [*good_members(), ("labels.npy", npy(np.zeros(15, int)))]
    assert "labels] = twice" in refusal(write(tmp_path / "bank.npz", twice))


def special(path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pickle":
        path.write_bytes(b"\x80\x04]\x94.")
    elif kind == "hdf5":
        path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    elif kind == "npy":
        path.write_bytes(npy(np.ones(3)))
    elif kind == "docx":
        write(path, [("[Content_Types].xml", b"<a/>"), ("word/document.xml", b"<a/>")])
    elif kind == "no members":
        write(path, [])


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("folder", "a folder, a pipe or a device"),
        ("pipe", "a folder, a pipe or a device"),
        ("device", "a folder, a pipe or a device"),
        ("pickle", "a pickle"),
        ("hdf5", "an HDF5 file"),
        ("npy", "a single array"),
        ("docx", "[Content_Types].xml"),
        ("no members", "the file has no array"),
        ("absent", "No such file"),
    ],
)
def test_other_files_are_refused_by_what_they_are(tmp_path, kind, said):
    path = tmp_path / "bank.npz"
    special(path, kind)
    assert said in refusal(path)


@pytest.mark.parametrize("path", ["", "a\0b", "a\nb.npz"])
def test_odd_paths_are_refused_in_one_line(path):
    refusal(path)


def test_path_that_does_not_print_is_escaped(tmp_path):
    bank = load_bank(write(tmp_path / "two\nlines\x1b.npz", good_members()))
    assert bank.source.isprintable()


Change = Callable[[random.Random, bytearray], None]


def flip(draw: random.Random, whole: bytearray) -> None:
    for _ in range(draw.choice([1, 3, 30])):
        whole[draw.randrange(len(whole))] = draw.randrange(256)


def cut(draw: random.Random, whole: bytearray) -> None:
    del whole[draw.randrange(len(whole)) :]


def break_directory(draw: random.Random, whole: bytearray) -> None:
    whole[draw.randrange(whole.index(b"PK\x01\x02"), len(whole))] = draw.randrange(256)


def break_headers(draw: random.Random, whole: bytearray) -> None:
    at = draw.choice([place for place in range(len(whole)) if whole.startswith(b"\x93NUMPY", place)])
    whole[at + draw.randrange(110)] = draw.randrange(256)


@pytest.mark.parametrize("change", [flip, cut, break_directory, break_headers])
def test_damaged_archives_are_read_right_or_refused_in_one_line(tmp_path, change: Change):
    path, draw = tmp_path / "bank.npz", random.Random(0)
    whole = write(path, good_members(), zipfile.ZIP_STORED).read_bytes()
    refused = []
    for _ in range(100):
        damaged = bytearray(whole)
        change(draw, damaged)
        path.write_bytes(damaged)
        try:
            bank = load_bank(path)
        except ConfigurationError as error:
            refused.append(str(error))
        else:
            np.testing.assert_allclose(np.linalg.norm(bank.image_features, axis=1), 1, rtol=1e-6)
            assert all(notice.isprintable() for notice in bank.notices)
    assert len(refused) > 30
    assert all(message.isprintable() for message in refused)
