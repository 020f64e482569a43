"""Reductions of labelled arrays say what becomes of a number that is none: by default xarray leaves it out."""

import ast
from collections.abc import Iterator
from typing import TypeGuard

from tests.support import ROOT

PACKAGES = ("promptfolio", "simulate", "figures")
REDUCTIONS = {
    *("max", "min", "mean", "median", "sum", "prod", "std", "var", "quantile"),
    *("argmax", "argmin", "idxmax", "idxmin"),
}


def silent(source: str) -> Iterator[str]:
    """Calls over named dimensions, which are xarray's alone, that leave the choice to xarray."""
    for node in ast.walk(ast.parse(source)):
        if _reduces(node):
            given = {keyword.arg for keyword in node.keywords}
            if "skipna" not in given and ("dim" in given or any(map(_names_dimensions, node.args))):
                yield f"line {node.lineno}: {ast.unparse(node)}"


def _reduces(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether it is a call of a reduction that is a method; functions of modules have an array for an argument."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    of_module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "jnp", "math")
    return node.func.attr in REDUCTIONS and not of_module


def _names_dimensions(argument: ast.expr) -> bool:
    """Whether an argument is dimensions' names, or a variable that holds them: axes are given as ``axis=``."""
    names = argument.elts if isinstance(argument, ast.Tuple | ast.List) else [argument]
    return any(isinstance(name, ast.Name) or isinstance(getattr(name, "value", None), str) for name in names)


def test_reductions_say_whether_they_skip() -> None:
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    found = [f"{path}, {call}" for path in paths for call in silent(path.read_text(encoding="utf-8"))]
    assert found == []


def test_only_calls_that_name_dimensions_are_asked() -> None:
    asked = ('x.max("seed")', 'x.mean(("seed", "client"))', "x.sum(everyone)", 'x.min(dim="seed")')
    assert [len(list(silent(call))) for call in asked] == [1] * len(asked)
    others = ('x.max("seed", skipna=False)', "x.max()", "x.max(axis=0)", "x.max(-1)", "np.max(x)")
    assert [len(list(silent(call))) for call in others] == [0] * len(others)
