"""Formulas as LaTeX: words, lines and macros; and how a step's verification is worded."""

import re

import pytest
import sympy

from theory.proof.catalogue import derive
from theory.proof.derivation import relation
from theory.proof.document import section
from theory.proof.typesetting import LINE, display, latex, width

x, y, K = sympy.symbols("x y K", positive=True)


def compact(text: str) -> str:
    return re.sub(r"\s|\\begin\{aligned\}|\\end\{aligned\}|&|\\quad|\\\\", "", text)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sympy.Symbol("odds_ind"), r"\mathrm{odds}_{\mathrm{ind}}"),
        (sympy.Symbol("kappa_G"), r"\kappa_{G}"),
        (sympy.Symbol(r"\mathbb{E}[yf]"), r"\mathbb{E}[yf]"),
        (sympy.Function("erf")(x), r"\mathrm{erf}{\left(x \right)}"),
        (sympy.Function(r"{h'_1}")(x), r"{h'}_1{\left(x \right)}"),
        (
            sympy.Subs(sympy.Derivative(sympy.Function("f")(x), x), x, 0),
            r"\left. \frac{d}{d x} f{\left(x \right)} \right|_{x=0}",
        ),
    ],
)
def test_words_and_macros(expression, expected):
    assert latex(expression) == expected


def test_a_long_sum_is_broken_between_terms_and_loses_nothing():
    terms = [sympy.Symbol(f"a_{i}") * (x + y) ** i / K for i in range(1, 25)]
    claim = relation("=", sympy.Symbol("s"), sum(terms) - sum(terms).subs(x, 2 * x))
    text = display([claim])
    lines = text.splitlines()[1:-1]
    assert len(lines) > 3
    assert all(width(line) <= LINE + 3 for line in lines)  # the indent counts too
    assert compact(text) == compact(latex(claim))


def test_short_formulas_stand_below_each_other():
    text = display([relation("<=", x, y), relation("!=", y, 1)])
    assert text == "\\begin{aligned}\n& x \\leq y \\\\\n& y \\neq 1\n\\end{aligned}"
    assert display([relation("=", x, y)]) == "x = y"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\frac{a b}{c}", 2.0),
        (r"\sqrt{a + b}", 5.0),
        (r"\mathrm{odds}", 4.0),
        (r"x_{i}^{2}", 2.4),
        (r"\left(a\right)", 3.0),
        (r"\begin{cases} a \\ b c d \end{cases}", 4.0),
    ],
)
def test_width_in_letters(text, expected):
    assert width(text) == pytest.approx(expected)


def test_facts_that_were_claimed_before_are_named_by_their_step():
    text = section(derive("T10"))
    assert "*Verified: chain of steps 1 and 3.*" in text
    assert "*Assumed.*" in text
    assert "*Verified: signs, given*" in text
