"""Where a result comes from: versions of what computed it and the commit of this code."""

import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Mapping
from typing import Any

from simulate.validation import ConfigurationError

_PACKAGES = ("promptfolio", "jax", "jaxlib", "optax", "numpy", "scipy", "sympy")


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
    """The checkout's commit, marked when files differ from it; "unknown" outside a checkout."""
    here = pathlib.Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def refuse_later_format(path: str | os.PathLike[str], attributes: Mapping[str, Any]) -> None:
    """Refuse a file of a format that this version does not know.

    Args:
        path: of the file, for the message.
        attributes: of the file. Version 0.1.0 wrote no `format_version`.

    Raises:
        ConfigurationError: naming the version that wrote the file.
    """
    found = int(attributes.get("format_version", 1))
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
