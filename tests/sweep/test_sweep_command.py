"""`promptfolio sweep` as its user meets it."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import tyro

from promptfolio.cli.sweep import Sweep
from promptfolio.sweep import read_specification
from simulate import ConfigurationError
from tests.support import ROOT

SPEC = """
[experiment]
clients = 2
samples = 4
noise_dim = 50
rounds = 3

[grid]
seed = [0, 1]
"""


@pytest.fixture
def spec(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return str(path)


def sweep(*arguments: str) -> int:
    return tyro.cli(Sweep, args=arguments, config=(tyro.conf.OmitArgPrefixes,)).execute()


def states(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [cell["state"] for cell in json.loads(capsys.readouterr().out)["cells"]]


def test_run_status_and_resume(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, spec: str) -> None:
    out = ("--out", str(tmp_path / "out"))
    assert sweep(spec, *out, "--status") == 0
    shown = capsys.readouterr().out
    assert "2 cells: 0 done, 2 to do" in shown
    assert "seed" in shown
    assert not (tmp_path / "out").exists()
    assert sweep(spec, *out, "--workers", "0", "--json", "-") == 0
    captured = capsys.readouterr()
    first = json.loads(captured.out)["cells"]
    assert [cell["state"] for cell in first] == ["computed"] * 2
    assert [cell["varied"] for cell in first] == [{"seed": 0}, {"seed": 1}]
    assert "2 cells: 2 computed, 0 there before, 0 failed" in captured.err
    pathlib.Path(first[0]["file"]).unlink()
    assert sweep(spec, *out, "--status", "--json", "-") == 0
    assert states(capsys) == ["missing", "done"]
    assert sweep(spec, *out, "--workers", "0", "--json", "-") == 0
    assert states(capsys) == ["computed", "found"]


def test_files_that_are_there_are_read_once(
    tmp_path: pathlib.Path, spec: str, calls_of: Callable[[str], list[str]]
) -> None:
    arguments = (spec, "--out", str(tmp_path / "out"), "--workers", "0")
    assert sweep(*arguments) == 0
    reads = calls_of("simulate.results.netcdf.read_attributes")
    assert sweep(*arguments) == 0
    assert len(reads) == 2, "one for each cell"


def test_a_failed_cell_is_reported_and_exits_one(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    # With inner products alone there is nothing to fall back on once a noise row leaves the linear band.
    path = tmp_path / "spec.toml"
    path.write_text(
        SPEC.replace("[0, 1]", "[0]\nnoise_offset = [1e-9, 1e3]").replace(
            "rounds = 3", "rounds = 3\ngram = 'wishart'"
        )
    )
    assert sweep(str(path), "--out", str(tmp_path / "out"), "--workers", "0") == 1
    shown = capsys.readouterr()
    assert "2 cells: 1 computed, 0 there before, 1 failed" in shown.out
    assert "noise_offset = 1e-09 is not allowed" in shown.out
    (line,) = [each for each in shown.err.splitlines() if "cells failed" in each]
    assert line.startswith("promptfolio: 1 of 2 cells failed; ")
    assert "noise_offset = 1e-09 is not allowed" in line


def test_a_foreign_file(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, spec: str) -> None:
    (tmp_path / f"{read_specification(spec).cells[0].name}.nc").mkdir()
    assert sweep(spec, "--out", str(tmp_path), "--status", "--json", "-") == 1
    assert states(capsys) == ["foreign", "missing"]
    with pytest.raises(ConfigurationError, match="move it away"):
        sweep(spec, "--out", str(tmp_path), "--workers", "0")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--out", "spec.toml"), "out"),
        (("--out", "spec.toml/deeper", "--status"), "out"),
        (("--out", "new", "--json", "."), "json"),
        (("--out", "new", "--workers", "-1"), "workers"),
        (("--out", "new", "--memory", "0"), "memory"),
        (("--out", "new", "--compilation-cache", "spec.toml"), "compilation_cache"),
        (
            ("--out", "new", "--compilation-cache", "new", "--scheduler", "tcp://127.0.0.1:1"),
            "compilation_cache",
        ),
    ],
)
def test_bad_options_are_refused_and_write_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, spec: str, arguments: tuple[str, ...], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=named):
        sweep(spec, *arguments)
    assert os.listdir(tmp_path) == ["spec.toml"]


def test_without_dask_a_scheduler_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, spec: str
) -> None:
    real = importlib.util.find_spec

    def hidden(name: str, package: str | None = None) -> Any:
        return None if name == "distributed" else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    with pytest.raises(ConfigurationError, match=r"pip install 'promptfolio\[cluster\]'"):
        sweep(spec, "--out", str(tmp_path / "out"), "--scheduler", "tls://127.0.0.1:1")
    assert sweep(spec, "--out", str(tmp_path / "out"), "--workers", "0") == 0


def test_status_loads_neither_jax_nor_dask(tmp_path: pathlib.Path, spec: str) -> None:
    code = (
        "import sys\n"
        "from promptfolio.cli.sweep import Sweep\n"
        "heavy = {'jax', 'xarray', 'distributed', 'dask', 'matplotlib'}\n"
        "assert not heavy & {*sys.modules}\n"
        f"assert Sweep({spec!r}, out={str(tmp_path)!r}, status=True).execute() == 0\n"
        "sys.exit(bool(heavy & {*sys.modules}))"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0


def test_the_documented_example_is_a_sweep() -> None:
    example = read_specification(ROOT / "docs" / "example_sweep.toml")
    assert 2 <= len({cell.name for cell in example.cells}) <= 50
