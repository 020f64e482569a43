"""What a reader imports: curated names that exist and load lazily, and letters that lead to names in code."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys

import pytest

from tests.support import ROOT
from theory.proof.notation import NOTATION

CURATED = ("theory", "simulate", "figures", "promptfolio.audit", "promptfolio.companion")


def imported_for_checkers(package: str) -> set[str]:
    """Names that a package's `__init__` imports for type checkers, or at once."""
    source = importlib.import_module(package).__file__
    assert source is not None
    tree = ast.parse(pathlib.Path(source).read_text(encoding="utf-8"))
    imports = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "typing"
    ]
    return {alias.asname or alias.name for node in imports for alias in node.names}


@pytest.mark.parametrize("package", CURATED)
def test_curated_names_exist_and_are_what_type_checkers_see(package):
    module = importlib.import_module(package)
    assert set(module.__all__) == imported_for_checkers(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


def test_importing_a_package_loads_no_heavy_library():
    heavy = {"jax", "matplotlib", "mpmath", "numpy", "scipy", "sympy", "xarray"}
    code = f"import sys, theory, figures; found = {heavy} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_curated_number_needs_no_sympy_until_a_formula_does():
    code = (
        "import sys; from theory import *; assert 'sympy' not in sys.modules;"
        "assert 'jax' not in sys.modules; print(optimal_mixing(1.0, 2.0, 1.0, 2.0, 0.25))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert 0 < float(printed) < 1


def test_the_documented_example_prints_what_it_says(capsys):
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/model.md").read_text(encoding="utf-8"), re.DOTALL
    )
    exec(compile(example, "docs/model.md", "exec"), {})
    (claimed,) = re.findall(r"# (\[.*?\])", example)
    assert capsys.readouterr().out.strip() == claimed


def names_in_code() -> set[str]:
    """Public functions and their arguments, and `Class.field` of every class, of the theory and the simulator."""
    names: set[str] = set()
    for path in (path for package in ("theory", "simulate") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                arguments = node.args
                names |= {node.name, *(each.arg for each in (*arguments.args, *arguments.kwonlyargs))}
            elif isinstance(node, ast.ClassDef):
                bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
                for part in node.body:
                    field = getattr(getattr(part, "target", part), "id", getattr(part, "name", None))
                    if field is not None:
                        names |= {f"{name}.{field}" for name in (node.name, *bases)} | {field}
    return names


def test_every_letter_leads_to_a_name_in_code():
    named = {name for entry in NOTATION for name in entry.code.split(", ")}
    assert named - names_in_code() == set()
