"""Planting a fault in this process: on import, so that no file changes and every reference gets the faulty code.

Run as a program it reads a pickled `Mutant` from standard input, plants it, checks the claims that should notice
it, and prints their verdicts as JSON.
"""

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import pickle
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from promptfolio.checks.mutant import Mutant


def plant(mutant: Mutant) -> None:
    """Have this process import the mutant's module with its fault.

    Raises:
        ValueError: the module is imported already.
    """
    if mutant.module in sys.modules:
        raise ValueError(f"{mutant.module} is imported already")
    sys.meta_path.insert(0, _Finder(mutant))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant):
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._mutant)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, mutant: Mutant):
        super().__init__(fullname, path)
        self._mutant = mutant

    def path_stats(self, path: str | os.PathLike[str]) -> Any:
        # Without statistics the import system neither reads nor writes compiled files.
        raise OSError

    def get_data(self, path: str) -> bytes:
        return self._mutant.edited(super().get_data(path).decode()).encode()

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        # Nobody else has seen the module yet: `from module import name` comes after this.
        self._mutant.install(module)


def verdicts_under(mutant: Mutant) -> dict[str, str]:
    """Plant a fault here and check, at quick scale, the claims that should notice it."""
    plant(mutant)
    # Imported after the fault is planted, since they import what it is planted in.
    from promptfolio.checks.checking import check_claims
    from promptfolio.checks.registry import load_claim
    from promptfolio.checks.unjudged import Unjudged

    load_claim(mutant.caught_by[0])
    if mutant.module not in sys.modules:
        importlib.import_module(mutant.module)
    found = check_claims(mutant.caught_by, "quick")
    return {
        each.name: f"error: {each.error}" if isinstance(each, Unjudged) else each.finding.verdict
        for each in found
    }


if __name__ == "__main__":
    print(json.dumps(verdicts_under(pickle.load(sys.stdin.buffer))))
