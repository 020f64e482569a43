"""Every derivation verifies, and an edited one does not."""

from dataclasses import replace
from typing import Any

import pytest
import sympy

from theory.proof.catalogue import derive, results
from theory.proof.derivation import Derivation, DerivationError, Result, Step, relation

ALL = list(results())


def edited(claim):
    """The same claim with a wrong right-hand side, or with the inequality turned round."""
    if isinstance(claim, sympy.Eq):
        return relation("=", claim.lhs, claim.rhs + 1)
    turned: Any = {sympy.Gt: "<", sympy.Ge: "<", sympy.Lt: ">", sympy.Le: ">"}
    return relation(turned[type(claim)], claim.lhs, claim.rhs)


@pytest.mark.parametrize("tag", ALL)
def test_derivation_is_complete(tag):
    derivation = derive(tag)
    assert derivation.result.tag == tag
    assert set(derivation.result.uses) <= {each.split()[0] for each in ALL}
    assert any(step.how not in ("assumed", "modelled") for step in derivation.steps)
    assert all(sympy.latex(step.claim) for step in derivation.steps)


@pytest.mark.parametrize("tag", ALL)
def test_edited_step_fails_its_own_verification(tag):
    for step in derive(tag).steps:
        if step.how != "assumed":
            assert not replace(step, claim=edited(step.claim)).holds(), step.text


@pytest.mark.parametrize("tag", ALL)
def test_edited_statement_breaks_the_derivation(tag):
    derivation = derive(tag)
    with pytest.raises(DerivationError, match="no step proves"):
        replace(derivation, statement=(edited(derivation.statement[0]),), steps=_trusted(derivation))
    with pytest.raises(DerivationError, match="no step proves"):
        replace(
            derivation, statement=(relation("=", sympy.Symbol("unproved"), 1),), steps=_trusted(derivation)
        )


def _trusted(derivation):
    """One cheap proved step, so that only the statement is at stake (the steps are verified elsewhere)."""
    one = relation("=", sympy.Integer(1), sympy.Integer(1))
    return (Step("One is one.", one, "identity"),)


def test_error_names_the_step():
    derivation = derive("T21")
    wrong = replace(derivation.steps[1], claim=edited(derivation.steps[1].claim))
    with pytest.raises(DerivationError, match=r"T21, step 2 \(Both prompts share"):
        replace(derivation, steps=(derivation.steps[0], wrong, *derivation.steps[2:]))


def _small(steps, statement):
    return Derivation(Result("T0", "t", "p", ("a",), "exact"), statement, steps)


def test_an_assumption_proves_nothing():
    claim = relation("=", sympy.Symbol("x"), 1)
    with pytest.raises(DerivationError, match="no step proves"):
        _small((Step("Assume.", claim, "assumed"),), (claim,))


def test_an_empty_field_is_refused():
    claim = relation("=", sympy.Integer(1), 1)
    with pytest.raises(DerivationError, match="no statement"):
        _small((Step("One.", claim, "identity"),), ())


def test_a_chain_may_use_earlier_claims_only():
    x, y, z = sympy.symbols("x y z", real=True)
    first, second = relation("<=", x, y), relation("<", y, z)
    chain = Step("So.", relation("<", x, z), "chain", (first, second))
    steps = Step("a", first, "assumed"), Step("b", second, "assumed"), chain
    assert _small(steps, (chain.claim,)).steps[-1] is chain
    with pytest.raises(DerivationError, match="no earlier step claims"):
        _small(steps[1:], (chain.claim,))


def test_a_step_is_not_its_own_reason():
    x = sympy.Symbol("x", real=True)
    claim = relation("=", x, 1)
    with pytest.raises(DerivationError, match="is given what it claims"):
        _small((Step("So.", claim, "identity", (claim,)),), (claim,))


@pytest.mark.parametrize(
    ("operator", "expression", "expected"),
    [
        (">", lambda x, r: x**2 + x, True),
        (">", lambda x, r: x - 1, False),
        (">", lambda x, r: r**2, False),
        (">=", lambda x, r: r**2, True),
        ("<", lambda x, r: -1 / (1 + x), True),
        (">", lambda x, r: sympy.Integral(sympy.exp(r), (r, 0, x)), True),
        (">", lambda x, r: sympy.Integral(sympy.exp(r) - 2, (r, 0, x)), False),
        (">", lambda x, r: sympy.Integral(sympy.exp(r), (r, 0, -x)), False),
        ("!=", lambda x, r: 1 + x, True),
        ("!=", lambda x, r: 1 - x, False),
    ],
)
def test_sign_verifier(operator, expression, expected):
    x, r = sympy.Symbol("x", positive=True), sympy.Symbol("r", real=True)
    assert Step("s", relation(operator, expression(x, r), 0), "sign").holds() is expected


def test_unknown_tag():
    with pytest.raises(ValueError, match="`tag` is 'T99'"):
        derive("T99")
