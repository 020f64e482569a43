"""Planting a fault in this process: on import, so that no file changes and every reference gets the faulty code."""

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from promptfolio.checks.detectors import is_test, verdicts_of_claims, verdicts_of_tests
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


def verdicts_under(mutant: Mutant | None, detectors: Sequence[str]) -> dict[str, str]:
    """Plant a fault here, and see what detectors say.

    Args:
        mutant: the fault; None plants none.
        detectors: claims, or tests; one kind at a time.

    Raises:
        ValueError: the fault cannot be planted.
        ImportError: the module cannot be imported with the fault in it.
    """

    def planted() -> None:
        if mutant is not None:
            plant(mutant)

    if is_test(detectors[0]):
        return verdicts_of_tests(detectors, planted)
    planted()
    # Imported after the fault is planted, since it imports what it is planted in.
    from promptfolio.checks.registry import load_claim

    load_claim(detectors[0])
    if mutant is not None and mutant.module not in sys.modules:
        importlib.import_module(mutant.module)
    return verdicts_of_claims(detectors)
