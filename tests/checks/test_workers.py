"""Jobs on processes of their own: results and errors come back, and nothing outlives the context."""

import multiprocessing
import os
import threading
import time

import pytest

from checks.registry import CLAIMS, JOBS, check_claims
from checks.workers import ENVIRONMENT, WorkerError, Workers
from simulate.validation import ConfigurationError, require_integer


class TwoParts(Exception):
    """It cannot be sent: it is rebuilt from one argument, and takes two."""

    def __init__(self, first: str, second: str):
        super().__init__(first + second)


def raise_two_parts() -> None:
    raise TwoParts("in ", "two parts")


def test_every_claim_is_in_one_job() -> None:
    assert sorted(name for together in JOBS for name in together) == sorted(CLAIMS)


def test_errors_come_back_and_work_goes_on() -> None:
    with Workers(1) as workers:
        with pytest.raises(ConfigurationError, match="clients = 0") as refused:
            workers.submit(require_integer, "clients", 0, 1).result()
        assert refused.value.field == "clients"
        with pytest.raises(WorkerError, match="failed") as failed:
            workers.submit(raise_two_parts).result()
        assert "TwoParts: in two parts" in str(failed.value.__cause__)
        assert workers.submit(divmod, 7, 2).result() == (3, 1)


def test_a_process_that_dies_is_an_error() -> None:
    with Workers(1) as workers, pytest.raises(WorkerError, match="status 7"):
        workers.submit(os._exit, 7).result()


def test_nothing_outlives_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    begun = threading.Event()
    with Workers(1) as workers:
        assert workers.submit(os.getenv, "OMP_NUM_THREADS").result() == ENVIRONMENT["OMP_NUM_THREADS"]
        assert "OMP_NUM_THREADS" not in os.environ
        endless, waiting = workers.submit(time.sleep, 1e6, begin=begun.set), workers.submit(divmod, 7, 2)
        begun.wait()
    assert multiprocessing.active_children() == []
    with pytest.raises(WorkerError):
        endless.result()
    assert waiting.cancelled()


def test_claims_are_checked_in_processes() -> None:
    announced: list[str] = []
    with Workers(1) as workers:
        (checked,) = check_claims(("aggregation",), "quick", announced.append, workers)
    assert announced == ["aggregation"]
    assert (checked.finding.claim.name, checked.finding.verdict) == ("aggregation", "holds")
    assert checked.data.sizes["client"] == 6
