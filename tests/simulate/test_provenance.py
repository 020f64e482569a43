"""The commit in a result is that of the work tree that this code belongs to, or "unknown"."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from simulate import ConfigurationError
from simulate.results import provenance
from simulate.results.provenance import FORMAT_VERSION, different_setting, refuse_later_format, settings_of
from tests.support import ROOT

SOURCE = pathlib.Path(provenance.__file__)


def git(folder: pathlib.Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def installed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A repository that has a copy of the package's file in it; returns the folder that holds the packages."""
    packages = tmp_path / "work" / "packages"
    copy = packages / "simulate" / "results" / "provenance.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(SOURCE, copy)
    (packages / "pyproject.toml").write_text('[project]\nname = "promptfolio"\n')
    git(tmp_path / "work", "init", "-q")
    (tmp_path / "work" / "paper.tex").touch()
    git(tmp_path / "work", "add", "paper.tex")
    git(tmp_path / "work", "commit", "-qm", "theirs")
    monkeypatch.setattr(provenance, "__file__", str(copy))
    return packages


def commit_all(packages: pathlib.Path) -> str:
    git(packages, "add", "-A")
    git(packages, "commit", "-qm", "all")
    return git(packages, "rev-parse", "HEAD")


def test_a_repository_that_does_not_track_this_code_says_nothing(installed: pathlib.Path) -> None:
    assert provenance._git_commit() == "unknown"
    (installed.parent / ".gitignore").write_text("packages\n")
    assert provenance._git_commit() == "unknown"
    git(installed, "add", "-f", "pyproject.toml")
    git(installed, "commit", "-qm", "without the code")
    assert provenance._git_commit() == "unknown"


@pytest.mark.parametrize("project", [None, "", "[project", "project = 1", '[project]\nname = "paper"\n'])
def test_a_repository_that_tracks_an_installation_or_a_copy_says_nothing(
    installed: pathlib.Path, project: str | None
) -> None:
    (installed / "pyproject.toml").unlink()
    if project is not None:
        (installed / "pyproject.toml").write_text(project)
    commit_all(installed)
    assert provenance._git_commit() == "unknown"


def test_a_work_tree_that_tracks_this_code_is_named(
    installed: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = commit_all(installed)
    assert provenance._git_commit() == commit
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert provenance._git_commit() == commit


@pytest.mark.parametrize("name", ["packages/simulate/new.py", "packages/theory/deep/new.py"])
def test_a_new_file_in_a_package_makes_it_dirty(installed: pathlib.Path, name: str) -> None:
    commit = commit_all(installed)
    path = installed.parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert provenance._git_commit() == f"{commit}-dirty"


def test_a_changed_file_makes_it_dirty_and_notes_beside_it_do_not(installed: pathlib.Path) -> None:
    commit = commit_all(installed)
    (installed.parent / "notes.txt").touch()
    (installed / "notes.txt").touch()
    assert provenance._git_commit() == commit
    (installed.parent / "paper.tex").write_text("changed")
    assert provenance._git_commit() == f"{commit}-dirty"


def test_a_foreign_link_does_not_hide_where_the_code_is(
    installed: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = commit_all(installed)
    (tmp_path / "linked").symlink_to(installed)
    monkeypatch.setattr(
        provenance, "__file__", str(tmp_path / "linked" / "simulate" / "results" / "provenance.py")
    )
    assert provenance._git_commit() == commit


def test_without_an_answer_of_git_the_commit_is_unknown(
    installed: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    commit_all(installed)
    for program in (None, "#!/bin/sh\nexit 128\n", "#!/bin/sh\nprintf '\\377'; exit 1\n"):
        folder = tmp_path / "path"
        folder.mkdir(exist_ok=True)
        if program is not None:
            (folder / "git").write_text(program)
            (folder / "git").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        assert provenance._git_commit() == "unknown"


def test_a_repository_without_a_commit_or_a_work_tree_is_unknown(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "simulate" / "results" / "provenance.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(SOURCE, copy)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "promptfolio"\n')
    monkeypatch.setattr(provenance, "__file__", str(copy))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    assert provenance._git_commit() == "unknown"
    shutil.rmtree(tmp_path / ".git")
    git(tmp_path, "init", "-q", "--bare", ".")
    assert provenance._git_commit() == "unknown"


def test_asking_git_writes_nothing(installed: pathlib.Path) -> None:
    commit_all(installed)
    index = installed.parent / ".git" / "index"
    (installed.parent / "paper.tex").touch()
    before = index.read_bytes()
    provenance._git_commit()
    assert index.read_bytes() == before


def test_this_checkout_has_a_commit() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    code = "from simulate.results.provenance import provenance; print(provenance()['git_commit'])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout
    assert found.strip().removesuffix("-dirty") == git(ROOT, "rev-parse", "HEAD")


def test_the_next_format_is_refused_and_former_ones_are_not() -> None:
    for attributes in ({}, {"format_version": "1"}, {"format_version": str(FORMAT_VERSION)}):
        refuse_later_format("run.nc", attributes)
    later = {"format_version": str(FORMAT_VERSION + 1), "versions": '{"promptfolio": "7.1"}'}
    with pytest.raises(ConfigurationError, match=r"run\.nc.*promptfolio 7\.1 wrote format 3"):
        refuse_later_format("run.nc", later)


@pytest.mark.parametrize(
    ("attribute", "entry", "other", "differs"),
    [
        ("versions", "jax", "2", True),
        ("versions", "jaxlib", "2", True),
        ("versions", "numpy", "2", False),
        ("numerics", "platform", "gpu", True),
        ("numerics", "matmul_precision", "default", True),
        ("numerics", "generator", "rbg", True),
        ("numerics", "threefry_partitionable", False, True),
        ("numerics", "jax_disable_jit", True, True),
        ("numerics", "xla_flags", "--xla_dump_to=x --xla_cpu_enable_fast_math=true", True),
        ("numerics", "xla_flags", "--xla_dump_to=x", False),
        ("numerics", "device", "another", False),
        ("numerics", "devices", 8, False),
        ("numerics", "processor", "another", False),
        ("numerics", "x64", False, False),  # the experiment says its precision
    ],
)
def test_results_are_told_apart_by_what_changes_their_numbers(
    attribute: str, entry: str, other: object, differs: bool
) -> None:
    one: dict[str, dict[str, object]] = {
        "versions": {"jax": "1", "jaxlib": "1", "numpy": "1"},
        "numerics": {
            "generator": "threefry2x32",
            "threefry_partitionable": True,
            "matmul_precision": "highest",
            "platform": "cpu",
            "device": "cpu",
            "devices": 1,
            "processor": "one",
            "xla_flags": "",
            "x64": True,
            "jax_disable_jit": False,
        },
    }
    changed = one | {attribute: one[attribute] | {entry: other}}
    first, second = (
        settings_of({name: json.dumps(entries) for name, entries in each.items()}) for each in (one, changed)
    )
    assert different_setting(first, first) is None
    assert different_setting(first, second) == (entry if differs else None)
