"""Faults to plant, and the claims and tests that must notice each (see `promptfolio.checks.mutation`).

They are the slips one makes in such code: a sum for a mean, two weights swapped, a factor or a root forgotten, a
round too many, a prompt averaged that should stay with its client. Every module here has some, as `MUTANTS`.
"""

import importlib
import pkgutil

from promptfolio.checks.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = tuple(
    mutant
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
    for mutant in importlib.import_module(f"{__name__}.{module.name}").MUTANTS
)
"""All of them, module by module in alphabetical order."""
