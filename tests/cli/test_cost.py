"""What the machine cannot hold is refused before any work, with the estimate; what takes long is announced."""

import pathlib

import pytest

from promptfolio.cli.application import run_command
from promptfolio.cli.cost import announce


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run_command(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_a_run_beyond_the_memory_is_refused_with_the_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "simulate", "--noise-dim", "2000000000", "--rounds", "1")
    assert "estimated memory = '" in said
    assert "GiB" in said
    assert "--force" in said


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--rounds", "1000000000"), "record"),
        (("--rounds", "9" * 400), "rounds"),
        (("--clients", "9" * 4000), "clients"),
        (("--clients", "1000000000"), "clients"),
        (("--samples", "9" * 30), "samples"),
        (("--learning-rate", "9" * 400), "learning_rate"),
    ],
)
def test_numbers_beyond_all_bounds_are_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, str], field: str
) -> None:
    said = refused(capsys, "simulate", *words)
    assert field in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[experiment]\nrounds = " + "9" * 5000, "spec"),
        ("[experiment]\nrounds = " + "9" * 400, "rounds"),
        ("[experiment]\nlearning_rate = " + "9" * 400, "learning_rate"),
        ("[experiment]\nlearning_rate = nan", "learning_rate"),
        ("[experiment]\ntheta = { from = nan, to = 1, points = 3 }", "theta.from"),
        ("[grid]\nlearning_rate = [nan, inf]", "learning_rate"),
        (
            "[grid]\nlearning_rate = { from = 1e-300, to = 1e300, points = 3, spacing = 'log' }\nseed = 5",
            "seed",
        ),
        ("[grid]\nrounds = { from = 1, to = 1" + "0" * 350 + ", points = 3, spacing = 'log' }", "rounds.to"),
        ("[grid]\nseed = { from = 0, to = 100000, points = 100001 }", "points"),
    ],
)
def test_specifications_beyond_all_bounds_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, text: str, named: str
) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(text)
    said = refused(capsys, "sweep", str(spec), "--out", str(tmp_path / "out"))
    assert named in said
    assert len(said) < 400
    assert not (tmp_path / "out").exists()


def test_a_specification_that_is_no_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "regular file" in refused(capsys, "sweep", "/dev/zero", "--out", "out")


def test_a_sweep_beyond_the_memory_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text("[experiment]\nrounds = 1\n[grid]\nnoise_dim = [10, 2000000000]\n")
    assert "estimated memory" in refused(capsys, "sweep", str(spec), "--out", str(tmp_path / "out"))


@pytest.mark.parametrize(("seconds", "said"), [(1.0, ""), (600.0, "roughly 10 min"), (float("inf"), "")])
def test_long_work_is_announced(capsys: pytest.CaptureFixture[str], seconds: float, said: str) -> None:
    announce(seconds)
    assert said in capsys.readouterr().err or not said
