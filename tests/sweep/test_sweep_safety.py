"""A sweep trusts no damaged file, mixes no cells of different settings, and stops when nothing can be written."""

import contextlib
import errno
import json
import os
import pathlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
import xarray as xr

from promptfolio.sweep import (
    Cell,
    cell_path,
    load_sweep,
    parse_specification,
    run_sweep,
    stored_results,
    sweep_states,
)
from promptfolio.sweep.store import find_cell
from promptfolio.sweep.worker import Runner, run_cell, stop_reason
from simulate import ConfigurationError, run, save_result
from simulate.results.netcdf import read_dataset

TINY = {"clients": 2, "samples": 3, "noise_dim": 20, "rounds": 2}
SWEEP = parse_specification({"experiment": TINY, "grid": {"seed": [0, 1, 2]}})


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder in which the first two cells of three are done."""
    for cell in SWEEP.cells[:2]:
        save_result(cell_path(tmp_path, cell.name), run(cell.experiment))
    return tmp_path


def _damaged(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def test_damaged_cells_are_named_and_computed_again(folder: pathlib.Path) -> None:
    path, chance = cell_path(folder, SWEEP.cells[0].name), random.Random(0)
    whole = path.read_bytes()
    for _ in range(100):
        path.write_bytes(_damaged(whole, chance))
        assert find_cell(folder, SWEEP.cells[0].experiment).state == "unreadable"
    assert list(sweep_states(SWEEP, folder).values()) == ["unreadable", "done", "missing"]
    with pytest.raises(ConfigurationError, match=rf"{path.name}.*\(it is unreadable\)"):
        load_sweep(SWEEP, folder)
    with pytest.raises(ConfigurationError, match=rf"{path.name}.*readable \(damaged"):
        list(stored_results(folder))
    outcomes = run_sweep(SWEEP, folder, workers=0)
    assert [outcome.state for outcome in outcomes] == ["computed", "found", "computed"]
    assert load_sweep(SWEEP, folder).seed.size == 3


def test_another_cells_file_is_no_hit(folder: pathlib.Path) -> None:
    paths = [cell_path(folder, cell.name) for cell in SWEEP.cells]
    paths[0].write_bytes(paths[1].read_bytes())
    assert list(sweep_states(SWEEP, folder).values()) == ["foreign", "done", "missing"]
    for use in (lambda: run_sweep(SWEEP, folder, workers=0), lambda: load_sweep(SWEEP, folder)):
        with pytest.raises(ConfigurationError, match=paths[0].name):
            use()


def test_a_worker_does_not_replace_another_file(tmp_path: pathlib.Path) -> None:
    experiment = SWEEP.cells[2].experiment
    path = cell_path(tmp_path, SWEEP.cells[2].name)
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(path, engine="h5netcdf")
    other = path.read_bytes()
    assert Runner().compute(experiment, tmp_path).endswith(f"{path.name} holds another experiment")
    assert path.read_bytes() == other


def test_a_copy_of_a_result_is_not_counted_twice(folder: pathlib.Path) -> None:
    path = cell_path(folder, SWEEP.cells[0].name)
    (folder / "copy.nc").write_bytes(path.read_bytes())
    assert sorted(experiment.seed for experiment, _ in stored_results(folder)) == [0, 1]


def _made_otherwise(path: pathlib.Path, **changes: Any) -> None:
    """Change what a file says about how it was computed."""
    data = read_dataset(path)
    for name in ("versions", "numerics"):
        recorded = json.loads(data.attrs[name])
        data.attrs[name] = json.dumps({**recorded, **{k: v for k, v in changes.items() if k in recorded}})
    save_result(path, data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jax", "0.1"),
        ("jaxlib", "0.1"),
        ("platform", "gpu"),
        ("generator", "rbg"),
        ("threefry_partitionable", False),
        ("matmul_precision", "default"),
        ("xla_flags", "--xla_cpu_enable_fast_math=true"),
        ("jax_disable_jit", True),
    ],
)
def test_cells_of_other_settings_are_not_mixed(folder: pathlib.Path, name: str, value: Any) -> None:
    first, second = (cell_path(folder, cell.name) for cell in SWEEP.cells[:2])
    _made_otherwise(first, **{name: value})
    with pytest.raises(
        ConfigurationError, match=rf"{name} = .*{second.name} has this one, .*{first.name} has"
    ):
        run_sweep(SWEEP, folder, workers=0)
    both = parse_specification({"experiment": TINY, "grid": {"seed": [0, 1]}})
    with pytest.raises(ConfigurationError, match=f"^{name} = "):
        load_sweep(both, folder)
    _made_otherwise(second, **{name: value})
    assert load_sweep(both, folder).seed.size == 2
    with pytest.raises(ConfigurationError, match=f"^out = .* computed with {name} = ") as caught:
        run_sweep(SWEEP, folder, workers=0)
    assert "\n" not in str(caught.value)
    assert not cell_path(folder, SWEEP.cells[2].name).exists()


@pytest.mark.parametrize(
    ("name", "value"), [("processor", "another"), ("devices", 8), ("device", "another"), ("numpy", "1.0")]
)
def test_what_changes_the_rounding_only_may_differ(folder: pathlib.Path, name: str, value: Any) -> None:
    _made_otherwise(cell_path(folder, SWEEP.cells[0].name), **{name: value})
    assert [outcome.state for outcome in run_sweep(SWEEP, folder, workers=0)][2] == "computed"


def test_files_that_do_not_say_how_they_were_made_are_used(folder: pathlib.Path) -> None:
    path = cell_path(folder, SWEEP.cells[0].name)
    data = read_dataset(path)
    del data.attrs["numerics"]
    data.attrs["versions"] = '{"promptfolio": "0.1.0"}'
    save_result(path, data)
    assert run_sweep(SWEEP, folder, workers=0)[0].state == "found"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_cannot_be_written_ends_the_sweep(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    ran: list[object] = []
    monkeypatch.setattr("os.fsync", fail)
    grid = parse_specification({"experiment": TINY, "grid": {"seed": [0, 1, 2, 3, 4]}})
    with pytest.raises(ConfigurationError, match=rf"^out = .*can be written \({os.strerror(number)}\)$"):
        run_sweep(grid, folder, workers=0, progress=lambda *done: ran.append(done))
    assert ran == [(2, 5)]
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_is_removed_ends_the_sweep(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    real = run

    def and_remove(*arguments: Any, **options: Any) -> xr.Dataset:
        result = real(*arguments, **options)
        out.rmdir()
        return result

    monkeypatch.setattr("simulate.running.runner.run", and_remove)
    with pytest.raises(ConfigurationError, match="the folder is not there any more"):
        run_sweep(SWEEP, out, workers=0)
    assert not out.exists()


def test_only_a_failure_to_write_ends_the_sweep(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "while computing")

    monkeypatch.setattr("simulate.running.runner.run", fail)
    reason = Runner().compute(SWEEP.cells[0].experiment, tmp_path)
    assert reason
    assert stop_reason(reason) is None
    monkeypatch.undo()
    cell = SWEEP.cells[0]
    other = run_cell(json.dumps(dict(cell.settings)), cell.name, str(tmp_path), None, {"jax": "0.1"})
    assert "jax = '0.1'" in (stop_reason(other) or "")


def test_cells_that_workers_with_other_settings_write_are_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def computed(
        client: object, cells: list[Cell], folder: pathlib.Path, *_: object
    ) -> Iterator[tuple[Cell, str]]:
        for number, cell in enumerate(cells):
            path = cell_path(folder, cell.name)
            save_result(path, run(cell.experiment))
            _made_otherwise(path, jax=str(min(number, 1)))
            yield cell, ""

    monkeypatch.setattr("promptfolio.sweep.cluster.connected", lambda address: contextlib.nullcontext())
    monkeypatch.setattr("promptfolio.sweep.cluster.compute_on", computed)
    with pytest.raises(ConfigurationError, match=r"^jax = '1' .* has this one, .* has '0'"):
        run_sweep(SWEEP, tmp_path, scheduler="tcp://elsewhere:1")
