"""`promptfolio mixing` and `simulate`: what is not known is not a number, and what a prediction assumes is said."""

import json
import pathlib
from typing import Any

import pytest
import xarray as xr

import promptfolio
from promptfolio.cli import mixing
from promptfolio.sweep.cell import cell_name
from simulate import Experiment
from simulate.results.notices import notices_of

SMALL = ("mixing", "--noise-dim", "300", "--rounds", "1", "--theta-step", "0.25", "--schemes", "posthoc")


def compared(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[list[dict[str, Any]], str]:
    """Rows of a small comparison, and what was printed beside them."""
    assert promptfolio.main([*SMALL, *more, "--json", "-"]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def test_theta_where_accuracies_round_to_one(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("mixing", "--clients", "40", "--strength", "3", "--noise-dim", "4000", "--rounds", "1")
    more = ("--schemes", "posthoc", "--theta-step", "0.05", "--replicates", "2", "--json", "-")
    assert promptfolio.main([*words, *more]) == 0
    captured = capsys.readouterr()
    (row,) = json.loads(captured.out)
    assert row["accuracy_best"] == pytest.approx(1, abs=1e-6)
    assert row["theta_predicted"] == pytest.approx(0.056, abs=1e-3)
    assert row["theta_empirical"] == pytest.approx(row["theta_predicted"], abs=0.01)
    assert row["theta_low"] < row["theta_empirical"] < row["theta_high"]
    assert row["notices"] == []
    assert "note" not in captured.err


def test_an_interval_of_one_seed_is_unknown_and_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    (row,), printed = compared(capsys)
    assert (row["seeds"], row["theta_low"], row["theta_high"]) == (1, None, None)
    assert "unknown" in printed
    (row,), printed = compared(capsys, "--replicates", "2")
    assert row["theta_low"] <= row["theta_empirical"] <= row["theta_high"]
    assert "unknown" not in printed


def test_regret_is_never_negative(capsys: pytest.CaptureFixture[str]) -> None:
    rows, _ = compared(capsys, "--schemes", "joint", "detached", "posthoc", "--strength", "0.2")
    for row in rows:
        assert min(row["regret_ratio"], row["regret_log_error"], row["regret_accuracy"]) >= 0


def test_a_flat_optimum_is_called_flat() -> None:
    row = {"theta_flat": True, "theta_empirical": float("nan"), "theta_tied_low": 0.0, "theta_tied_high": 1.0}
    assert mixing._cell(row, "theta_empirical", ".3f") == "flat 0.000–1.000"


def test_what_a_prediction_assumes_and_a_setting_breaks_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    (row,), printed = compared(capsys, "--step-size", "2", "--out", str(tmp_path))
    notes = [line for line in printed.splitlines() if line.startswith("promptfolio: note: ")]
    assert [note.removeprefix("promptfolio: note: ") for note in notes] == row["notices"]
    for said in ("(T20) assumes nearly orthogonal noise", "ηκ = 2", "0.25 apart"):
        assert any(said in notice for notice in row["notices"]), said
    (path,) = tmp_path.iterdir()
    assert notices_of(xr.load_dataset(path, engine="h5netcdf").attrs) == row["notices"]


VARIED = (
    (),
    ("--strength", "1.5"),
    ("--seed", "1"),
    ("--step-size", "0.1"),
    ("--replicates", "2"),
    ("--rounds", "2"),
    ("--samples", "5"),
    ("--noise-std", "2"),
    ("--noise-feature-sq", "2"),
    ("--theta-step", "0.5"),
    ("--precision", "float64"),
    ("--local-share", "0.70000001"),
)


def test_only_the_same_comparison_overwrites_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    for more in VARIED:
        compared(capsys, *more, "--out", str(tmp_path))
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == len(VARIED)
    for path in paths:
        data = xr.load_dataset(path, engine="h5netcdf")
        experiment = Experiment.from_json(data.attrs["experiment"])
        assert path.name.startswith("posthoc-K4-chi1-share0.7-L300-")
        assert path.name.endswith(f"-{cell_name(experiment)}.nc")
        assert json.loads(data.attrs["setting"])["clients"] == 4
    compared(capsys, "--out", str(tmp_path))
    assert sorted(tmp_path.iterdir()) == paths


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--theta-step", "1"), "theta_step"),
        (("--theta-step", "0"), "theta_step"),
        (("--theta-step", "nan"), "theta_step"),
        (("--theta-step", "1e-6"), "theta_step"),
        (("--clients", "2", "2"), "clients"),
        (("--schemes", "joint", "joint"), "schemes"),
        (("--local-share", "0.5", "0.5"), "local_share"),
        (("--noise-std", "1e-308"), "noise_std"),
        (("--noise-std", "1e200"), "noise_std"),
        (("--noise-feature-sq", "1e-300"), "noise_std"),
        (("--strength", "1e300"), "strength"),
        (("--strength", "1e-300"), "strength"),
        (("--step-size", "1e300"), "step_size"),
        (("--step-size", "1e-300"), "step_size"),
        (("--rounds", "1000000000000000000"), "rounds"),
    ],
)
def test_settings_that_cannot_be_compared_or_have_no_finite_products_are_refused(
    capsys: pytest.CaptureFixture[str], more: tuple[str, ...], named: str
) -> None:
    assert promptfolio.main([*SMALL, *more]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    assert named in line


def test_simulate_says_which_predictions_a_run_leaves(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "run.nc"
    words = ["simulate", "--rounds", "2", "--json", "-"]
    assert promptfolio.main([*words, "--participation", "0.5", "--out", str(path)]) == 0
    captured = capsys.readouterr()
    notices = json.loads(captured.out)["notices"]
    assert any("participation = 0.5; (T28)" in notice for notice in notices)
    for notice in notices:
        assert f"promptfolio: note: {notice}" in captured.err
    assert notices_of(xr.load_dataset(path, engine="h5netcdf").attrs) == notices
    assert promptfolio.main(words) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["notices"] == []
    assert "note" not in captured.err
