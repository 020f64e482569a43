"""Formulas as LaTeX that GitHub renders, broken into lines that fit a page.

GitHub's MathJax refuses some macros (`\\operatorname` among them), and does not break lines by itself.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from theory.proof.derivation import Formula

LINE = 88.0
"""Widest line, in letters; GitHub's column holds a little more."""

_RELATIONS = {"Equality": "=", "Unequality": r"\neq", "StrictLessThan": "<", "LessThan": r"\leq"}
_RELATIONS |= {"StrictGreaterThan": ">", "GreaterThan": r"\geq"}


def display(formulas: Sequence[Formula]) -> str:
    """Return LaTeX for one display: the formulas below each other, long ones broken at relations and signs.

    >>> import sympy
    >>> display([sympy.Eq(sympy.Symbol("odds"), sympy.Symbol("kappa_G") / 2)])
    '\\\\mathrm{odds} = \\\\frac{\\\\kappa_{G}}{2}'
    """
    blocks = [_lines(formula) for formula in formulas]
    if len(blocks) == 1 and len(blocks[0]) == 1:
        return blocks[0][0]
    # the first line of a formula starts at the margin, its continuations are set in
    rows = [
        ("& " if number == 0 else r"& \quad ") + line for block in blocks for number, line in enumerate(block)
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def latex(expression: Formula) -> str:
    """Return LaTeX for an expression: words upright, and only macros that GitHub renders.

    >>> import sympy
    >>> latex(sympy.Function("odds")(sympy.Symbol("t")))
    '\\\\mathrm{odds}{\\\\left(t \\\\right)}'
    """
    text: str = _printer().doprint(expression)
    # names of functions, with one level of braces inside: words upright, what is LaTeX already as it is
    text = re.sub(r"\\operatorname\{((?:[^{}]|\{[^{}]*\})*)\}", _function_name, text)
    return re.sub(r"\\substack\{\s*([^{}]*(?:\{[^{}]*\}[^{}]*)*?)\s*\}", _side_by_side, text)


def width(text: str) -> float:
    """Return the approximate width of LaTeX as set, in letters.

    >>> width(r"\\frac{a + b}{c}"), width(r"\\alpha x_{i}")
    (4.0, 2.7)
    """
    return _Ruler(text).measure()


def _function_name(match: "re.Match[str]") -> str:
    name = match[1]
    return rf"\mathrm{{{name}}}" if name.isalpha() else str(name)


def _side_by_side(match: "re.Match[str]") -> str:
    return match[1].replace(r"\\", ", ").strip()


@cache
def _printer() -> Any:
    from sympy.printing.latex import LatexPrinter

    class Printer(LatexPrinter):  # type: ignore[misc, unused-ignore]
        """Upright words, and the fraction's numerator kept in one piece."""

        def _print_Symbol(self, expr: Formula, style: str = "plain") -> str:
            text: str = super()._print_Symbol(expr, style)
            if "\\" in expr.name or "{" in expr.name:
                return text  # written as LaTeX by its author
            return re.sub(r"(?<![\\A-Za-z])[A-Za-z]{2,}", lambda word: rf"\mathrm{{{word[0]}}}", text)

    return Printer()


def _lines(formula: Formula) -> list[str]:
    """One formula, as few lines as fit."""
    whole = latex(formula)
    operator = _RELATIONS.get(type(formula).__name__)
    if width(whole) <= LINE or operator is None:
        return [whole] if width(whole) <= LINE else list(_sum_lines(formula, ""))
    return [*_sum_lines(formula.lhs, ""), *_sum_lines(formula.rhs, f"{operator} ")]


def _sum_lines(expression: Formula, start: str) -> Iterator[str]:
    """The terms of a sum, filled into lines; a term that is too wide gets one of its own."""
    terms = expression.as_ordered_terms() if expression.is_Add else [expression]
    line = start
    for number, term in enumerate(terms):
        text = latex(term)
        if number and not text.startswith("-"):
            text = f"+ {text}"
        if line.strip(" =<>") and width(line + text) > LINE:
            yield line.strip()
            line = ""
        line += f"{text} "
    yield line.strip()


class _Ruler:
    """Reads LaTeX once from left to right and adds up widths."""

    _TOKEN = re.compile(r"\\[A-Za-z]+|\\.|.", re.DOTALL)
    _SILENT = frozenset([*_TOKEN.findall(r"\left\right\limits\mathrm\mathbb\text\,\:\bar &"), "\n"])
    _WORDS = frozenset((r"\log", r"\max", r"\min", r"\lim", r"\exp"))

    def __init__(self, text: str):
        self._tokens = self._TOKEN.findall(text)
        self._at = 0

    def measure(self) -> float:
        """Width up to the end of the group."""
        widest, total = 0.0, 0.0
        while self._at < len(self._tokens):
            token = self._next()
            if token == "}":
                break
            if token == r"\\":
                widest, total = max(widest, total), 0.0
            else:
                total += self._width_of(token)
        return round(max(widest, total), 6)

    def _next(self) -> str:
        token = self._tokens[self._at]
        self._at += 1
        return str(token)

    def _argument(self) -> float:
        while self._at < len(self._tokens) and self._tokens[self._at] == " ":
            self._at += 1
        return self._width_of(self._next()) if self._at < len(self._tokens) else 0.0

    def _width_of(self, token: str) -> float:
        if token == "{":
            return self.measure()
        if token == r"\frac":
            return max(self._argument(), self._argument())
        if token == r"\sqrt":
            return 1 + self._argument()
        if token in ("^", "_"):
            return 0.7 * self._argument()
        if token in (r"\begin", r"\end"):
            self._argument()
            return 1.0
        if token in self._SILENT:
            return 0.0
        if token in self._WORDS:
            return 3.0
        return 2.0 if token in ("+", "-", "=", "<", ">", r"\leq", r"\geq", r"\wedge", r"\to") else 1.0
