"""Where a result comes from: versions of what computed it and the commit of this code."""

import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import tomllib
from collections.abc import Mapping
from typing import Any

from simulate.validation import ConfigurationError

_PACKAGES = ("promptfolio", "jax", "jaxlib", "optax", "numpy", "scipy", "sympy")
# Entries of `numerics` that change no more than the rounding.
_ROUNDING = ("device", "devices", "processor")
_HARMLESS_FLAGS = ("--xla_dump", "--xla_force_host_platform_device_count")
_PROJECT = "pyproject.toml"
_CODE = ("promptfolio", "theory", "simulate", "figures")


FORMAT_VERSION = 2
"""Of files with results. Version 0.1.0 wrote none, which counts as 1; `simulate.former_names` has its names."""


@functools.cache
def provenance() -> dict[str, str]:
    """Attributes to store with a result: versions of format and packages (as JSON), and the git commit if any."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "format_version": str(FORMAT_VERSION),
        "versions": json.dumps(versions),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str:
    """The commit of the work tree that this very file belongs to, marked "-dirty" when that differs from it.

    It is "unknown" where git does not track this file, or not this project's `pyproject.toml` with it: an
    installation may lie inside a repository of its user's, whose commit says nothing about this code, even one that
    tracks what is installed in it. A work tree differs when a tracked file of it does, or when a file
    that git neither tracks nor ignores lies in one of the packages, which may import it.
    """
    here = pathlib.Path(__file__).resolve()
    root = here.parents[2]
    if _git(here.parent, "ls-files", "--error-unmatch", "--", here.name) is None:
        return "unknown"
    if _git(root, "ls-files", "--error-unmatch", "--", _PROJECT) is None or not _is_ours(root / _PROJECT):
        return "unknown"
    commit = _git(root, "rev-parse", "--verify", "HEAD^{commit}")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "--", *_CODE)
    if commit is None or changed is None or new is None:
        return "unknown"
    return f"{commit}-dirty" if changed or new else commit


def _is_ours(project: pathlib.Path) -> bool:
    """Whether a file of project metadata is this project's."""
    try:
        named = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(named == _PACKAGES[0])


def _git(folder: pathlib.Path, *arguments: str) -> str | None:
    """What git answers in a folder; None when it fails, or there is no git.

    Variables such as ``GIT_DIR``, which name another repository, are left out. Nothing is written, not even the
    index, and no program is run that the repository's configuration names.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


@functools.cache
def processor_name() -> str:
    """The processor's name, as the system gives it."""
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, UnicodeDecodeError):
        pass
    return platform.processor() or "unknown processor"


def refuse_later_format(path: str | os.PathLike[str], attributes: Mapping[str, Any]) -> None:
    """Refuse a file of a format that this version does not know.

    Args:
        path: of the file, for the message.
        attributes: of the file. Version 0.1.0 wrote no `format_version`.

    Raises:
        ConfigurationError: naming the version that wrote the file; or the format, when it is no number.
    """
    text = str(attributes.get("format_version", 1))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigurationError(
            "file", str(path), f"of a format with a number; its format_version is {text!r}"
        )
    found = int(text)
    if found > FORMAT_VERSION:
        allowed = (
            f"of format {FORMAT_VERSION} or before; promptfolio {_writer(attributes)} wrote format {found}"
        )
        raise ConfigurationError("file", str(path), allowed)


def _writer(attributes: Mapping[str, Any]) -> str:
    """The version of promptfolio that wrote a file, by the file's attributes; "of unknown version" without."""
    try:
        return str(json.loads(attributes["versions"])["promptfolio"])
    except (KeyError, TypeError, json.JSONDecodeError):
        return "of unknown version"


def settings_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """What a result's numbers depend on, beside its experiment, by more than the processor's rounding.

    These are the versions of jax and jaxlib, and of `simulate.running.arithmetic.numerics` all but what is known to
    change the rounding only: the kind and number of devices, and those of XLA's flags that set their number, or
    print something.

    Args:
        attributes: of a result. What it does not record is left out.
    """
    versions, numerics = (_recorded(attributes.get(name)) for name in ("versions", "numerics"))
    found: dict[str, Any] = {name: versions[name] for name in ("jax", "jaxlib") if name in versions}
    found |= {name: value for name, value in numerics.items() if name not in ("x64", *_ROUNDING)}
    if "xla_flags" in found:
        flags = str(found["xla_flags"]).split()
        found["xla_flags"] = " ".join(each for each in flags if not each.startswith(_HARMLESS_FLAGS))
    return {name: str(value) for name, value in found.items()}


def different_setting(one: Mapping[str, str], other: Mapping[str, str]) -> str | None:
    """The name of the first setting that two results record and differ in; None if there is none."""
    return next((name for name in one if name in other and one[name] != other[name]), None)


def _recorded(text: object) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
