"""Small faults, each in one place of the code: a name that stands for something else, or an edit of the text."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

from promptfolio.checks.detectors import is_test


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One small fault; `Replaced` and `Edited` say what it changes.

    Attributes:
        name: slug.
        module: dotted name of the module it is planted in.
        fault: what is wrong then, in a few words.
        caught_by: its detectors, all of which must fail: names of claims, and tests of the checkout as pytest
            names them, e.g. "tests/sweep/test_sweep_results.py::test_order"; of a test with parameters any case.
    """

    name: str
    module: str
    fault: str
    caught_by: tuple[str, ...]

    @property
    def needs_checkout(self) -> bool:
        """Whether a test is among its detectors: tests are not installed with the package."""
        return any(map(is_test, self.caught_by))

    def edited(self, source: str) -> str:
        """The module's source with the fault in it."""
        return source

    def install(self, module: ModuleType) -> None:
        """Change the module that has just been executed, before anything can import a name from it."""


@dataclasses.dataclass(frozen=True)
class Replaced(Mutant):
    """A fault that gives a function, a property or a constant of a module another meaning.

    Attributes:
        target: what is replaced, as its qualified name within the module, e.g. "Parameters.client_weights".
        replacement: takes what stands there, and returns what to put in its place. It must be a module's own
            function, and import nothing of the packages under test before it is called.
    """

    target: str
    replacement: Callable[[Any], Any]

    def install(self, module: ModuleType) -> None:
        """Put the replacement in the target's place.

        Raises:
            ValueError: the module has no such name.
        """
        owner, original = self.find(module)
        setattr(owner, self.target.rpartition(".")[2], self.replacement(original))

    def find(self, module: ModuleType) -> tuple[Any, Any]:
        """The module or class that the target belongs to, and what stands there now (a property as such).

        Raises:
            ValueError: the module has no such name.
        """
        owner: Any = module
        *outer, last = self.target.split(".")
        for part in outer:
            owner = vars(owner).get(part)
        if owner is None or last not in vars(owner):
            raise ValueError(f"{self.name}: {self.module} has no {self.target}")
        return owner, vars(owner)[last]


@dataclasses.dataclass(frozen=True)
class Edited(Mutant):
    """A fault in the middle of a function, where there is no name to replace.

    Attributes:
        before, after: source text that occurs in the module exactly once, and what replaces it.
    """

    before: str
    after: str

    def edited(self, source: str) -> str:
        """The source with the fault in it.

        Raises:
            ValueError: the text does not occur exactly once.
        """
        if source.count(self.before) != 1:
            raise ValueError(
                f"{self.name}: {self.before!r} occurs {source.count(self.before)} times in {self.module}"
            )
        return source.replace(self.before, self.after)
