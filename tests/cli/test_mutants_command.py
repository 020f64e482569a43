"""`promptfolio check --mutants`: which faults are planted, and what is said of those that cannot be."""

import json
import pathlib

import pytest

import promptfolio
import promptfolio.checks.mutants
from promptfolio.checks.mutant import Edited

SLIP = ("simulate.model.loss", "a sign is wrong")
TEST = "tests/checks/test_mutation.py::test_that_margins_have_the_sign_of_labels"
EDIT = ("return batch.labels *", "return -batch.labels *")
BY_TEST = Edited("by_test", *SLIP, (TEST,), *EDIT)


def test_a_fault_that_a_test_notices_is_recorded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    unplanted = Edited("unplanted", *SLIP, (TEST,), "no such text", "")
    monkeypatch.setattr(promptfolio.checks.mutants, "MUTANTS", (BY_TEST, unplanted))
    kept = tmp_path / "record.json"
    assert promptfolio.main(["check", "--mutants", "--faults", "by_test", "--record", str(kept)]) == 0
    assert "1 of 1 killed" in capsys.readouterr().out
    (entry,) = json.loads(kept.read_text(encoding="utf-8"))
    assert (entry["mutant"], entry["verdicts"]) == ("by_test", {TEST: "fails"})


def test_outside_a_checkout_faults_that_tests_notice_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promptfolio.checks.mutants, "MUTANTS", (BY_TEST,))
    monkeypatch.setattr("promptfolio.checks.detectors.can_run_tests", lambda: False)
    assert promptfolio.main(["check", "--mutants"]) == 0
    captured = capsys.readouterr()
    (notice,) = [line for line in captured.err.splitlines() if "by_test" in line]
    assert "1 faults are not planted" in notice
    assert "checkout" in notice
    assert "0 of 0 killed" in captured.out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--mutants", "--faults", "fedavg_sum"), ("faults = 'fedavg_sum'", "fedavg_sums")),
        (("--faults", "fedavg_sums"), ("faults", "--mutants")),
    ],
)
def test_faults_that_there_are_not_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: tuple[str, ...]
) -> None:
    assert promptfolio.main(["check", *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert all(word in line for word in named)
