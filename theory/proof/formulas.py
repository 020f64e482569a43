"""Building SymPy formulas that stay as written, and turning them into functions of NumPy arrays.

SymPy is imported on first use.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypeAlias

Formula: TypeAlias = Any
"""A SymPy expression or relation (SymPy itself is not imported when this module is)."""


@cache
def as_function(arguments: tuple[Formula, ...], formula: Formula) -> Callable[..., Any]:
    """Turn a derived expression, or a tuple of them, into a function of NumPy arrays, one argument per symbol.

    >>> import sympy
    >>> x = sympy.Symbol("x")
    >>> as_function((x,), sympy.diff(x**3, x))(2.0)
    12.0
    """
    import sympy

    function: Callable[..., Any] = sympy.lambdify(arguments, formula, modules=["scipy", "numpy"])
    return function


def relation(operator: Literal["=", "<", "<=", ">", ">=", "!="], left: Formula, right: Formula) -> Formula:
    """Build a SymPy relation that stays a relation (SymPy would otherwise evaluate a provable one to `true`).

    >>> import sympy
    >>> relation(">", sympy.Integer(2), sympy.Integer(1))
    2 > 1
    """
    import sympy

    kinds = {"=": sympy.Eq, "<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "!=": sympy.Ne}
    return kinds[operator](sympy.sympify(left), sympy.sympify(right), evaluate=False)


def eq(left: Formula, right: Formula) -> Formula:
    """Build an equation that stays one: `relation("=", left, right)`.

    >>> import sympy
    >>> eq(sympy.Symbol("x") + 1, sympy.Symbol("x") + 1)
    Eq(x + 1, x + 1)
    """
    return relation("=", left, right)
