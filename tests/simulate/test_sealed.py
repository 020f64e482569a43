"""Files with a checksum: whole ones are read by anybody, damaged ones by nobody."""

import io
import os
import pathlib
import random
import subprocess
import sys
from collections.abc import Callable

import h5netcdf
import numpy as np
import pytest
import xarray as xr

import simulate.results.netcdf
from simulate import Experiment, load_result, run, save_result
from simulate.results.netcdf import dataset_bytes, read_attributes, read_dataset
from simulate.results.notices import notices_of
from simulate.results.sealed import DamagedFileError, seal, unseal
from tests.support import ROOT
from tests.waiting import members, wait_until

TINY = Experiment(clients=2, samples=(3,), noise_dim=20, rounds=2)


@pytest.fixture(scope="module")
def result() -> xr.Dataset:
    return run(TINY)


@pytest.fixture(scope="module")
def whole(result: xr.Dataset) -> bytes:
    return dataset_bytes(result)


def test_a_saved_result_is_a_plain_netcdf_file(result: xr.Dataset, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "run.nc"
    save_result(path, result)
    assert load_result(path).identical(result)
    assert notices_of(load_result(path).attrs) == []
    with xr.open_dataset(path) as opened:  # as anybody would, who knows nothing of the last line
        assert opened.identical(result)
    with h5netcdf.File(path, "r") as file:
        np.testing.assert_array_equal(file["accuracy"][...], result.accuracy)
    assert read_attributes(path)["experiment"] == result.attrs["experiment"]


Damage = Callable[[random.Random, bytes], bytes]


def _flip(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 5, 100))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def _block(chance: random.Random, content: bytes) -> tuple[int, int]:
    length = chance.choice((1, 8, 64, 512, 4096, len(content) // 2))
    start = chance.randrange(len(content) - length)
    return start, start + length


def _zero(chance: random.Random, content: bytes) -> bytes:
    start, stop = _block(chance, content)
    return content[:start] + bytes(stop - start) + content[stop:]


def _zero_end(chance: random.Random, content: bytes) -> bytes:
    kept = chance.randrange(len(content))
    return content[:kept] + bytes(len(content) - kept)


def _zero_beginning(chance: random.Random, content: bytes) -> bytes:
    length = chance.randrange(1, len(content))
    return bytes(length) + content[length:]


def _swap(chance: random.Random, content: bytes) -> bytes:
    size = chance.choice((16, 256, 4096))
    first, second = sorted(chance.sample(range(len(content) // size), 2))
    blocks = [content[start : start + size] for start in range(0, len(content), size)]
    blocks[first], blocks[second] = blocks[second], blocks[first]
    return b"".join(blocks)


def _append(chance: random.Random, content: bytes) -> bytes:
    return content + chance.choice((b"\0", b"\n", chance.randbytes(700), content))


def _leave_out(chance: random.Random, content: bytes) -> bytes:
    start, stop = _block(chance, content)
    return content[:start] + content[stop:]


def _replace(chance: random.Random, content: bytes) -> bytes:
    return chance.choice(
        (b"", b"\0" * len(content), b"CDF\1" + content, chance.randbytes(len(content)), b"{}")
    )


DAMAGES: tuple[Damage, ...] = (
    _flip,
    _cut,
    _zero,
    _zero_end,
    _zero_beginning,
    _swap,
    _append,
    _leave_out,
    _replace,
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damaged_file_is_opened(
    whole: bytes,
    tmp_path: pathlib.Path,
    damage: Damage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise AssertionError("HDF5 has opened a damaged file")

    monkeypatch.setattr("h5py.File", opened)
    monkeypatch.setattr("xarray.load_dataset", opened)
    monkeypatch.setattr(simulate.results.netcdf, "copy_sealed", opened)
    path, chance = tmp_path / "run.nc", random.Random(damage.__name__)
    tried = 0
    while tried < 100:
        content = damage(chance, whole)
        if content == whole:
            continue
        tried += 1
        path.write_bytes(content)
        for read in (load_result, read_dataset, read_attributes):
            with pytest.raises(DamagedFileError, match="damaged"):
                read(path)


def test_a_damaged_file_without_checksum_is_opened_elsewhere(
    result: xr.Dataset, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.nc"
    result.to_netcdf(path, engine="h5netcdf")
    loaded = load_result(path)
    assert loaded.drop_attrs(deep=False).identical(result.drop_attrs(deep=False))
    (notice,) = notices_of(loaded.attrs)
    assert str(path) in notice
    assert "no checksum" in notice

    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedFileError, match="cannot be opened"):
        load_result(path)

    monkeypatch.setattr("simulate.results.unsealed._PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr("simulate.results.unsealed.SECONDS", 0.2)
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"more than 0\.2 seconds"):
        load_result(path)


def test_who_opens_a_file_elsewhere_and_is_killed_leaves_no_process(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "endless.nc")  # opening it does not return
    code = f"from simulate.results.unsealed import copy_sealed; copy_sealed({str(tmp_path / 'endless.nc')!r})"
    started = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)
    try:
        wait_until(lambda: len(members(started.pid)) == 2 or started.poll() is not None)
        assert started.poll() is None
    finally:
        started.kill()
        started.wait()
    wait_until(lambda: members(started.pid) == [])


def test_what_is_no_regular_file_is_not_read(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe.nc")
    for path in (tmp_path / "pipe.nc", tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            read_dataset(path)
    with pytest.raises(FileNotFoundError):
        read_dataset(tmp_path / "nothing.nc")


def test_sealing_twice_counts_from_the_outside() -> None:
    assert unseal(seal(seal(b"x"))) == seal(b"x")
    with pytest.raises(DamagedFileError):
        unseal(seal(b"x") + seal(b"y") + b"\n")


def test_a_file_of_another_program_has_no_checksum() -> None:
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        file.attrs["title"] = "theirs"
    assert unseal(buffer.getvalue()) is None


def test_a_damaged_file_is_named(whole: bytes, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "cut.nc"
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedFileError, match=r"cut\.nc: damaged"):
        load_result(path)
