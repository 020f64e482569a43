"""What commands print: any text, in any encoding, on terminals of any width, and every error as one line."""

import io
import json
import os
import pathlib
import subprocess
import sys

import pytest
from rich.console import Console

import promptfolio
from promptfolio.cli import console as console_module
from promptfolio.cli.console import coloured, complain, console_for, table, tracking
from promptfolio.cli.failures import DEBUG, outcome
from promptfolio.cli.output import emit_json
from promptfolio.cli.printable import encodable
from promptfolio.processes.ending import Ended
from simulate.results.finiteness import NonFiniteError
from simulate.validation import ConfigurationError
from tests.support import ROOT

HOSTILE = "[red]x[/red] :smile: \x1b[31m\nnext \u202e θ"
SHOWN = r"[red]x[/red] :smile: \x1b[31m\nnext \u202e θ"
NUMBERS = ("0.123456789", "-1.23456789e-17")


def printed(width: int, *, encoding: str = "utf-8") -> str:
    """A table with hostile text and long numbers, as a terminal of this width gets it."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    console = console_module._PlainConsole(
        file=file, width=width, force_terminal=True, no_color=True, markup=False, highlight=False, emoji=False
    )
    console.print(
        table(HOSTILE, ("name", ">θ", ">loss"), [(HOSTILE, *NUMBERS), (coloured("fails"), "1", "2")])
    )
    console.print(f"folder: {HOSTILE}", soft_wrap=True)
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [0, 1, 20, 40, 80, 1000])
def test_no_width_costs_a_digit_and_no_text_is_obeyed(width: int) -> None:
    shown = printed(width)
    for number in NUMBERS:
        assert number in shown
    assert f"folder: {SHOWN}" in shown
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_an_encoding_without_greek_gets_its_names(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    shown = printed(80, encoding=encoding)
    assert "theta" in shown
    assert encodable("κ ‖w‖² ≤ 4/κ \udcff", "ascii") == r"kappa ||w||^2 <= 4/kappa \udcff"
    emit_json("-", {"θ": "é\udcff"})
    sys.stdout.flush()
    assert isinstance(sys.stdout, io.TextIOWrapper)
    assert isinstance(sys.stdout.buffer, io.BytesIO)
    assert json.loads(sys.stdout.buffer.getvalue().decode(encoding)) == {"θ": "é\udcff"}


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb", "COLUMNS": "1"},
    ],
)
def test_help_and_refusals_in_any_environment(variables: dict[str, str], tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "promptfolio", "simulate"]
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    for words, status in ((["--help"], 0), ([b"--out", b"\xff/\xce\xb8", "--clients", "0"], 2)):
        done = subprocess.run([*command, *words], env=environment, capture_output=True, cwd=tmp_path)
        assert done.returncode == status, done.stderr
        assert done.stderr.count(b"\n") == (status != 0)
        assert b"Traceback" not in done.stderr


def test_progress_without_a_terminal_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 2.0, 2.0, 100.0, 100.0, 101.0, 101.0])
    monkeypatch.setattr(console_module.time, "monotonic", lambda: next(clock))
    with tracking("sweeping [x]") as tracker:
        tracker(1, 10)
        tracker(5, 10)
        tracker(6, 10)
    assert (
        capsys.readouterr().err
        == "promptfolio: sweeping [x]: 5 of 10, about 1 min 40 s left (after 1 min 40 s)\n"
    )


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (
            ConfigurationError("bank", "[red]", "a file"),
            "bank = '[red]' is not allowed: it must be a file",
            2,
        ),
        (NonFiniteError("loss = nan", 0, 3, "the step size"), "loss = nan in replicate 0, round 3", 1),
        (MemoryError(), "out of memory: MemoryError", 1),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 GiB"), "out of memory: RuntimeError: RESOURCE_EXHAUSTED", 1),
        (RecursionError("too\ndeep"), "RecursionError: too deep (--debug shows the traceback)", 1),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left", 1),
        (BrokenPipeError(), "nobody reads standard output", 141),
        (KeyboardInterrupt(), "interrupted", 130),
        (Ended(15), "SIGTERM", 143),
    ],
)
def test_every_exception_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    line: str,
    status: int,
) -> None:
    def fail(self: object) -> int:
        raise error

    monkeypatch.setattr("promptfolio.cli.derive.Derive.execute", fail)
    assert promptfolio.main(["derive"]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("promptfolio: ")
    assert line in said.err
    assert said.err.count("\n") == 1
    assert outcome(error)[1] == status


def test_debug_shows_the_traceback_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(self: object) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("promptfolio.cli.derive.Derive.execute", fail)
    for words in (["--debug", "derive"], ["derive", "--debug"]):
        assert promptfolio.main(words) == 1
        assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert promptfolio.main(["derive"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert not DEBUG.get()


def test_a_claim_that_raises_or_exits_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "mine.py"
    header = "from promptfolio.checks.claims.aggregation import CLAIM as C, judge\nimport dataclasses, sys\n"
    header += "CLAIM = dataclasses.replace(C, name='mine')\nprint('chatter')\n"
    for body, said in (("1 / 0", "ZeroDivisionError: division by zero"), ("sys.exit(0)", "SystemExit: 0")):
        path.write_text(f"{header}def collect(scale):\n    {body}\n")
        assert promptfolio.main(["check", "--quick", "--claims", str(path), "--json", "-"]) == 1
        captured = capsys.readouterr()
        assert json.loads(captured.out)[0]["verdict"] == "error", (
            "what a claim prints is not among the results"
        )
        assert f"promptfolio: mine has no verdict: {said} (--debug shows the traceback)\n" in captured.err
        assert "Traceback" not in captured.err


def test_a_closed_standard_output_is_refused_where_results_would_go_there(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "promptfolio", "simulate", "--noise-dim", "30", "--json", "-"]
    words = " ".join(command) + " >&- <&-"
    done = subprocess.run(
        words, shell=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, stderr=subprocess.PIPE
    )
    assert done.returncode == 2
    assert done.stderr == (
        b"promptfolio: json = '-' is not allowed: it must be a file, since standard output is closed\n"
    )


def test_complaints_survive_a_standard_error_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    complain("nobody hears this")


def test_consoles_are_wide_enough_for_files() -> None:
    assert isinstance(console_for(None), Console)
    assert console_for(None).width == 160


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_ENABLE_X64", "foo"),
        ("JAX_DEFAULT_PRNG_IMPL", "foo"),
        ("JAX_COMPILER_DETAILED_LOGGING_MIN_OPS", "1.5"),
        ("CHECK_VMA", "foo"),
    ],
)
def test_a_variable_that_jax_refuses_is_bad_input(name: str, value: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "promptfolio", "simulate", "--rounds", "1"],
        env={**os.environ, name: value},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(
        f"promptfolio: {name} = '{value}' is not allowed: it must be a value that"
    )
    assert answer.stderr.count("\n") == 1


def test_other_errors_are_no_refusal_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_ENABLE_X64", "foo")
    assert outcome(ValueError("invalid truth value 'foo' for environment 'JAX_ENABLE_X64'"))[1] == 1
