"""What a command loads and compiles before it answers: counts, which do not depend on the machine's load."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from promptfolio.cli.application import run_command
from simulate.running import compilation
from tests.support import ROOT

SMALL = (*("simulate", "--clients", "2", "--samples", "3", "--noise-dim", "30"), *("--rounds", "4"))
MOST_PROGRAMS = 3
"""Of a small run: it draws, starts and trains."""

_COUNTING = """
import collections, json, os, sys
import jax, promptfolio
exec(os.environ.get("PLANTED", ""))
counts = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: counts.update([name.rpartition("/")[2]]))
status = promptfolio.main(sys.argv[1:])
asked, found = counts["compile_requests_use_cache"], counts["cache_hits"]
print("COUNTS", json.dumps([status, asked, asked - found]))
"""


_FAULT = """
import simulate.model.schemes as schemes, simulate.engines.rows.coefficients as engine
engine.mix = lambda theta, first, second: schemes.mix(1 - theta, first, second)
"""


def counted(cache: pathlib.Path, *words: str, planted: str = "") -> tuple[int, int]:
    """Programs that a command needs, and those of them that it compiles, in a process of its own.

    Args:
        cache: the user's folder for caches.
        words: of the command line.
        planted: code that is run first.
    """
    kept = {name: value for name, value in os.environ.items() if name != compilation.VARIABLE}
    ended = subprocess.run(
        [sys.executable, "-c", _COUNTING, *words],
        cwd=ROOT,
        env={**kept, "XDG_CACHE_HOME": str(cache), "PLANTED": planted},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in ended.stderr
    assert "cache" not in ended.stderr
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("COUNTS"))
    status, asked, compiled = json.loads(line.removeprefix("COUNTS"))
    assert status == 0
    return asked, compiled


def programs_in(cache: pathlib.Path) -> list[pathlib.Path]:
    return sorted(cache.rglob("*.program"))


def numbers(path: pathlib.Path) -> dict[str, bytes]:
    import xarray as xr

    data = xr.load_dataset(path, engine="h5netcdf")
    return {str(name): values.values.tobytes() for name, values in data.variables.items()}


def test_programs_are_compiled_once_and_give_the_same_numbers(tmp_path: pathlib.Path) -> None:
    cache = tmp_path / "caches"
    results = [tmp_path / f"{turn}.nc" for turn in range(4)]

    asked, compiled = counted(cache, *SMALL, "--out", str(results[0]))
    assert asked == compiled <= MOST_PROGRAMS
    kept = programs_in(cache)
    assert len(kept) == compiled

    assert counted(cache, *SMALL, "--out", str(results[1])) == (asked, 0)

    for path in kept:  # damage that leaves every length as it was
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    assert counted(cache, *SMALL, "--out", str(results[2])) == (asked, asked)
    assert programs_in(cache) == kept

    first = [path.stat() for path in kept]
    flag = "--no-compilation-cache"
    assert counted(cache, *SMALL, flag, "--out", str(results[3])) == (asked, asked)
    assert [path.stat() for path in kept] == first

    assert all(numbers(result) == numbers(results[0]) for result in results[1:])


def test_a_fault_in_the_code_neither_finds_kept_programs_nor_is_found(tmp_path: pathlib.Path) -> None:
    cache, words = tmp_path / "caches", (*SMALL, "--theta", "0.3")
    results = [tmp_path / f"{turn}.nc" for turn in range(3)]
    asked, _ = counted(cache, *words, "--out", str(results[0]))
    kept = programs_in(cache)
    # Drawing and starting are the same programs with the fault; training is another.
    assert counted(cache, *words, "--out", str(results[1]), planted=_FAULT) == (asked, 1)
    assert len(programs_in(cache)) == len(kept) + 1
    assert counted(cache, *words, "--out", str(results[2])) == (asked, 0)
    assert numbers(results[1]) != numbers(results[0]) == numbers(results[2])


def test_a_folder_for_caches_that_cannot_be_had_is_no_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("in the way")
    asked, compiled = counted(tmp_path / "file", *SMALL)
    assert asked == compiled
    assert (tmp_path / "file").read_text() == "in the way"


def test_both_flags_at_once_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    words = ("--compilation-cache", str(tmp_path / "kept"), "--no-compilation-cache")
    assert run_command([*SMALL, *words]) == 2
    assert "compilation_cache" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_command_loads_what_it_needs_and_no_more(tmp_path: pathlib.Path) -> None:
    """As a process of its own, in which xarray does not load dask either."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "promptfolio", *SMALL, "--out", str(tmp_path / "x.nc")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert {"jax", "xarray", "promptfolio.checks.departures"} <= loaded
    needless = {
        "sympy",
        "scipy.stats",
        "scipy.optimize",
        "scipy.interpolate",
        "matplotlib",
        "dask.array",
        "dask",
    }
    assert not needless & loaded
