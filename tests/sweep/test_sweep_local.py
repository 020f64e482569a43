"""A sweep in processes of this machine: equal results, processes that die, and nothing that listens on a port."""

import os
import pathlib
import signal
import threading
from collections.abc import Mapping

import pytest
import xarray as xr

from promptfolio.sweep import cell_path, load_cell, run_sweep, sweep_states
from promptfolio.sweep.execution import Outcome
from promptfolio.sweep.local import LIVES, local_pool, workers_for
from promptfolio.sweep.store import settings_json
from promptfolio.sweep.worker import run_cell
from simulate import ConfigurationError
from tests.sweep.grids import sweep_over
from tests.waiting import LIMIT, wait_until

PROC = pathlib.Path("/proc")


def test_processes_compute_what_this_one_does(tmp_path: pathlib.Path) -> None:
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
    with local_pool(1, threads) as pool:
        told = [pool.submit(os.getenv, name).result() for name in ("OMP_NUM_THREADS", "NPROC")]
    assert told == [str(threads)] * 2


@pytest.mark.parametrize(
    ("asked", "threads", "gibibytes", "expected"),
    [
        (None, None, 100, 8),  # one per core
        (None, 2, 100, 4),
        (None, 16, 100, 1),
        (None, None, 7, 3),  # one per 2 GiB
        (None, None, 1, 1),
        (None, None, 0, 8),  # memory is not known
        (3, 8, 1, 3),
        (50, None, 100, 20),  # one per cell
    ],
)
def test_processes_are_as_many_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, threads: int | None, gibibytes: int, expected: int
) -> None:
    monkeypatch.setattr("promptfolio.sweep.local.machine_cores", lambda: 8)
    monkeypatch.setattr("promptfolio.sweep.local.container_memory", lambda: gibibytes * 2**30)
    assert workers_for(20, asked, threads) == expected


def started(log: pathlib.Path, name: str) -> list[int]:
    return [int(path.name.split("-")[1]) for path in log.glob(f"{name}-*")]


def gated_cell(settings: str, name: str, folder: str, memory: float | None, numerics: object) -> str:
    """A cell that waits for a gate, or ends its process, in place of `run_cell`; it runs in a worker."""
    log = pathlib.Path(folder).parent / "log"
    (log / f"{name}-{os.getpid()}").touch()
    if (log / f"deadly-{name}").exists():
        os._exit(1)
    wait_until((log / "gate").exists)
    return ""


@pytest.fixture
def log(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr("promptfolio.sweep.local.run_cell", gated_cell)
    folder = tmp_path / "log"
    folder.mkdir()
    return folder


@pytest.mark.skipif(not PROC.is_dir(), reason="looks at processes in /proc")
def test_a_killed_worker_costs_only_its_cell_and_nobody_can_connect(
    tmp_path: pathlib.Path, log: pathlib.Path
) -> None:
    sweep, deadly = sweep_over(0, 1, 2, 3), sweep_over(2).cells[0].name
    (log / f"deadly-{deadly}").touch()
    outcomes: list[Outcome] = []
    notices: list[str] = []
    sweeping = threading.Thread(
        target=lambda: outcomes.extend(run_sweep(sweep, tmp_path / "out", workers=2, notice=notices.append))
    )
    sweeping.start()
    first, second = (cell.name for cell in sweep.cells[:2])
    wait_until(lambda: bool(started(log, first) and started(log, second)))
    (victim,), (other,) = started(log, first), started(log, second)
    assert listening(os.getpid()) | listening(victim) | listening(other) == set()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(started(log, first)) == 2)
    (log / "gate").touch()
    sweeping.join(LIMIT)
    assert not sweeping.is_alive()
    assert [outcome.state for outcome in outcomes] == ["computed", "computed", "failed", "computed"]
    assert outcomes[2].reason.endswith(f"ended with status 1, the last of {LIVES} that died")
    assert len(started(log, deadly)) == LIVES
    assert (
        f"{victim} was killed by SIGKILL (out of memory?); its cell (seed = 0) is computed again"
        in notices[0]
    )
    assert len(notices) == LIVES


def listening(process: int) -> set[str]:
    """Sockets that a process listens on, in any family."""
    sockets = set()
    for table in ("tcp", "tcp6"):
        path = PROC / str(process) / "net" / table
        if path.exists():
            rows = [line.split() for line in path.read_text().splitlines()[1:]]
            sockets |= {row[9] for row in rows if row[3] == "0A"}
    rows = [line.split() for line in (PROC / str(process) / "net" / "unix").read_text().splitlines()[1:]]
    sockets |= {row[6] for row in rows if int(row[3], 16) & 0x10000}
    held = set()
    for link in (PROC / str(process) / "fd").iterdir():
        try:
            held.add(os.readlink(link))
        except FileNotFoundError:
            continue
    return {inode for inode in sockets if f"socket:[{inode}]" in held}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_ends_the_sweep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, workers: int
) -> None:
    monkeypatch.setattr("promptfolio.sweep.local.run_cell", cell_without_room)
    monkeypatch.setattr("promptfolio.sweep.worker.save_cell", no_room)
    notices: list[str] = []
    with pytest.raises(ConfigurationError, match=r"out = .*No space left on device"):
        run_sweep(sweep_over(0, 1, 2), tmp_path / "out", workers=workers, notice=notices.append)
    assert notices == []
    assert os.listdir(tmp_path / "out") == []


def no_room(*arguments: object) -> None:
    raise OSError(28, "No space left on device")


def cell_without_room(
    settings: str, name: str, folder: str, memory: float | None, numerics: Mapping[str, str]
) -> str:
    pytest.MonkeyPatch().setattr("promptfolio.sweep.worker.save_cell", no_room)
    return run_cell(settings, name, folder, memory, numerics)


def test_a_worker_refuses_what_it_cannot_do(tmp_path: pathlib.Path) -> None:
    (cell,) = sweep_over(0).cells
    settings = settings_json(cell)
    assert "must be shared" in run_cell(settings, cell.name, str(tmp_path / "elsewhere"))
    assert "another version" in run_cell(settings, "0" * 16, str(tmp_path))
    cell_path(tmp_path, cell.name).mkdir()
    assert "holds another experiment" in run_cell(settings, cell.name, str(tmp_path))
