"""Feature banks: arrays that make no sense, and archives that are damaged or lie."""

import functools
import io
import pathlib
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.stress.case import Case, Materials, written
from tests.stress.inputs import commands

Arrays = dict[str, Any]
_COUNTED = ("labels", "split")
_REQUIRED = ("image_features", "labels", "split", "split_names", "class_names", "backbone")


def draw(rng: random.Random, materials: Materials) -> Case:
    """One bad bank, for `clip`, or for a command that audits with it."""
    if rng.random() < 0.5:
        kind, content, key, must = _of_arrays(rng, materials.bank)
    else:
        kind, content, key, must = _of_bytes(rng, materials.bank)
    command = rng.choice(["clip", "clip", "clip", "audit", "reproduce"]) if must else "clip"
    words = (command, *commands.TINY[command], "--bank", "bank.npz")
    return Case(command, kind, words, ("bank.npz", key, "min_rows"), must, written(bank__npz=content))


def small_bank() -> bytes:
    """A good bank of three classes in eight dimensions."""
    generator = np.random.default_rng(7)
    per_class, classes, dim = 20, 3, 8
    centres = generator.standard_normal((classes, dim))
    labels = np.repeat(np.arange(classes), per_class)
    return _packed(
        {
            "image_features": (centres[labels] + 0.3 * generator.standard_normal((labels.size, dim))).astype(
                np.float32
            ),
            "labels": labels,
            "split": np.tile(np.repeat([0, 1], [8, 12]), classes),
            "split_names": np.array(["train", "test"]),
            "class_names": np.array(["ant", "bee", "cat"]),
            "backbone": np.array("none"),
            "text_features": centres.astype(np.float32),
        }
    )


def _packed(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


@functools.cache
def _unpacked(bank: pathlib.Path) -> Arrays:
    with np.load(bank) as archive:
        return dict(archive)


def _of_arrays(rng: random.Random, bank: pathlib.Path) -> tuple[str, bytes, str, bool]:
    arrays = {key: array.copy() for key, array in _unpacked(bank).items()}
    kind, key, must = rng.choice(_CHANGES)(rng, arrays)
    return kind, _packed(arrays), key, must


def _missing(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(_REQUIRED)
    del arrays[key]
    return "missing key", key, True


def _misspelt(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(_REQUIRED)
    arrays[key.upper() if rng.random() < 0.5 else key[:-1]] = arrays.pop(key)
    return "misspelt key", key, True


def _not_finite(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(["image_features", "text_features"])
    rows, columns = arrays[key].shape
    value = rng.choice([np.nan, np.inf, -np.inf])
    arrays[key][rng.randrange(rows), rng.randrange(columns)] = value
    return "NaN or infinity", key, True


def _zero_row(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(["image_features", "text_features"])
    arrays[key][rng.randrange(len(arrays[key]))] = 0
    return "row of zeros", key, True


def _out_of_range(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(_COUNTED)
    arrays[key][rng.randrange(len(arrays[key]))] = rng.choice([-1, 3, 99, 2**40, -(2**40), 2**32])
    return "code out of range", key, True


def _wrong_type(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(_REQUIRED)
    array = arrays[key]
    kinds: list[Any] = ["U8", "S8", "M8[s]", np.complex128, bool, [("x", np.float64)]]
    kinds += [np.float64] if key in _COUNTED else [np.int64] if key == "image_features" else [np.float32]
    if key in ("split_names", "class_names", "backbone"):
        kinds.remove("U8")
    arrays[key] = np.zeros(array.shape, rng.choice(kinds))
    return "wrong type", key, True


def _wrong_shape(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(["image_features", "labels", "split", "text_features"])
    array = arrays[key]
    arrays[key] = rng.choice(
        [array[:-1], array[..., None], np.concatenate([array, array]), array[:0], array[0], array[None]]
    )
    return "wrong shape", key if key in ("labels", "split") else "features", True


def _wrong_width(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(["image_features", "text_features"])
    arrays[key] = rng.choice([arrays[key][:, :-1], arrays[key][:, :0]])
    return "wrong width", "features", True


def _objects(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(_REQUIRED)
    arrays[key] = np.array([{"not": "data"}] * 3, dtype=object)
    return "pickled objects", key, True


def _names(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    key = rng.choice(["split_names", "class_names"])
    bad = {"split_names": ["test", "test"], "class_names": ["one"]}[key]
    arrays[key] = np.array(rng.choice([bad, bad[:1]]))
    return "too few or equal names", key if key == "split_names" else "", True


def _huge_values(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    arrays["image_features"] = arrays["image_features"].astype(np.float64) * rng.choice([1e300, 1e-300, 1e39])
    return "huge or tiny features", "image_features", False


def _one_class(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    arrays["labels"][:] = rng.choice([0, 2])
    return "one class only", "labels", False


def _one_split(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    arrays["split"][:] = rng.choice([0, 1])
    return "one split only", "split", True


def _same_images(rng: random.Random, arrays: Arrays) -> tuple[str, str, bool]:
    arrays["image_features"][:] = arrays["image_features"][0]
    return "one image only", "image_features", False


_CHANGES: tuple[Callable[[random.Random, Arrays], tuple[str, str, bool]], ...] = (
    _missing,
    _misspelt,
    _not_finite,
    _zero_row,
    _out_of_range,
    _wrong_type,
    _wrong_shape,
    _wrong_width,
    _objects,
    _names,
    _huge_values,
    _one_class,
    _one_split,
    _same_images,
)


def _of_bytes(rng: random.Random, bank: pathlib.Path) -> tuple[str, bytes, str, bool]:
    good = bank.read_bytes()
    kind, content, must = rng.choice(_DAMAGE)(rng, good)
    return kind, content, "bank", must


def _cut(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    return "cut short", good[: rng.randrange(len(good) - 1)], True


def _flipped(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    content = bytearray(good)
    for _ in range(rng.randint(1, 20)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return "flipped bits", bytes(content), False


def _zeroed(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    start = rng.randrange(len(good) - 512)
    return "block of zeros", good[:start] + bytes(512) + good[start + 512 :], False


def _other_file(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    noise = bytes(rng.randrange(256) for _ in range(2000))
    return (
        "another file",
        rng.choice([b"", b"\n", b"PK", noise, array.getvalue(), b"\x89HDF\r\n\x1a\n"]),
        True,
    )


def _archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _members(good: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _lying(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    shapes = [
        "(1000000000000, 8)",
        "(60, 9)",
        "(-1, 8)",
        "(60, 8, 'x')",
        "(2**62, 2**62)",
        "(4611686018427387904, 8)",
    ]
    header = _header(rng.choice(shapes), rng.choice(["<f4", "<f8", "|O", "<q9", "nonsense"]))
    key = rng.choice(["image_features", "labels"])
    return "lying header", _archive(_members(good) | {f"{key}.npy": header + bytes(1920)}), True


def _bomb(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    """A small archive of a huge array of zeros, of the right shape but for its length."""
    rows = rng.choice([10**6, 4 * 10**6])
    content = _header(f"({rows}, 8)") + bytes(rows * 32)
    return "zip bomb", _archive(_members(good) | {"image_features.npy": content}, zipfile.ZIP_DEFLATED), True


def _flagged(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    """Members that are marked as encrypted, or as compressed by a method there is not."""
    content = bytearray(good)
    offset, value = rng.choice([(8, 1), (10, 99), (10, 12)])
    place = good.index(b"PK\x01\x02")
    while place >= 0:
        content[place + offset] |= value
        place = good.find(b"PK\x01\x02", place + 4)
    return "encrypted or unknown method", bytes(content), True


def _twice(rng: random.Random, good: bytes) -> tuple[str, bytes, bool]:
    import warnings

    stream = io.BytesIO(good)
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as archive:
        warnings.simplefilter("ignore")  # of the repeated name
        key = rng.choice(["labels.npy", "image_features.npy"])
        archive.writestr(key, _header("(60,)", "<i8") + bytes(480))
    return "repeated member", stream.getvalue(), False


_DAMAGE: tuple[Callable[[random.Random, bytes], tuple[str, bytes, bool]], ...] = (
    _cut,
    _flipped,
    _zeroed,
    _other_file,
    _lying,
    _bomb,
    _flagged,
    _twice,
)
