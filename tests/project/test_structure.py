"""What imports what, read from the sources: no import cycles, and which packages may not import which."""

import ast
import graphlib
import itertools
import pathlib
from collections.abc import Iterator

import pytest

from tests.support import ROOT

PACKAGES = ("theory", "simulate", "figures", "promptfolio")
THEORY = ("model", "dynamics", "mixing", "extensions", "late_time")
"""Packages of the theory, each of which imports from those before it alone."""


def module_name(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def statements(body: list[ast.stmt], everywhere: bool) -> Iterator[ast.stmt]:
    """Statements that run on import; with ``everywhere`` also those in functions and for type checkers alone."""
    for statement in body:
        checked_only = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        if everywhere:
            yield from (node for node in ast.walk(statement) if isinstance(node, ast.stmt))
        elif not (checked_only or isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield statement
            for part in ("body", "orelse", "finalbody"):
                yield from statements(getattr(statement, part, []), everywhere)


def imported(name: str, everywhere: bool = False) -> set[str]:
    """Modules of the project that a module imports: by default, those that its own import runs."""
    found: set[str] = set()
    for statement in statements(ast.parse(MODULES[name].read_text(encoding="utf-8")).body, everywhere):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{name} has a relative import"
            for alias in statement.names:
                inner = f"{statement.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(statement.module))
    return {module for module in found if module in MODULES} - {name}


def test_no_import_cycles() -> None:
    graph = {name: imported(name) for name in MODULES}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail("import cycle: " + " ← ".join(error.args[1]))


def offenders(importers: str, of: str) -> list[str]:
    """Imports from anywhere in one package to another, in functions and for type checkers too."""
    return [
        f"{name} imports {module}"
        for name in MODULES
        if within(name, importers)
        for module in imported(name, everywhere=True)
        if within(module, of)
    ]


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize(
    ("importers", "of"),
    [
        ("theory", "simulate"),
        ("simulate", "theory"),
        ("figures", "simulate"),
        ("theory", "figures"),
        ("simulate", "figures"),
        ("theory", "promptfolio"),
        ("simulate", "promptfolio"),
        ("figures", "promptfolio"),
    ],
)
def test_packages_do_not_import_what_they_must_not(importers: str, of: str) -> None:
    assert offenders(importers, of) == []


@pytest.mark.parametrize(("lower", "upper"), list(itertools.combinations(THEORY, 2)))
def test_order_of_the_theory(lower: str, upper: str) -> None:
    assert offenders(f"theory.{lower}", f"theory.{upper}") == []


def test_only_the_entry_points_import_the_command_line() -> None:
    entries = {"promptfolio", "promptfolio.__main__"}
    importers = {
        name
        for name in MODULES
        if not within(name, "promptfolio.cli")
        and any(within(module, "promptfolio.cli") for module in imported(name, everywhere=True))
    }
    assert importers <= entries
