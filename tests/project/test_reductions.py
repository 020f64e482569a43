"""Reductions of labelled arrays say what becomes of a number that is none: by default xarray leaves it out."""

import ast
from collections.abc import Iterator

import pytest

from tests.support import ROOT

PACKAGES = ("promptfolio", "simulate", "figures")
REDUCTIONS = {
    *("max", "min", "mean", "median", "sum", "prod", "std", "var", "quantile"),
    *("argmax", "argmin", "idxmax", "idxmin"),
}


def silent(source: str) -> Iterator[str]:
    """Calls over named dimensions, which are xarray's alone, that leave the choice to xarray."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in REDUCTIONS
        ):
            given = {keyword.arg for keyword in node.keywords}
            if "skipna" not in given and ("dim" in given or any(map(_names_dimensions, node.args))):
                yield f"line {node.lineno}: {ast.unparse(node)}"


def _names_dimensions(argument: ast.expr) -> bool:
    names = argument.elts if isinstance(argument, ast.Tuple | ast.List) else [argument]
    return any(isinstance(name, ast.Constant) and isinstance(name.value, str) for name in names)


@pytest.mark.parametrize(
    "path",
    [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_reductions_say_whether_they_skip(path) -> None:
    assert list(silent(path.read_text(encoding="utf-8"))) == []
