"""Jobs on processes of their own: results and errors come back, and nothing outlives the context."""

import os
import signal
import sys
import time

import pytest

from promptfolio.checks.checking import Checked, check_claims
from promptfolio.checks.workers import ENVIRONMENT, worker_processes
from promptfolio.processes.pool import WorkerDied, worker_pool
from simulate.validation import ConfigurationError, require_integer
from tests.waiting import wait_until


def test_errors_come_back_and_work_goes_on() -> None:
    with worker_processes(1) as workers:
        with pytest.raises(ConfigurationError, match="clients = 0") as refused:
            workers.submit(require_integer, "clients", 0, 1).result()
        assert refused.value.field == "clients"
        assert workers.submit(divmod, 7, 2).result() == (3, 1)


def test_a_process_that_dies_costs_its_own_job_alone() -> None:
    with worker_processes(2) as workers:
        deadly = workers.submit(os._exit, 7)
        jobs = [workers.submit(divmod, number, 2) for number in range(9)]
        with pytest.raises(WorkerDied, match="ended with status 7"):
            deadly.result()
        assert [job.result() for job in jobs] == [divmod(number, 2) for number in range(9)]
        endless = workers.submit(time.sleep, 1e6)
        wait_until(endless.running)
        victim = workers.submit(os.getpid)
        other = victim.result()
        (pid,) = set(workers.process_ids()) - {other}
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match=rf"process {pid} was killed by SIGKILL"):
            endless.result()
        assert workers.submit(divmod, 7, 2).result() == (3, 1)


def test_the_traceback_of_a_job_comes_along() -> None:
    with worker_processes(1) as workers:
        error = workers.submit(int, "x").exception()
        ended = workers.submit(sys.exit, 3).exception()
    assert isinstance(error, ValueError)
    assert "int" in str(error.__cause__)
    assert str(ended) == "SystemExit: 3", "no job ends its process, or this one, as a program would"


def test_a_process_that_takes_more_than_its_memory_is_ended() -> None:
    with worker_pool(1, os.environ, memory=2**26) as workers:
        with pytest.raises(WorkerDied, match=r"GiB of memory, and may take 0\.062"):
            workers.submit(keep, 2**27).result()
        assert workers.submit(divmod, 7, 2).result() == (3, 1)


def keep(size: int) -> None:
    held = bytes(1) * size
    time.sleep(1e6)
    del held


def test_nothing_outlives_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with worker_processes(1) as workers:
        assert workers.submit(os.getenv, "OMP_NUM_THREADS").result() == ENVIRONMENT["OMP_NUM_THREADS"]
        endless = workers.submit(time.sleep, 1e6)
        others = [workers.submit(divmod, 7, 2) for _ in range(9)]
        wait_until(endless.running)
        (pid,) = workers.process_ids()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert "OMP_NUM_THREADS" not in os.environ
    assert isinstance(endless.exception(), WorkerDied)
    assert all(each.cancelled() or each.exception() for each in others)


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    with worker_processes(1) as workers:
        assert workers.submit(os.getenv, "OMP_NUM_THREADS").result() == "5"


def test_claims_are_checked_in_processes() -> None:
    with worker_processes(1) as workers:
        (checked,) = check_claims(("aggregation",), "quick", workers)
    assert isinstance(checked, Checked)
    assert (checked.finding.claim.name, checked.finding.verdict) == ("aggregation", "holds")
    assert checked.data.sizes["client"] == 6
