"""Where a result comes from: versions of what computed it and the commit of this code."""

import functools
import importlib.metadata
import json
import pathlib
import platform
import subprocess

_PACKAGES = ("promptfolio", "jax", "jaxlib", "optax", "numpy", "scipy", "sympy")


@functools.cache
def provenance() -> dict[str, str]:
    """Attributes to store with a result: package versions as JSON, and the git commit if there is one."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {"versions": json.dumps(versions), "git_commit": _git_commit()}


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
