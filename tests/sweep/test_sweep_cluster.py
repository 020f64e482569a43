"""A sweep on a real Dask cluster, over TLS where certificates can be made: workers that die, and strangers."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator

import pytest

from promptfolio.sweep import cell_path, run_sweep
from promptfolio.sweep.execution import Outcome
from simulate import ConfigurationError
from tests.sweep.grids import sweep_over
from tests.waiting import LIMIT, wait_until

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

pytestmark = [
    # Asynchronous generators and sockets of a worker that was killed are finalised by the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FREE, GATED, KILLER = (0, 1), (2, 3, 4, 5), 6

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


@pytest.fixture
def log(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    folder = tmp_path / "log"
    folder.mkdir()
    monkeypatch.setenv("SWEEP_TEST_FOLDER", str(folder))
    return folder


@pytest.fixture
def tls(tmp_path: pathlib.Path) -> dict[str, object]:
    """Dask's configuration for TLS, with a certificate that signs itself; none where it cannot be made."""
    program = shutil.which("openssl")
    if program is None:
        return {}
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [program, *words.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    prefix = "distributed.comm"
    own = {
        f"{prefix}.tls.{role}.{what}": str(path)
        for role in ("client", "scheduler", "worker")
        for what, path in (("key", key), ("cert", certificate))
    }
    return {f"{prefix}.require-encryption": True, f"{prefix}.tls.ca-file": str(certificate), **own}


@pytest.fixture
def scheduler(log: pathlib.Path, tls: dict[str, object]) -> Iterator[str]:
    """A cluster of two processes that belongs to somebody else."""
    with (
        # One death, of the worker that the test kills, must not condemn a cell; two must.
        dask.config.set({"distributed.scheduler.allowed-failures": 1, **tls}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls://" if tls else "tcp://",
            security=distributed.Security(),
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            preload=[PRELOAD],
            local_directory=str(log),
        ) as cluster,
    ):
        yield cluster.scheduler_address


def refuses_strangers(address: str) -> None:
    """Who has no certificate is told nothing but that one is required."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = address.removeprefix("tls://").split(":")
    with (
        socket.create_connection((host, int(port)), timeout=LIMIT) as plain,
        pytest.raises(ssl.SSLError, match="certificate required"),
        context.wrap_socket(plain) as encrypted,
    ):
        encrypted.recv(1)


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

    if scheduler.startswith("tls://"):
        refuses_strangers(scheduler)

    # The same cluster goes on; a cell that kills every worker it gets is given up, and no other is.
    more = sweep_over(*FREE, KILLER, 7)
    outcomes = run_sweep(more, out, scheduler=scheduler)
    assert [outcome.state for outcome in outcomes] == ["found", "found", "failed", "computed"], outcomes
    assert outcomes[2].reason == "its worker died 2 times (out of memory?)"
    assert len(started(KILLER)) == 2


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


def test_a_scheduler_without_tls_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr("promptfolio.sweep.cluster.connected", lambda address: contextlib.nullcontext())
    monkeypatch.setattr("promptfolio.sweep.cluster.compute_on", lambda *arguments: iter(()))
    said: dict[str, list[str]] = {"tcp://node:1": [], "tls://node:1": []}
    for address, sentences in said.items():
        run_sweep(sweep_over(0), tmp_path, scheduler=address, notice=sentences.append)
    assert "can run code as the owner of its workers" in said["tcp://node:1"][0]
    assert said["tls://node:1"] == []
