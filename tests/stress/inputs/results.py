"""Files of results: damaged, swapped, with other contents than they say."""

import pathlib
import random
import shutil
from collections.abc import Callable

import h5py
import numpy as np

from tests.stress.case import SWEEP, Case, Materials, WrongNumbers

Damage = tuple[str, bool, Callable[[pathlib.Path], object]]
"""What is wrong, whether it has to be refused, and what does it to a file."""


def draw(rng: random.Random, materials: Materials) -> Case:
    """One bad result, for `load_result`, `load_sweep`, or the commands `figures` and `plot`."""
    kind, must, damage = rng.choice(_damages(rng))
    reader = rng.choice(["load_result", "load_result", "load_sweep", "load_sweep", "figures", "plot"])
    if reader == "load_result":
        return _single(kind, must, damage, materials)
    if reader == "load_sweep":
        return _of_sweep(kind, must, damage, materials)
    if reader == "plot":
        return _drawn(kind, must, damage, materials)
    words = ("figures", "--data", "data", "--out", "drawn")

    def prepare(here: pathlib.Path) -> None:
        (here / "data").mkdir()
        shutil.copy(materials.result, here / "data" / "accuracy.nc")
        damage(here / "data" / "accuracy.nc")

    return Case("figures", kind, words, ("data",), True, prepare)


def _single(kind: str, must: bool, damage: Callable[[pathlib.Path], object], materials: Materials) -> Case:
    def prepare(here: pathlib.Path) -> None:
        shutil.copy(materials.result, here / "run.nc")
        damage(here / "run.nc")

    def call() -> None:
        from simulate import load_result

        _require_equal(load_result("run.nc"), load_result(materials.result))

    return Case("load_result", kind, (), ("run.nc",), must, prepare, call)


def _drawn(kind: str, must: bool, damage: Callable[[pathlib.Path], object], materials: Materials) -> Case:
    def prepare(here: pathlib.Path) -> None:
        shutil.copy(materials.result, here / "run.nc")
        damage(here / "run.nc")

    words = ("plot", "run.nc", "--out", "picture.png")
    return Case("plot", kind, words, ("run.nc",), must, prepare)


def _of_sweep(kind: str, must: bool, damage: Callable[[pathlib.Path], object], materials: Materials) -> Case:
    def prepare(here: pathlib.Path) -> None:
        shutil.copytree(materials.sweep, here / "results")
        (here / "spec.toml").write_text(SWEEP, encoding="utf-8")
        damage(sorted((here / "results").glob("*.nc"))[0])

    def call() -> None:
        from promptfolio.sweep import load_sweep

        _require_equal(load_sweep("spec.toml", "results"), load_sweep("spec.toml", materials.sweep))

    name = sorted(materials.sweep.glob("*.nc"))[0].name
    return Case("load_sweep", kind, (), (name, name[:-3], "results"), must, prepare, call)


def _require_equal(read: object, good: object) -> None:
    import xarray as xr

    assert isinstance(read, xr.Dataset)
    assert isinstance(good, xr.Dataset)
    if not read.identical(good):
        differing = [str(name) for name in good.variables if not _same(read, good, str(name))]
        raise WrongNumbers(
            f"read without a word, though these differ: {', '.join(differing) or 'attributes'}"
        )


def _same(read: object, good: object, name: str) -> bool:
    import xarray as xr

    assert isinstance(read, xr.Dataset)
    assert isinstance(good, xr.Dataset)
    return name in read.variables and read.variables[name].identical(good.variables[name])


def _damages(rng: random.Random) -> list[Damage]:
    where, bits = rng.random(), [(rng.random(), 1 << rng.randrange(8)) for _ in range(rng.randint(1, 8))]
    noise = bytes(rng.randrange(256) for _ in range(900))

    def cut(path: pathlib.Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(where * (len(content) - 1))])

    def flip(path: pathlib.Path) -> None:
        content = bytearray(path.read_bytes())
        for place, bit in bits:
            content[int(place * len(content))] ^= bit
        path.write_bytes(content)

    def zero(path: pathlib.Path) -> None:
        content = path.read_bytes()
        start = int(where * (len(content) - 512))
        path.write_bytes(content[:start] + bytes(512) + content[start + 512 :])

    def link(path: pathlib.Path) -> None:
        path.unlink()
        path.symlink_to(path.name)

    def folder(path: pathlib.Path) -> None:
        path.unlink()
        path.mkdir()

    return [
        ("cut short", True, cut),
        ("flipped bits", False, flip),
        ("flipped bits", False, flip),
        ("block of zeros", False, zero),
        ("another file", True, lambda path: path.write_bytes(rng.choice([b"", b"\n", b"CDF\x01", noise]))),
        ("link to itself", True, link),
        ("folder", True, folder),
        ("missing", True, lambda path: path.unlink()),
        ("missing variable", True, _without_variable),
        ("value changed", True, _with_value(where)),
        ("NaN", True, _with_value(float("nan"))),
        ("other experiment", True, _with_attribute("experiment", rng.choice(["{}", "x", "[1]", "null", ""]))),
        ("later format", True, _of_later_format),
    ]


def _without_variable(path: pathlib.Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["accuracy"]


def _with_value(value: float) -> Callable[[pathlib.Path], object]:
    def change(path: pathlib.Path) -> None:
        with h5py.File(path, "r+") as file:
            numbers = np.asarray(file["accuracy"])
            numbers.flat[0] = value
            file["accuracy"][...] = numbers

    return change


def _with_attribute(name: str, value: str) -> Callable[[pathlib.Path], object]:
    def change(path: pathlib.Path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return change


def _of_later_format(path: pathlib.Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = "99"
