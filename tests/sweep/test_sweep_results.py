"""A sweep in this process: files, resuming, failures, and results given back."""

import os
import pathlib
import time
from typing import Any

import numpy as np
import pytest
import xarray as xr

import simulate.running.runner
from promptfolio.sweep import (
    cell_path,
    cell_state,
    each_result,
    load_cell,
    load_sweep,
    parse_specification,
    run_sweep,
    stored_results,
    sweep_states,
)
from promptfolio.sweep.execution import ordered_by_shape
from simulate import ConfigurationError, Experiment, run
from simulate.results.files import temporary_name
from tests.sweep.grids import sweep_of


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """Experiments that were simulated, in order; the first ones are simulated in earnest."""
    ran: list[Experiment] = []
    real = simulate.running.runner.run

    def counted(experiment: Experiment, **options: Any) -> xr.Dataset:
        ran.append(experiment)
        return real(experiment, **options)

    monkeypatch.setattr(simulate.running.runner, "run", counted)
    return ran


def test_files_hold_exactly_what_run_returns(tmp_path: pathlib.Path) -> None:
    sweep = sweep_of({"seed": [0, 1]}, theta=[0.0, 0.5])
    steps: list[tuple[int, int]] = []
    outcomes = run_sweep(
        sweep, tmp_path / "new", workers=0, progress=lambda done, total: steps.append((done, total))
    )
    assert [outcome.state for outcome in outcomes] == ["computed", "computed"]
    assert steps == [(0, 2), (1, 2), (2, 2)]
    for cell in sweep.cells:
        stored, fresh = load_cell(tmp_path / "new", cell.experiment), run(cell.experiment)
        assert stored.identical(fresh)
        for name in fresh.variables:
            assert (
                stored[name].values.tobytes() == fresh[name].values.tobytes() or fresh[name].dtype.kind == "U"
            )
    assert len(os.listdir(tmp_path / "new")) == 2, "no temporary file is left"


def test_a_rerun_computes_only_what_is_missing(tmp_path: pathlib.Path, runs: list[Experiment]) -> None:
    small, large = sweep_of({"seed": [0, 1]}), sweep_of({"seed": [2, 1, 0, 3]})
    run_sweep(small, tmp_path, workers=0)
    before = {path: path.stat() for path in tmp_path.iterdir()}
    cell_path(tmp_path, small.cells[0].name).unlink()
    runs.clear()
    steps: list[tuple[int, int]] = []
    outcomes = run_sweep(large, tmp_path, workers=0, progress=lambda done, total: steps.append((done, total)))
    assert [outcome.state for outcome in outcomes] == ["computed", "found", "computed", "computed"]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [experiment.seed for experiment in runs] == [2, 0, 3]
    kept = cell_path(tmp_path, small.cells[1].name)
    assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (before[kept].st_ino, before[kept].st_mtime_ns)
    runs.clear()
    assert {outcome.state for outcome in run_sweep(large, tmp_path, workers=0)} == {"found"}
    assert runs == []


def test_equal_experiments_are_computed_once(tmp_path: pathlib.Path, runs: list[Experiment]) -> None:
    sweep = sweep_of({"samples": [4, [4, 4]], "groups": [[0, 1], []]})
    outcomes = run_sweep(sweep, tmp_path, workers=0)
    assert (len(outcomes), len(runs), len(os.listdir(tmp_path))) == (4, 1, 1)


def test_cells_of_one_shape_follow_each_other() -> None:
    sweep = sweep_of({"seed": [0, 1], "clients": [2, 3]})
    assert [cell.experiment.clients for cell in sweep.cells] == [2, 3, 2, 3]
    turn = [(cell.experiment.clients, cell.experiment.seed) for cell in ordered_by_shape(sweep.cells)]
    assert turn == [(2, 0), (2, 1), (3, 0), (3, 1)]


@pytest.mark.parametrize("kept", [0, 1, 1000, -1])
def test_a_broken_file_is_not_done(tmp_path: pathlib.Path, runs: list[Experiment], kept: int) -> None:
    sweep = sweep_of({"seed": [0]})
    (cell,) = sweep.cells
    path = cell_path(tmp_path, cell.name)
    run_sweep(sweep, tmp_path, workers=0)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    assert sweep_states(sweep, tmp_path) == {cell.name: "unreadable"}
    with pytest.raises(ConfigurationError, match="unreadable"):
        load_cell(tmp_path, cell.experiment)
    run_sweep(sweep, tmp_path, workers=0)
    assert (len(runs), cell_state(tmp_path, cell.experiment)) == (2, "done")


def test_what_a_killed_process_left_is_ignored_and_removed(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = sweep_of({"seed": [0, 1]})
    run_sweep(sweep_of({"seed": [1]}), tmp_path, workers=0)
    monkeypatch.setattr("os.getpid", lambda: 2**22 + 1)  # more than any process's number on Linux
    left = tmp_path / temporary_name()
    monkeypatch.undo()
    left.write_bytes(cell_path(tmp_path, sweep.cells[1].name).read_bytes())
    mine = tmp_path / ".mine-abc123.nc"
    mine.touch()
    for path in (left, mine):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    assert list(sweep_states(sweep, tmp_path).values()) == ["missing", "done"]
    assert len(list(stored_results(tmp_path))) == 1
    assert run_sweep(sweep, tmp_path, workers=0)[0].state == "computed"
    assert (left.exists(), mine.exists()) == (False, True)


@pytest.mark.parametrize("what", ["another cell", "no result", "folder"])
def test_a_foreign_file_is_an_error_and_no_hit(
    tmp_path: pathlib.Path, runs: list[Experiment], what: str
) -> None:
    sweep, other = sweep_of({"seed": [0, 1]}), sweep_of({"seed": [5]})
    path = cell_path(tmp_path, sweep.cells[1].name)
    if what == "another cell":
        run_sweep(other, tmp_path, workers=0)
        cell_path(tmp_path, other.cells[0].name).rename(path)
        runs.clear()
    elif what == "no result":
        xr.Dataset({"x": ("y", [1.0])}).to_netcdf(path, engine="h5netcdf")
    else:
        path.mkdir()
    assert list(sweep_states(sweep, tmp_path).values()) == ["missing", "foreign"]
    with pytest.raises(ConfigurationError, match=path.name):
        run_sweep(sweep, tmp_path, workers=0)
    with pytest.raises(ConfigurationError, match="foreign"):
        load_sweep(sweep, tmp_path)
    assert runs == []
    assert os.listdir(tmp_path) == [path.name]


def test_a_cell_that_fails_does_not_lose_the_others(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = simulate.running.runner.run

    def fails(experiment: Experiment, **options: Any) -> xr.Dataset:
        if experiment.seed == 1:
            raise ConfigurationError("noise_offset", 1, "larger")
        if experiment.seed == 2:
            raise MemoryError("too\nlarge")
        return real(experiment, **options)

    monkeypatch.setattr(simulate.running.runner, "run", fails)
    outcomes = run_sweep(sweep_of({"seed": [0, 1, 2, 3]}), tmp_path, workers=0)
    assert [outcome.state for outcome in outcomes] == ["computed", "failed", "failed", "computed"]
    assert outcomes[1].reason == "noise_offset = 1 is not allowed: it must be larger"
    assert outcomes[2].reason == "MemoryError: too large"


def test_cells_keep_to_the_memory_they_are_given(tmp_path: pathlib.Path) -> None:
    sweep = sweep_of({"seed": [0, 1]})
    outcomes = run_sweep(sweep, tmp_path, workers=0, memory=1e-9)
    assert [outcome.state for outcome in outcomes] == ["failed", "failed"]
    assert all("memory = 1e-09 is not allowed" in outcome.reason for outcome in outcomes)
    assert [outcome.state for outcome in run_sweep(sweep, tmp_path, workers=0, memory=0.5)] == [
        "computed"
    ] * 2


def test_an_interruption_leaves_finished_cells(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = simulate.running.runner.run

    def interrupted(experiment: Experiment, **options: Any) -> xr.Dataset:
        if experiment.seed == 1:
            raise KeyboardInterrupt
        return real(experiment, **options)

    monkeypatch.setattr(simulate.running.runner, "run", interrupted)
    sweep = sweep_of({"seed": [0, 1, 2]})
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, tmp_path, workers=0)
    assert list(sweep_states(sweep, tmp_path).values()) == ["done", "missing", "missing"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"workers": -1}, "workers"),
        ({"workers": 0, "threads": 1}, "threads"),
        ({"threads": 0}, "threads"),
        ({"scheduler": "tcp://127.0.0.1:1", "workers": 0}, "workers"),
        ({"scheduler": "tcp://127.0.0.1:1", "threads": 1}, "threads"),
    ],
)
def test_bad_arguments(tmp_path: pathlib.Path, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        run_sweep(sweep_of({"seed": [0]}), tmp_path / "new", **arguments)
    assert os.listdir(tmp_path) == []


def test_one_dataset_has_an_axis_per_varied_field(tmp_path: pathlib.Path) -> None:
    sweep = parse_specification(
        {
            "experiment": {"clients": 2, "noise_dim": 50, "rounds": 3, "replicates": 2},
            "grid": {"theta": [0.0, 0.5], "local_steps": [1, 2]},
            "together": [{"seed": [4, 7], "samples": [4, [4, 3]]}],
        }
    )
    run_sweep(sweep, tmp_path, workers=0)
    data = load_sweep(sweep, tmp_path)
    assert dict(data.accuracy.sizes) == {
        "theta": 2,
        "local_steps": 2,
        "seed": 2,
        "replicate": 2,
        "round": 4,
        "client": 2,
        "predictor": 3,
    }
    assert data.samples.values.tolist() == ["[4]", "[4, 3]"]
    assert (data.seed.values.tolist(), data.samples.dims) == ([4, 7], ("seed",))
    assert data.attrs["versions"]
    for cell, result in each_result(sweep, tmp_path):
        at = data.sel(
            seed=cell.experiment.seed,
            theta=cell.experiment.theta[0],
            local_steps=cell.experiment.local_steps,
        )
        assert str(at.cell.values) == cell.name
        np.testing.assert_array_equal(at.accuracy, result.accuracy.squeeze("theta"))
        np.testing.assert_array_equal(at.gradient_step, result.step)
        np.testing.assert_array_equal(at.client_samples, result.samples)
    data.to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "all.nc", engine="h5netcdf").equals(data)
    assert set(load_sweep(sweep, tmp_path, variables=["ratio"]).data_vars) == {"ratio"}
    with pytest.raises(ConfigurationError, match="variables = 'colour'"):
        load_sweep(sweep, tmp_path, variables=["colour"])


def test_results_that_differ_in_coordinates_are_given_one_by_one(tmp_path: pathlib.Path) -> None:
    sweep = sweep_of({"record": [[0, 3], [2, 3]]})
    with pytest.raises(ConfigurationError, match="missing"):
        load_sweep(sweep, tmp_path)
    run_sweep(sweep, tmp_path, workers=0)
    with pytest.raises(ConfigurationError, match=r"'step' .* each_result"):
        load_sweep(sweep, tmp_path)
    for cell, result in each_result(sweep, tmp_path):
        assert tuple(result.step.values) == cell.experiment.record
    assert sorted(experiment.record for experiment, _ in stored_results(tmp_path)) == [(0, 3), (2, 3)]
