"""Every result is one file on one skeleton: what it says, where the formula is, and functions to compute it."""

import ast
import importlib
import inspect
import pathlib
import re

import pytest
import sympy

from theory.proof.catalogue import results
from theory.proof.derivation import Derivation

ALL = list(results().items())


def holds_sympy(value: object) -> bool:
    if isinstance(value, tuple | list):
        return any(holds_sympy(each) for each in value)
    return isinstance(value, sympy.Basic | sympy.MatrixBase)


def own_functions(module):
    return {
        name: function
        for name, function in vars(module).items()
        if not name.startswith("_")
        and inspect.isfunction(inspect.unwrap(function))
        and function.__module__ == module.__name__
    }


@pytest.mark.parametrize(("tag", "name"), ALL)
def test_docstring_names_the_tag_and_states_the_result(tag, name):
    text = importlib.import_module(name).__doc__
    assert text is not None
    assert re.search(rf"\({tag.split()[0]}\b.*\)\.$", text.splitlines()[0]), "the first line lacks the tag"
    assert re.search(r"^Statement", text, re.MULTILINE), "the statement in letters is missing"


@pytest.mark.parametrize(("tag", "name"), ALL)
def test_module_has_a_formula_a_derivation_and_functions_with_examples(tag, name):
    module = importlib.import_module(name)
    functions = own_functions(module)
    for cached in ("formula", "derivation"):
        assert hasattr(functions.pop(cached), "cache_info"), f"{cached} is not cached"
    assert holds_sympy(module.formula())
    assert isinstance(module.derivation(), Derivation)
    assert functions, "no numeric function"
    assert all(">>>" in each.__doc__ for each in functions.values()), "an example is missing"


@pytest.mark.parametrize(("tag", "name"), ALL)
def test_numbers_come_from_the_formula_or_a_twin(tag, name):
    module = importlib.import_module(name)
    source = pathlib.Path(inspect.getfile(module)).read_text(encoding="utf-8")
    compiled = any(
        isinstance(node, ast.Call) and getattr(node.func, "id", "") == "as_function"
        for node in ast.walk(ast.parse(source))
    )
    assert compiled or name in TWINS, (
        "neither compiled from the formula nor a twin that a test holds against it"
    )


# Stable twins of a formula, or iterations of it; each has a test of its own.
TWINS = {
    "theory.model.accuracy",
    "theory.model.decomposition",
    "theory.model.portfolio_loss",
    "theory.dynamics.round_recursion",  # through the twin of T9
    "theory.dynamics.saturation",
}
