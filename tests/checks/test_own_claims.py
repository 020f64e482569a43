"""A claim in a folder of one's own is checked and reported as the project's are."""

import json
import pathlib
import shutil

import pytest

import promptfolio
from tests.support import ROOT

OWN = '''\
"""The ratio of a mixture at θ = 1 is the local prompt's."""

import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, compare
from simulate.experiment import Experiment
from simulate.running.runner import run

CLAIM = Claim(
    name="local_end",
    equation="T3",
    provenance="derived",
    title="At θ = 1 the mixture is the local prompt",
    statement="Post-hoc mixtures with θ = 1 have the ratio of the local prompt alone.",
    bound="exact",
)


def collect(scale):
    """Two rounds of a few clients."""
    experiment = Experiment(scheme="posthoc", noise_dim=50, rounds=2, record=(2,), theta=(1.0,))
    return assumptions.record(run(experiment).isel(step=0, theta=0), experiment)


def judge(data):
    """Equal up to rounding."""
    ratios = [data.ratio.sel(predictor=name) for name in ("mixture", "local")]
    return Finding(
        CLAIM,
        (compare("R of the mixture and of the local prompt", *ratios, bound="exact", tolerance=1e-12),),
        assumptions.measured(data, step=10.0),
    )
'''


def test_the_template_runs_as_it_is(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pathlib.Path(shutil.copy(ROOT / "docs" / "claim_template.py", tmp_path))
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
    assert promptfolio.main(["check", "--quick", "--claims", str(path), "--json", "-"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["name"], record["verdict"]) == ("claim_template", "holds")


def test_claims_of_ones_own_are_checked_beside_the_projects(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own, which know nothing but the path; the exit status is that of the failing one."""
    assert len(OWN.splitlines()) < 60
    (tmp_path / "local_end.py").write_text(OWN, encoding="utf-8")
    broken = OWN.replace('"local_end"', '"global_end"').replace('"mixture", "local"', '"mixture", "global"')
    (tmp_path / "global_end.py").write_text(broken, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ["check", "--quick", "--claims", "local_end.py", "aggregation", "global_end.py"]
    assert promptfolio.main([*words, "--report", "deep/report.md", "--json", "found.json"]) == 1
    records = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert {record["name"]: record["verdict"] for record in records} == {
        "local_end": "holds",
        "aggregation": "holds",
        "global_end": "fails",
    }
    assert all(record["slack"] >= 0 for record in records[:2])
    assert records[2]["slack"] < 0
    assert "global_end" in capsys.readouterr().out
    text = (tmp_path / "deep" / "report.md").read_text(encoding="utf-8")
    assert "3 claims checked at quick scale: 2 hold, 1 fails." in text
    assert "\n## 1. At θ = 1 the mixture is the local prompt\n" in text
    assert "Checked by `local_end.py`." in text
    assert "Checked by `promptfolio/checks/claims/aggregation.py`." in text


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--claims", "nowhere.py"), ("claim = 'nowhere.py'", "a file that exists")),
        (("--claims", "broken.py"), ("broken.py", "SyntaxError")),
        (("--claims", "empty.py"), ("empty.py", "lacks CLAIM")),
        (("--mutants", "--claims", "empty.py"), ("empty.py", "--mutants")),
        (("--record", "record.json"), ("record.json", "--mutants")),
        (("--mutants", "--report", "report.md"), ("report.md", "--mutants")),
        (("--mutants", "--record", "broken.py"), ("broken.py", "a record of planted faults")),
    ],
)
def test_what_cannot_be_checked_is_one_line(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    (tmp_path / "broken.py").write_text("CLAIM = (", encoding="utf-8")
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert promptfolio.main(["check", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in parts:
        assert part in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.py", "empty.py"]
