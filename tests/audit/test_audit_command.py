"""`promptfolio audit` as its user meets it."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import xarray as xr

import promptfolio
from promptfolio.audit import registry
from promptfolio.audit.observation import Table
from promptfolio.checks.claim import Claim, Finding, compare
from promptfolio.companion.banks import draw_synthetic_bank


@dataclasses.dataclass
class Stub:
    """A finding that takes no time, and whose effect is as large as asked."""

    size: float
    OBSERVATION: Claim = Claim("stub", "code", "code", "A stub", "The released code has a stub.", "lower")  # noqa: RUF009
    CHANGES: str = "nothing"

    def demonstrate(self, setting: object) -> xr.Dataset:
        return xr.Dataset({"size": self.size})

    def judge(self, data: xr.Dataset) -> Finding:
        return Finding(self.OBSERVATION, (compare("size", data["size"], 0.5, bound="lower", tolerance=0.0),))

    def effect(self, data: xr.Dataset) -> str:
        return f"effect {float(data['size'])}"

    def tables(self, data: xr.Dataset) -> tuple[Table, ...]:
        return (Table("numbers", ("name", ">size"), (("stub", str(float(data["size"]))),)),)


@pytest.mark.parametrize("command", ["audit", "reproduce"])
def test_bank_that_cannot_be_divided_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, command: str
) -> None:
    bank = draw_synthetic_bank(classes=3, dim=8)
    np.savez(
        tmp_path / "bank.npz",
        image_features=bank.image_features,
        labels=bank.labels,
        split=np.zeros_like(bank.split),
        split_names=np.array(bank.split_names),
        class_names=np.array(bank.class_names),
        backbone=np.array("none"),
    )
    words = [command, "--quick", "--bank", str(tmp_path / "bank.npz"), "--out", str(tmp_path / "out")]
    assert promptfolio.main(words) == 2
    assert "bank.npz: heldout_split = 'test'" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "status"), [(1.0, 0), (0.0, 1)])
def test_exit_status_and_outputs(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    size: float,
    status: int,
) -> None:
    monkeypatch.setattr(registry, "observation_names", lambda: ("stub",))
    for module in (
        "promptfolio.audit.registry.load_observation",
        "promptfolio.audit.report.load_observation",
    ):
        monkeypatch.setattr(module, lambda name: Stub(size))
    out = tmp_path / "deep" / "audit.md"
    assert promptfolio.main(["audit", "--quick", "--out", str(out), "--json", "-"]) == status
    captured = capsys.readouterr()
    (record,) = json.loads(captured.out)
    assert record["verdict"] == ("holds" if status == 0 else "fails")
    assert "SYNTHETIC" in captured.err
    assert f"effect {size}" in captured.err
    assert "## Audit of the released code" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--bank", "nowhere.npz"), "nowhere.npz"),
        (("--out", "folder"), "folder"),
        (("--json", "folder"), "folder"),
    ],
)
def test_bad_input_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    arguments: tuple[str, ...],
    named: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert promptfolio.main(["audit", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert named in captured.err
    assert len(captured.err.strip().splitlines()) == 1
