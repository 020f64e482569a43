"""What the command line says of numbers that are not finite, and of runs that mean less than they seem to."""

import json
import math
import pathlib

import pytest

from promptfolio.cli.application import run_command
from promptfolio.cli.output import emit_json
from promptfolio.sweep.worker import Runner
from simulate import Experiment
from simulate.results.finiteness import NonFiniteError

SMALL = ["simulate", "--clients", "2", "--samples", "3", "--noise-dim", "20", "--rounds", "3"]


def test_a_diverged_run_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "run.nc"
    words = [*SMALL, "--learning-rate", "3e38", "--precision", "float32", "--out", str(out)]
    assert run_command(words) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = (line for line in said.err.splitlines() if line.startswith("promptfolio: "))
    assert "in replicate 0, round 1; likely cause: learning_rate = 3e+38; at most" in line
    assert not out.exists()


def test_notices_are_printed_and_carried(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*SMALL, "--activation", "tanh", "--signal-offset", "1", "--json", "-"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert {
        "no prompt's noise rows moved",
        "18 of 24 recorded ratios are infinite: no noise was memorised there (σ_p ‖H_ξ‖ is 0",
    }.issubset(notice.split(",")[0] for notice in summary["notices"])
    assert summary["thetas"][0]["ratio"] is None
    assert summary["thetas"][0]["mixture"] == 1
    assert all(f"promptfolio: note: {notice}" in said.err for notice in summary["notices"])


def test_only_numbers_that_need_not_exist_become_null(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "content.json"
    claim = {"verdict": "fails", "comparisons": [{"measured": math.nan}]}
    emit_json(str(path), {"ratio": math.inf, "claims": [claim], "n": 1})
    read = json.loads(path.read_text())
    assert read == {
        "ratio": None,
        "claims": [{"verdict": "fails", "comparisons": [{"measured": None}]}],
        "n": 1,
    }
    for bad in (math.nan, math.inf):
        with pytest.raises(NonFiniteError, match=rf"runs\[1\]\.loss = {bad}"):
            emit_json(str(path), {"runs": [{"loss": 1.0}, {"loss": bad}]})
    assert json.loads(path.read_text()) == read, "a refused file leaves the one before"


def test_a_diverged_cell_fails_alone(tmp_path: pathlib.Path) -> None:
    runner = Runner()
    cell = Experiment(clients=2, samples=(3,), noise_dim=20, rounds=2, precision="float32")
    reason = runner.compute(cell.replace(learning_rate=3e38), tmp_path)
    assert reason.startswith("beta = ")
    assert "likely cause: learning_rate = 3e+38" in reason
    assert runner.compute(cell, tmp_path) == ""
    assert len(list(tmp_path.glob("*.nc"))) == 1
