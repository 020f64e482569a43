"""A sweep on real worker processes: equal results, workers that are killed, cells that kill them."""

import contextlib
import os
import pathlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import xarray as xr

from promptfolio.sweep import (
    Specification,
    cell_path,
    load_cell,
    parse_specification,
    run_sweep,
    sweep_states,
)
from promptfolio.sweep.cluster import local_cluster
from promptfolio.sweep.execution import Outcome
from promptfolio.sweep.store import settings_json
from promptfolio.sweep.worker import run_cell
from simulate import ConfigurationError

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

pytestmark = [
    # Asynchronous generators and sockets of a worker that was killed are finalised by the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TINY = {"clients": 2, "samples": 4, "noise_dim": 50, "rounds": 3}
FREE, GATED, KILLER = (0, 1), (2, 3, 4, 5), 6
LIMIT = 120.0

# Runs in every worker process as it starts, more than once. Seeds report when they start; then some wait at a
# gate, and one kills.
PRELOAD = f"""
import os, pathlib, time
import simulate.running.runner

real = simulate.running.runner.real = getattr(simulate.running.runner, "real", simulate.running.runner.run)
folder = pathlib.Path(os.environ["SWEEP_TEST_FOLDER"])

def run(experiment, **options):
    (folder / f"start-{{experiment.seed}}-{{os.getpid()}}").touch()
    if experiment.seed == {KILLER}:
        os._exit(1)
    while experiment.seed in {GATED} and not (folder / "gate").exists():
        time.sleep(0.01)
    return real(experiment, **options)

simulate.running.runner.run = run
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sweep_over(*seeds: int) -> Specification:
    return parse_specification({"experiment": TINY, "grid": {"seed": list(seeds)}})


@pytest.fixture
def log(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    folder = tmp_path / "log"
    folder.mkdir()
    monkeypatch.setenv("SWEEP_TEST_FOLDER", str(folder))
    return folder


@pytest.fixture
def scheduler(log: pathlib.Path) -> Iterator[str]:
    """A cluster of two processes that belongs to somebody else."""
    with (
        # One death, of the worker that the test kills, must not condemn a cell; two must.
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            preload=[PRELOAD],
            local_directory=str(log),
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_killed_workers_cost_only_the_cells_they_had(
    tmp_path: pathlib.Path, scheduler: str, log: pathlib.Path
) -> None:
    sweep, out = sweep_over(*FREE, *GATED), tmp_path / "out"
    cells = {cell.experiment.seed: cell for cell in sweep.cells}

    def started(seed: int) -> list[int]:
        return [int(path.name.split("-")[2]) for path in log.glob(f"start-{seed}-*")]

    def inodes() -> dict[pathlib.Path, tuple[int, int]]:
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in out.glob("[!.]*.nc")}

    outcomes: list[Outcome] = []
    sweeping = threading.Thread(target=lambda: outcomes.extend(run_sweep(sweep, out, scheduler=scheduler)))
    sweeping.start()
    wait_until(lambda: len(inodes()) == len(FREE) and sum(bool(started(seed)) for seed in GATED) == 2)
    finished, waiting = inodes(), {seed: started(seed)[0] for seed in GATED if started(seed)}
    assert set(finished) == {cell_path(out, cells[seed].name) for seed in FREE}
    unlucky, victim = waiting.popitem()
    ((lucky, _),) = waiting.items()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(started(unlucky)) == 2)
    (log / "gate").touch()
    sweeping.join(LIMIT)
    assert not sweeping.is_alive()

    assert [outcome.state for outcome in outcomes] == ["computed"] * len(cells)
    assert {path: inode for path, inode in inodes().items() if path in finished} == finished
    assert {seed: len(started(seed)) for seed in cells} == {seed: 1 + (seed == unlucky) for seed in cells}
    assert victim in started(unlucky)
    assert victim not in started(lucky)
    assert len(os.listdir(out)) == len(cells), "no temporary file is left"

    # The same cluster goes on; a cell that kills every worker it gets is given up, and no other is.
    more = sweep_over(*FREE, KILLER, 7)
    outcomes = run_sweep(more, out, scheduler=scheduler)
    assert [outcome.state for outcome in outcomes] == ["found", "found", "failed", "computed"]
    assert outcomes[2].reason == "its worker died 2 times (out of memory?)"
    assert len(started(KILLER)) == 2


def test_local_processes_compute_what_this_one_does(tmp_path: pathlib.Path) -> None:
    sweep = sweep_over(0, 1, 2, 3)
    steps: list[tuple[int, int]] = []
    run_sweep(sweep, tmp_path / "two", workers=2, progress=lambda *step: steps.append(step))
    run_sweep(sweep, tmp_path / "none", workers=0)
    assert steps == [(done, 4) for done in range(5)]
    assert set(sweep_states(sweep, tmp_path / "two").values()) == {"done"}
    for cell in sweep.cells:
        there, here = (load_cell(tmp_path / folder, cell.experiment) for folder in ("two", "none"))
        xr.testing.assert_identical(there, here)
        for name in here.data_vars:
            assert there[name].values.tobytes() == here[name].values.tobytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_workers_know_their_share_of_the_cores(threads: int) -> None:
    with local_cluster(1, threads, 1) as client:
        told = [client.submit(os.getenv, name).result() for name in ("OMP_NUM_THREADS", "NPROC")]
    assert told == [str(threads)] * 2


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "tcp://nowhere.invalid:8786"])
def test_a_scheduler_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, address: str
) -> None:
    monkeypatch.setattr("promptfolio.sweep.cluster._CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigurationError, match=r"scheduler = .*answers"):
        run_sweep(sweep_over(0), tmp_path / "out", scheduler=address)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_workers_do_not_share(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    sweep = sweep_over(0, 1)
    monkeypatch.setattr("promptfolio.sweep.execution._PATIENCE", 0.1)
    monkeypatch.setattr("promptfolio.sweep.cluster.connected", lambda address: contextlib.nullcontext())
    monkeypatch.setattr(
        "promptfolio.sweep.cluster.compute_on",
        lambda client, cells, folder, memory, settings: iter([(cell, "") for cell in cells]),
    )
    with pytest.raises(ConfigurationError, match="all workers share"):
        run_sweep(sweep, tmp_path, scheduler="tcp://elsewhere:1")


def test_a_worker_refuses_what_it_cannot_do(tmp_path: pathlib.Path) -> None:
    (cell,) = sweep_over(0).cells
    settings = settings_json(cell)
    assert "must be shared" in run_cell(settings, cell.name, str(tmp_path / "elsewhere"))
    assert "another version" in run_cell(settings, "0" * 16, str(tmp_path))
    cell_path(tmp_path, cell.name).mkdir()
    assert "holds another experiment" in run_cell(settings, cell.name, str(tmp_path))
