"""`promptfolio derive` as its user meets it: the document, what is stale, and one clear line for bad input."""

import pathlib
from collections.abc import Iterator

import pytest

import promptfolio
import theory.mixing.joint_law
from promptfolio.cli import derive as command
from tests.support import ROOT
from theory.proof.catalogue import results
from theory.proof.derivation import DerivationError
from theory.proof.document import document, sections

RESULTS = results()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Work in an empty folder on three results, so that tests are quick."""
    monkeypatch.chdir(tmp_path)
    everything = dict(RESULTS)
    for tag in everything.keys() - {"T7", "T10", "T21"}:
        del RESULTS[tag]
    yield tmp_path
    # emptied first, because the order counts
    RESULTS.clear()
    RESULTS.update(everything)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, list[str]]:
    try:
        status = promptfolio.main(["derive", *arguments])
    except SystemExit as stop:
        status = stop.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    return status, captured.out, captured.err.strip().splitlines()


def test_writes_the_document_and_finds_it_up_to_date(
    few: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys)
    assert status == 0
    assert "3 results in docs/derivations.md" in out
    written = (few / "docs" / "derivations.md").read_text(encoding="utf-8")
    assert written == document(["T7", "T10", "T21"])
    assert [entry.name for entry in (few / "docs").iterdir()] == ["derivations.md"], (
        "no temporary file is left"
    )
    status, out, _ = run(capsys, "--check")
    assert status == 0
    assert "up to date" in out


def test_names_stale_results_and_writes_nothing(
    few: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys)
    path = few / "docs" / "derivations.md"
    edited = path.read_text(encoding="utf-8").replace("Induction step.", "Some step.", 1)
    path.write_text(edited, encoding="utf-8")
    status, out, errors = run(capsys, "--check")
    assert (status, out) == (1, "")
    assert errors == ["promptfolio: docs/derivations.md is stale: T10"]
    assert path.read_text(encoding="utf-8") == edited
    assert run(capsys, "--check", "--tags", "T7", "T21")[0] == 0
    assert run(capsys, "--check", "--tags", "T10")[0] == 1


def test_missing_and_superfluous_results_are_stale(
    few: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys)
    del RESULTS["T21"]
    assert run(capsys, "--check")[2] == ["promptfolio: docs/derivations.md is stale: contents, T21"]
    RESULTS["T15"] = "theory.mixing.tangency"
    assert run(capsys, "--check")[2] == ["promptfolio: docs/derivations.md is stale: contents, T15, T21"]


def test_some_results_go_to_standard_output_and_leave_the_document_alone(
    few: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "--tags", "T21", "T21")
    assert status == 0
    assert list(sections(out)) == ["contents", "T21"]
    assert list(few.iterdir()) == []
    assert run(capsys, "--tags", "T21", "--out", "some.md")[0] == 0
    assert (few / "some.md").read_text(encoding="utf-8") == out


def test_a_step_that_fails_is_named_in_one_line(
    few: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise DerivationError("T21, step 2 (Both prompts share τ.): the claim 1 = 2 does not hold")

    monkeypatch.setattr(theory.mixing.joint_law, "derivation", broken)
    status, out, errors = run(capsys)
    assert (status, out) == (1, "")
    assert errors == ["promptfolio: T21, step 2 (Both prompts share τ.): the claim 1 = 2 does not hold"]
    assert list(few.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--tags", "T7", "T99"), ("tags", "T99", "T7")),
        (("--check",), ("out", "docs/derivations.md", "No such file")),
        (("--check", "--out", "binary.md"), ("out", "binary.md", "no UTF-8")),
        (("--check", "--out", "-"), ("out", "-", "file")),
        (("--out", "folder"), ("out", "folder")),
        (("--out", "binary.md/deeper.md"), ("out", "binary.md")),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    few: pathlib.Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: tuple[str, ...]
) -> None:
    (few / "folder").mkdir()
    (few / "binary.md").write_bytes(b"\xff\xfe\x00")
    status, out, errors = run(capsys, *arguments)
    assert (status, out, len(errors)) == (2, "", 1), errors
    for part in named:
        assert part in errors[0]
    assert sorted(path.name for path in few.rglob("*")) == ["binary.md", "folder"]


def test_default_is_the_committed_document() -> None:
    assert (ROOT / command._DOCUMENT).is_file()
