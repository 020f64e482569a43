"""What is packaged under which names, and what the command says when another module takes one of them.

`make wheel` builds and installs; here the declarations are held to the files.
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest

import promptfolio
from promptfolio.cli.shadowing import TOP_LEVEL, shadowed_package
from tests.support import ROOT

PACKAGES = ("promptfolio", *TOP_LEVEL)
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_there_is_one_version_number() -> None:
    assert "version" not in PYPROJECT["project"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "promptfolio.__version__"
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [promptfolio.__version__]
    changes = re.findall(
        r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert changes[0] == promptfolio.__version__


def test_citation_and_package_name_the_same_authors_licence_and_paper() -> None:
    project, citation = PYPROJECT["project"], (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    for author in project["authors"]:
        assert f'- name: "{author["name"]}"' in citation
    assert f"license: {project['license']}\n" in citation
    assert project["urls"]["Paper"] in citation


def test_packages_are_those_that_the_command_guards() -> None:
    top_level = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert top_level == set(PACKAGES)
    included = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert included == [pattern for name in PACKAGES for pattern in (name, f"{name}.*")]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_of_a_package_is_packaged(package: str) -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"][package]
    data = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
    files = [path for path in (ROOT / package).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for path in files:
        if path.suffix == ".py":
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} is no package, and is left out"
        else:
            assert path in data, path
    assert ROOT / package / "py.typed" in files


def test_readme_says_which_names_an_installation_takes() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "takes the names `promptfolio`, `theory`, `simulate` and `figures`" in text


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A user's folder, found before the checkout; what has been imported is asked for anew."""
    for name in TOP_LEVEL:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(ROOT)])
    return tmp_path


def test_nothing_is_shadowed_as_installed() -> None:
    assert shadowed_package() is None


def test_an_unrelated_folder_hides_nothing(elsewhere: pathlib.Path) -> None:
    (elsewhere / "notes.py").touch()
    assert shadowed_package() is None


@pytest.mark.parametrize("name", TOP_LEVEL)
@pytest.mark.parametrize("kind", ["module", "package"])
def test_a_module_that_hides_a_package_is_named(elsewhere: pathlib.Path, name: str, kind: str) -> None:
    hiding = elsewhere / (f"{name}.py" if kind == "module" else name)
    if kind == "module":
        hiding.touch()
    else:
        hiding.mkdir()
        (hiding / "__init__.py").touch()
    complaint = shadowed_package()
    assert complaint is not None
    assert f"`import {name}`" in complaint
    assert str(hiding.resolve()) in complaint
    assert "\n" not in complaint


def test_a_module_that_is_imported_already_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "figures.py"
    path.touch()
    spec = importlib.machinery.PathFinder.find_spec("figures", [str(tmp_path)])
    assert spec is not None
    monkeypatch.setitem(sys.modules, "figures", importlib.util.module_from_spec(spec))
    complaint = shadowed_package()
    assert complaint is not None
    assert str(path.resolve()) in complaint


def test_a_folder_without_init_hides_only_what_is_found_last(
    elsewhere: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "theory").mkdir()
    assert shadowed_package() is None  # a package further down the path goes before a namespace
    # An editable installation may answer through a finder that comes after the path, and the namespace wins.
    monkeypatch.setattr(sys, "path", [str(elsewhere)])
    complaint = shadowed_package()
    assert complaint is not None
    assert str((elsewhere / "theory").resolve()) in complaint


def test_an_installation_that_is_found_by_other_means_is_fine(
    elsewhere: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(elsewhere)])
    assert shadowed_package() is None


def test_command_refuses_in_one_line(elsewhere: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "simulate.py").touch()
    assert promptfolio.main(["--help"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("promptfolio: `import simulate`")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "printed", "complaints"),
    [
        (["-c", "import promptfolio; print(promptfolio.__version__)"], f"{promptfolio.__version__}\n", 0),
        (["-c", "import sys, promptfolio; sys.exit(promptfolio.main(['--help']))"], "", 1),
    ],
    ids=["import", "main"],
)
def test_process_that_finds_the_users_simulate_module(
    tmp_path: pathlib.Path, words: list[str], printed: str, complaints: int
) -> None:
    (tmp_path / "simulate.py").write_text("raise RuntimeError('the user\\'s own script was run')\n")
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2 * complaints, printed)
    assert done.stderr.count("simulate.py") == complaints
    assert done.stderr.count("\n") == complaints


def test_a_command_of_its_own_finds_its_own_packages(tmp_path: pathlib.Path) -> None:
    for name in TOP_LEVEL:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the user\\'s own script was run')\n")
    (tmp_path / "spec.toml").write_text(
        "[experiment]\nclients = 2\nsamples = 3\nnoise_dim = 20\nrounds = 2\n[grid]\nseed = [0, 1]\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "promptfolio", "sweep", "spec.toml", "--out", "out", "--workers", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "2 computed" in done.stdout
