"""What result files say, in a form that two runs of a command are compared in."""

import json
import pathlib
from typing import Any

import h5py
import numpy as np

_VOLATILE = {"seconds", "versions", "git_commit", "state"}
"""Entries that differ between runs: a resumed sweep says of a cell that it was found."""


def content_of(path: pathlib.Path) -> Any:
    """A result's content: every value of a dataset, bit by bit; entries of JSON but for times; bytes of the rest.

    Raises:
        OSError, ValueError: when the file is not whole.
    """
    if path.suffix == ".nc":
        with h5py.File(path, "r", locking=False) as file:
            found = {name: _values(variable) for name, variable in file.items()}
            return found | {"experiment": str(file.attrs.get("experiment"))}
    if path.suffix == ".json":
        return _steady(json.loads(path.read_text(encoding="utf-8")))
    return path.read_bytes()


def _values(variable: Any) -> Any:
    values = np.asarray(variable)
    if values.dtype == object:
        return [str(each) for each in values.ravel()]
    return str(values.dtype), values.shape, values.tobytes()


def _steady(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _steady(value) for key, value in content.items() if key not in _VOLATILE}
    return [_steady(each) for each in content] if isinstance(content, list) else content


def contents(folder: pathlib.Path) -> dict[str, Any]:
    """Content of every file below a folder, by relative path; hidden files are left out."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): content_of(path) for path in found}


def differences(folder: pathlib.Path, reference: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Files of a reference that are missing, and those that are not whole or say something else."""
    missing, wrong = [], []
    for name, content in reference.items():
        path = folder / name
        if not path.is_file():
            missing.append(name)
            continue
        try:
            same = content_of(path) == content
        except (OSError, ValueError, KeyError) as error:
            wrong.append(f"{name} ({type(error).__name__}: {error})")
        else:
            wrong += [] if same else [f"{name} (other values)"]
    return missing, wrong
