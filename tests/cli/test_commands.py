"""The command line as its user meets it: results, files, and one clear line for bad input."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import promptfolio
from promptfolio.companion import ClipStudy
from simulate import Experiment, run
from tests.support import ROOT

SMALL = ("--clients", "2", "--samples", "4", "--noise-dim", "30", "--rounds", "3", "--theta", "0", "0.5", "1")
BAD_BANK = "bank.npz"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused; return its one line."""
    try:
        status: str | int | None = promptfolio.main(arguments)
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("simulate", "--clients", "0"), ("clients", "0", ">= 1")),
        (("simulate", "--samples", "0"), ("samples", "0", ">= 1")),
        (("simulate", "--samples", "3", "4"), ("samples", "(3, 4)", "clients = 4")),
        (("simulate", "--noise-std", "-1"), ("noise_std", "-1", "> 0")),
        (("simulate", "--noise-std", "nan"), ("noise_std", "nan", "finite")),
        (("simulate", "--theta", "0.5", "1.5"), ("theta", "1.5", "<= 1")),
        (("simulate", "--optimizer", "sdg"), ("optimizer", "sdg", "sgd")),
        (("simulate", "--clients", "many"), ("clients", "many")),
        (("simulate", "--colour", "red"), ("colour",)),
        (("mixing", "--group-size", "3"), ("group_size", "3", "divisor")),
        (("mixing", "--clients", "1"), ("clients", "1", ">= 2")),
        (("mixing", "--theta-step", "0.3"), ("theta_step", "0.3", "divides 1")),
        (("mixing", "--rounds", "5", "1"), ("rounds", "increasing")),
        (("check", "--claims", "everything"), ("claim", "everything", "decomposition")),
        (("check", "--mutants", "--claims", "everything"), ("claim", "everything", "decomposition")),
        (("reproduce", "--against", "nowhere.md"), ("against", "nowhere.md", "can be read")),
        (("reproduce", "--bank", "nowhere.npz"), ("nowhere.npz",)),
        (("figures", "--data", "nowhere"), ("data", "nowhere", "missing")),
        (("bench", "--cases", "S9"), ("cases", "S9")),
        (("bench", "--cases", "S1", "S1"), ("cases", "once")),
        (("simulate", "--memory", "0"), ("memory", "0", "> 0")),
        (("mixing", "--memory", "-1"), ("memory", "-1", "> 0")),
        (("simulate", "--memory", "1e-9"), ("memory", "1e-09", "at least")),
        (("clip", "--bank", "nowhere.npz"), ("nowhere.npz",)),
        (("clip", "--beta", "0"), ("beta", "0", "> 0")),
        (("clip", "--trained-theta", "2"), ("trained_theta", "2")),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    arguments: tuple[str, ...],
    named: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused(capsys, *arguments)
    for part in named:
        assert part in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", *SMALL, "--out", "file/run.nc"),
        ("simulate", *SMALL, "--out", "folder"),
        ("simulate", *SMALL, "--json", "folder"),
        ("reproduce", "--quick", "--report", "folder"),
        ("reproduce", "--quick", "--out", "file/deeper"),
        ("mixing", "--noise-dim", "30", "--json", "file/x.json"),
        ("clip", "--out", "file"),
        ("simulate", *SMALL, "--compilation-cache", "file/compiled"),
        ("mixing", "--noise-dim", "30", "--compilation-cache", "file/compiled"),
        ("check", "--compilation-cache", "file/compiled"),
        ("reproduce", "--quick", "--compilation-cache", "file/compiled"),
        ("audit", "--quick", "--compilation-cache", "file/compiled"),
        ("clip", "--compilation-cache", "file/compiled"),
    ],
)
def test_unwritable_output_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    refused(capsys, *arguments)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_compiled_programs_outlive_a_command(tmp_path: pathlib.Path) -> None:
    """In processes of their own; every program is kept, however quickly it was compiled."""
    folder = tmp_path / "compiled"
    code = (
        "import os, sys, promptfolio\n"
        "for words in sys.argv[2:]:\n"
        "    assert promptfolio.main([*words.split(), '--compilation-cache', sys.argv[1]]) == 0\n"
        "    print('KEPT', *os.listdir(sys.argv[1]))"
    )

    def kept_after(*commands: str) -> list[set[str]]:
        words = [sys.executable, "-c", code, str(folder), *commands]
        shown = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        lines = [line.split()[1:] for line in shown.splitlines() if line.startswith("KEPT")]
        return [{name for name in line if name.endswith(".program")} for line in lines]

    simulate = " ".join(("simulate", *SMALL))
    (first,) = kept_after(f"{simulate} --seed 1")
    assert any("advance" in name for name in first)
    same, more = kept_after(f"{simulate} --seed 2 --memory 0.5", "check --quick --claims aggregation")
    assert same == first
    assert more > first


@pytest.mark.parametrize("content", [b"", b"not a bank", b"PK\x03\x04 broken"])
def test_malformed_bank(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, content: bytes) -> None:
    bank = tmp_path / BAD_BANK
    bank.write_bytes(content)
    assert BAD_BANK in refused(capsys, "clip", "--bank", str(bank))


def test_simulate_saves_the_whole_run(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "deep" / "run.nc"
    assert promptfolio.main(["simulate", *SMALL, "--out", str(path), "--json", "-"]) == 0
    summary = json.loads(capsys.readouterr().out)
    saved = xr.load_dataset(path, engine="h5netcdf")
    experiment = Experiment.from_json(saved.attrs["experiment"])
    assert (experiment.clients, experiment.theta) == (2, (0.0, 0.5, 1.0))
    for name, values in run(experiment).items():
        np.testing.assert_array_equal(saved[name], values)
    last = saved.accuracy.isel(step=-1).mean(("seed", "client")).sel(predictor="mixture")
    np.testing.assert_allclose([row["mixture"] for row in summary["thetas"]], last)
    assert [entry.name for entry in path.parent.iterdir()] == ["run.nc"], "no temporary file is left"


def test_mixing_compares_on_a_grid(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    command = [
        "mixing",
        "--clients",
        "2",
        "4",
        "--noise-dim",
        "4000",
        "--rounds",
        "1",
        "20",
        "--theta-step",
        "0.05",
    ]
    assert promptfolio.main([*command, "--schemes", "posthoc", "--out", str(tmp_path), "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["clients"], row["rounds"]) for row in rows] == [(2, 1), (2, 20), (4, 1), (4, 20)]
    for row in rows:
        assert abs(row["theta_predicted"] - row["theta_empirical"]) < 0.08
    assert len(list(tmp_path.glob("*.nc"))) == 2


def test_check_prints_verdicts_and_exits_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert promptfolio.main(["check", "--claims", "aggregation", "--quick", "--json", "-"]) == 0
    captured = capsys.readouterr()
    (record,) = json.loads(captured.out)
    assert (record["name"], record["verdict"]) == ("aggregation", "holds")
    assert "holds" in captured.err


def test_a_failing_claim_exits_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import promptfolio.checks.claims.aggregation

    monkeypatch.setattr(
        promptfolio.checks.claims.aggregation,
        "signal_factor",
        lambda group_size, clients: group_size / clients + 0.1,
    )
    assert promptfolio.main(["check", "--claims", "aggregation", "--quick"]) == 1
    assert "fails" in capsys.readouterr().out


def test_a_surviving_mutant_exits_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    import promptfolio.checks.mutants
    from promptfolio.checks.mutant import Edited

    harmless = Edited(
        "harmless",
        "theory.model.aggregation",
        "none",
        ("aggregation",),
        "import numpy as np",
        "import numpy as  np",
    )
    monkeypatch.setattr(promptfolio.checks.mutants, "MUTANTS", (harmless,))
    kept = tmp_path / "record.json"
    assert promptfolio.main(["check", "--mutants", "--json", "-", "--record", str(kept)]) == 1
    captured = capsys.readouterr()
    (record,) = json.loads(captured.out)
    assert (record["mutant"], record["killed"]) == ("harmless", False)
    assert record["verdicts"] == {"aggregation": "holds"}
    assert "0 of 1 killed" in captured.err
    (entry,) = json.loads(kept.read_text(encoding="utf-8"))
    assert (entry["mutant"], entry["verdicts"]) == ("harmless", {"aggregation": "holds"})


def test_clip_without_a_bank_says_synthetic_everywhere(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    small = (
        "--clients",
        "3",
        "--rounds",
        "2",
        "--replicates",
        "1",
        "--trained-theta",
        "0.5",
        "--theta-step",
        "0.1",
    )
    assert promptfolio.main(["clip", *small, "--out", str(tmp_path), "--json", "-"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["synthetic"] == 1
    assert "SYNTHETIC" in captured.err
    names = sorted(path.name for path in tmp_path.iterdir())
    stem = names[0].removesuffix(".nc")
    assert names == [f"{stem}.nc", f"{stem}.pdf", f"{stem}.png"]
    assert stem.startswith("clip-synthetic-")
    saved = xr.load_dataset(tmp_path / names[0], engine="h5netcdf")
    assert saved.attrs["synthetic"] == 1
    assert ClipStudy.from_json(saved.attrs["study"]).clients == 3


def test_clip_says_what_it_ran_and_overwrites_no_other_study(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    small = [
        "--clients",
        "3",
        "--rounds",
        "2",
        "--record",
        "2",
        "--schemes",
        "posthoc",
        "--theta-step",
        "0.5",
    ]
    fixed = ["--partition-seed", "0", "--replicates", "3"]
    for beta in ("0.3", "1.0"):
        run = ["clip", *small, *fixed, "--beta", beta, "--out", str(tmp_path)]
        assert promptfolio.main([*run, "--json", str(tmp_path / "summary.json")]) == 0
        captured = capsys.readouterr()
    assert len(list(tmp_path.glob("*.nc"))) == 2
    assert "nothing differs between the 3 replicates" in captured.err
    summary = json.loads((tmp_path / "summary.json").read_text())
    saved = xr.load_dataset(
        tmp_path / f"{captured.out.split('saved to ')[1].split('.nc')[0]}.nc", engine="h5netcdf"
    )
    study = ClipStudy.from_json(saved.attrs["study"])
    assert json.loads(study.to_json()) == summary["study"]
    assert summary["study"]["train_split"] == summary["train_split"] == "val"
    assert summary["bank_sha256"] == saved.attrs["bank_sha256"]
    assert any("nothing differs" in notice for notice in summary["notices"])
    assert summary["rounds"][-1]["global"]["std"] is None
    for words in ("zero-shot", "mean of clients", "worst client", "trained on 480 images of split val"):
        assert words in captured.out


def test_help_does_not_load_jax() -> None:
    code = (
        "import sys, promptfolio\n"
        "try: promptfolio.main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "sys.exit(bool({'jax', 'sympy', 'matplotlib', 'xarray'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0
