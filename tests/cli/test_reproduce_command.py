"""`promptfolio reproduce` and `check` lose nothing: claims, figures and the audit may break off, one by one."""

import concurrent.futures
import contextlib
import json
import pathlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.figure
import pytest
import xarray as xr

import figures.registry
import promptfolio.audit.registry
import promptfolio.checks.checking
import promptfolio.checks.registry
import promptfolio.cli.check
import promptfolio.cli.reproduce
from promptfolio.checks.claim import Assumption, Claim, Finding, compare
from promptfolio.checks.unjudged import unjudged
from promptfolio.cli.findings import exit_status
from promptfolio.cli.record import Record

NAMES = ("first", "second", "third")


def _claim(name: str, measured: float = 1.0) -> Any:
    module: Any = types.ModuleType(f"promptfolio.checks.claims.{name}")
    module.CLAIM = Claim(name, "T0", "derived", f"The {name} claim", "Something holds.", "exact")
    module.collect = lambda scale: xr.Dataset({"x": measured})
    module.judge = lambda data: Finding(
        module.CLAIM, (compare("x", data.x, 1.0, bound="exact", tolerance=0.1),), (Assumption("y", 0.5, 1.0),)
    )
    return module


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Three claims that hold, in the place of all others: checked one after the other, with an empty audit."""
    modules = {name: _claim(name) for name in NAMES}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"promptfolio.checks.claims.{name}", module)
    monkeypatch.setattr(promptfolio.checks.registry, "claim_names", lambda: NAMES)
    figure: Any = types.ModuleType("figures.study.picture")
    figure.NEEDS, figure.CAPTION = ("first",), "A caption."
    figure.draw = lambda datasets: matplotlib.figure.Figure()
    monkeypatch.setitem(sys.modules, "figures.study.picture", figure)
    monkeypatch.setattr(figures.registry, "figure_names", lambda: ("picture",))
    monkeypatch.setattr(promptfolio.audit.registry, "run_audit", lambda scale, banks: ())

    @contextlib.contextmanager
    def one_thread() -> Iterator[concurrent.futures.Executor]:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            yield pool

    monkeypatch.setattr(promptfolio.cli.reproduce, "start_workers", one_thread)
    monkeypatch.setattr(promptfolio.cli.check, "start_workers", one_thread)
    # The order in which claims arrive is that of their names.
    monkeypatch.setattr(
        concurrent.futures,
        "as_completed",
        lambda pending: (concurrent.futures.wait([each]) and each for each in pending),
    )
    return modules


def _raising(error: BaseException) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


def _reproduce(out: pathlib.Path, *arguments: str) -> int:
    return promptfolio.main(["reproduce", "--quick", "--out", str(out), *arguments])


def _verdicts(out: pathlib.Path) -> dict[str, str]:
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return {each["name"]: each["verdict"] for each in summary["claims"]}


def test_the_report_is_complete(claims: dict[str, Any], tmp_path: pathlib.Path) -> None:
    assert _reproduce(tmp_path) == 0
    text = (tmp_path / "paper_checks.md").read_text(encoding="utf-8")
    assert "Unfinished" not in text
    assert "Errors" not in text
    assert "figures/picture.png" in text
    assert _verdicts(tmp_path) == dict.fromkeys(NAMES, "holds")
    assert _reproduce(tmp_path / "again", "--against", str(tmp_path / "paper_checks.md")) == 0


@pytest.mark.parametrize("part", ["collect", "judge", "CLAIM"])
def test_a_claim_that_raises_is_an_error_and_the_others_go_on(
    claims: dict[str, Any], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    if part == "CLAIM":
        del claims["second"].judge
    else:
        setattr(claims["second"], part, _raising(ZeroDivisionError("[bold] of nothing")))
    assert _reproduce(tmp_path) == 1
    assert _verdicts(tmp_path) == {"first": "holds", "second": "error", "third": "holds"}
    text = (tmp_path / "paper_checks.md").read_text(encoding="utf-8")
    error = "ConfigurationError" if part == "CLAIM" else "ZeroDivisionError: [bold] of nothing"
    assert error in text
    assert "2 hold, 1 error" in text
    captured = capsys.readouterr()
    assert error in captured.out
    assert "Traceback" not in captured.err
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["first.nc", "third.nc"]


def test_a_claim_that_cannot_be_described_is_an_error(
    claims: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Assumption, "describe", _raising(ZeroDivisionError("division by zero")))
    claims["third"].judge = lambda data: Finding(
        claims["third"].CLAIM, (compare("x", 1, 1, bound="exact", tolerance=0),)
    )
    assert _reproduce(tmp_path) == 1
    assert _verdicts(tmp_path) == {"first": "error", "second": "error", "third": "holds"}


def test_an_interrupted_run_leaves_what_it_found(claims: dict[str, Any], tmp_path: pathlib.Path) -> None:
    claims["second"].collect = _raising(KeyboardInterrupt())
    report = tmp_path / "kept.md"
    report.write_text("the committed report", encoding="utf-8")
    assert _reproduce(tmp_path / "out", "--report", str(report)) == 130
    text = (tmp_path / "out" / "paper_checks.md").read_text(encoding="utf-8")
    assert "**Unfinished.** Not here yet: second, third." in text
    assert "\n## 1. The first claim\n" in text
    assert "figures/picture.png" in text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["missing"] == ["second", "third"]
    assert _verdicts(tmp_path / "out") == {"first": "holds"}
    assert report.read_text(encoding="utf-8") == "the committed report"


def test_a_report_kept_elsewhere_is_replaced_at_the_end(
    claims: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    report, seen = tmp_path / "deep" / "kept.md", []
    judge = claims["third"].judge

    def look(data: xr.Dataset) -> Finding:
        seen.append(report.exists())
        return judge(data)

    claims["third"].judge = look
    assert _reproduce(tmp_path / "out", "--report", str(report)) == 0
    assert seen == [False]
    assert "../out/figures/picture.png" in report.read_text(encoding="utf-8")
    assert "(figures/picture.png)" in (tmp_path / "out" / "paper_checks.md").read_text(encoding="utf-8")


def test_a_broken_figure_is_reported(
    claims: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["figures.study.picture"], "draw", _raising(KeyError("curve")))
    assert _reproduce(tmp_path) == 1
    text = (tmp_path / "paper_checks.md").read_text(encoding="utf-8")
    assert "- Figure picture is not drawn: KeyError: 'curve'" in text
    assert "picture.png" not in text
    assert _verdicts(tmp_path) == dict.fromkeys(NAMES, "holds")
    assert promptfolio.main(["figures", "--data", str(tmp_path / "data"), "--out", str(tmp_path)]) == 1


def test_an_audit_that_breaks_off_is_reported(
    claims: dict[str, Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promptfolio.audit.registry, "run_audit", _raising(RuntimeError("no bank")))
    assert _reproduce(tmp_path) == 1
    text = (tmp_path / "paper_checks.md").read_text(encoding="utf-8")
    assert "- The audit of the released code broke off: RuntimeError: no bank" in text
    assert _verdicts(tmp_path) == dict.fromkeys(NAMES, "holds")


def test_data_that_cannot_be_saved_are_reported(claims: dict[str, Any], tmp_path: pathlib.Path) -> None:
    claims["second"].collect = lambda scale: xr.Dataset({"x": 1.0}, attrs={"not for netCDF": object()})
    assert _reproduce(tmp_path) == 1
    text = (tmp_path / "paper_checks.md").read_text(encoding="utf-8")
    assert "- The data of second are not saved: TypeError" in text
    assert _verdicts(tmp_path) == dict.fromkeys(NAMES, "holds")


def test_a_demonstration_that_raises_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from promptfolio.audit.report import as_records, audit_section

    monkeypatch.setattr(promptfolio.audit.registry, "observation_names", lambda: ("mixture_norm",))
    monkeypatch.setattr(promptfolio.audit.registry, "audit", _raising(ValueError("no | effect")))
    monkeypatch.setattr(promptfolio.audit.registry, "audit_setting", lambda scale, banks: None)
    results = promptfolio.audit.registry.run_audit("quick")
    assert "| mixture_norm | | ValueError: no \\| effect | **error** |" in audit_section(results)
    assert [record["verdict"] for record in as_records(results)] == ["error"]


def test_check_goes_on_after_a_claim_that_raises(
    claims: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    claims["first"].collect = _raising(ZeroDivisionError("division by zero"))
    assert promptfolio.main(["check", "--json", "-", "--debug"]) == 1
    captured = capsys.readouterr()
    records = json.loads(captured.out)
    assert [record["verdict"] for record in records] == ["error", "holds", "holds"]
    assert records[0]["error"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in captured.err


def test_a_judge_that_returns_no_finding_on_its_claim_is_an_error(
    claims: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    claims["first"].judge = lambda data: None
    claims["second"].judge = claims["third"].judge
    assert promptfolio.main(["check", "--json", "-"]) == 1
    records = json.loads(capsys.readouterr().out)
    assert [record["verdict"] for record in records] == ["error", "error", "holds"]
    assert records[0]["error"] == "TypeError: judge returned None; allowed: a Finding on the module's CLAIM"


def test_an_interrupted_check_shows_what_it_found(
    claims: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    claims["second"].collect = _raising(KeyboardInterrupt())
    assert promptfolio.main(["check", "--json", "-"]) == 130
    captured = capsys.readouterr()
    records = json.loads(captured.out)
    assert [record["verdict"] for record in records] == ["holds", "not checked", "not checked"]
    assert "2 not checked" in captured.err


def test_a_claim_of_ones_own_is_reported_after_the_projects(
    claims: dict[str, Any], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "import xarray as xr\n"
        "from promptfolio.checks.claim import Claim, Finding, compare\n"
        'CLAIM = Claim("own", "T1", "derived", "An own claim", "One is one.", "exact")\n'
        'collect = lambda scale: xr.Dataset({"x": 1.0})\n'
        'judge = lambda data: Finding(CLAIM, (compare("x", data.x, 1, bound="exact", tolerance=0),))\n',
        encoding="utf-8",
    )
    assert _reproduce(tmp_path / "out", "--claims", str(own)) == 0
    assert list(_verdicts(tmp_path / "out")) == [*NAMES, "own"]
    text = (tmp_path / "out" / "paper_checks.md").read_text(encoding="utf-8")
    assert "\n## 4. An own claim\n" in text
    assert "Checked by `own.py`." in text
    assert (tmp_path / "out" / "data" / "own.nc").exists()
    assert promptfolio.main(["reproduce", "--claims", str(tmp_path / "none.py")]) == 2
    assert "none.py" in capsys.readouterr().err


def test_the_audit_counts_in_the_record_of_a_run(tmp_path: pathlib.Path) -> None:
    audit: concurrent.futures.Future[Any] = concurrent.futures.Future()
    record = Record({}, "quick", tmp_path, tmp_path, audit, {})
    assert record.summary()["missing"] == ["the audit of the released code"]
    audit.set_result((unjudged("mixture_norm", ZeroDivisionError()),))
    assert record.summary()["missing"] == []
    assert [entry["name"] for entry in record.summary()["audit"]] == ["mixture_norm"]
    assert record.exit_status == exit_status([unjudged("one", ValueError())]) == 1
