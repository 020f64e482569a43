"""Jobs on processes of their own: results and errors come back, and nothing outlives the context."""

import multiprocessing
import os
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from promptfolio.checks.checking import Checked, check_claims
from promptfolio.checks.workers import ENVIRONMENT, worker_processes
from simulate.validation import ConfigurationError, require_integer


def test_errors_come_back_and_work_goes_on() -> None:
    with worker_processes(1) as workers:
        with pytest.raises(ConfigurationError, match="clients = 0") as refused:
            workers.submit(require_integer, "clients", 0, 1).result()
        assert refused.value.field == "clients"
        assert workers.submit(divmod, 7, 2).result() == (3, 1)


def test_a_process_that_dies_is_an_error() -> None:
    with (
        worker_processes(1) as workers,
        pytest.raises(BrokenProcessPool),
    ):
        workers.submit(os._exit, 7).result()


def test_nothing_outlives_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with worker_processes(1) as workers:
        assert workers.submit(os.getenv, "OMP_NUM_THREADS").result() == ENVIRONMENT["OMP_NUM_THREADS"]
        endless = workers.submit(time.sleep, 1e6)
        others = [workers.submit(divmod, 7, 2) for _ in range(9)]
        while not endless.running():
            time.sleep(0.01)
        assert len(multiprocessing.active_children()) == 1
    assert multiprocessing.active_children() == []
    assert "OMP_NUM_THREADS" not in os.environ
    assert isinstance(endless.exception(), BrokenProcessPool)
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
