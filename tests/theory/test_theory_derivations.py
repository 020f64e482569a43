"""Every derivation verifies, and an edited one does not."""

from dataclasses import replace
from typing import get_args

import pytest
import sympy

from theory.proof.catalogue import derive, results
from theory.proof.derivation import Derivation, DerivationError, How, Lemma, Result, Step, relation
from theory.proof.typesetting import latex

ALL = list(results())
# a cheap proved step, for tests in which only the statement is at stake
ONE = Step.identity("One is one.", relation("=", sympy.Integer(1), sympy.UnevaluatedExpr(1)))


def edited(claim):
    """The same claim with a wrong right-hand side, or with the inequality turned round."""
    if isinstance(claim, sympy.Eq):
        return relation("=", claim.lhs, claim.rhs + 1)
    turned = {sympy.Gt: "<", sympy.Ge: "<", sympy.Lt: ">", sympy.Le: ">"}
    return relation(turned[type(claim)], claim.lhs, claim.rhs)


@pytest.mark.parametrize("tag", ALL)
def test_derivation_is_complete(tag):
    derivation = derive(tag)
    assert derivation.result.tag == tag
    assert any(step.how not in ("assumed", "modelled") for step in derivation.steps)
    assert all(sympy.latex(step.claim) for step in derivation.steps)


def test_results_are_built_on_each_other_without_circles():
    built = set()
    while rest := [tag for tag in ALL if tag not in built]:
        ready = [tag for tag in rest if set(derive(tag).result.uses) <= built]
        assert ready, f"built on each other, or on a tag that no result has: {rest}"
        built.update(ready)


def test_both_sides_of_a_claim_show():
    alike = [
        f"{tag}, step {number}: {step.text}"
        for tag in ALL
        for number, step in enumerate(derive(tag).steps, start=1)
        if latex(step.claim.lhs) == latex(step.claim.rhs)
    ]
    assert alike == [], "SymPy simplifies both sides as they are entered: leave the left one unevaluated"


@pytest.mark.parametrize("tag", ALL)
def test_long_derivations_are_split_into_lemmas(tag):
    derivation = derive(tag)
    longest = max((len(lemma.steps) for lemma in derivation.lemmas), default=len(derivation.steps))
    assert longest <= 14


@pytest.mark.parametrize("tag", ALL)
def test_edited_step_fails_its_own_verification(tag):
    for step in derive(tag).steps:
        if step.how != "assumed":
            assert not replace(step, claim=edited(step.claim)).holds(), step.text


@pytest.mark.parametrize("tag", ALL)
def test_edited_statement_breaks_the_derivation(tag):
    trusted = replace(derive(tag), statement=(ONE.claim,), steps=(ONE,), lemmas=())
    for wrong in (edited(derive(tag).statement[0]), relation("=", sympy.Symbol("unproved"), 1)):
        with pytest.raises(DerivationError, match="no step proves"):
            replace(trusted, statement=(wrong,))


def test_error_names_the_step():
    derivation = derive("T21")
    wrong = replace(derivation.steps[1], claim=edited(derivation.steps[1].claim))
    with pytest.raises(DerivationError, match=r"T21, step 2 \(Both prompts share"):
        replace(derivation, steps=(derivation.steps[0], wrong, *derivation.steps[2:]))


def _small(steps, statement):
    return Derivation(Result("T0", "t", "p", ("a",), "exact"), statement, steps)


def test_every_kind_of_step_has_a_constructor_of_its_name():
    x = sympy.Symbol("x")
    fact, claim = relation("=", x, 1), relation("=", 2 * x, 2)
    for how in get_args(How):
        given = () if how == "assumed" else (fact,)
        assert getattr(Step, how)("So.", claim, *given) == Step("So.", claim, how, given)


def test_an_assumption_proves_nothing():
    claim = relation("=", sympy.Symbol("x"), 1)
    with pytest.raises(DerivationError, match="no step proves"):
        _small((Step("Assume.", claim, "assumed"),), (claim,))


def test_an_empty_field_is_refused():
    claim = relation("=", sympy.Integer(1), 1)
    with pytest.raises(DerivationError, match="no statement"):
        _small((Step("One.", claim, "identity"),), ())


def test_lemmas_are_verified_as_one_chain_of_steps():
    x, y, z = sympy.symbols("x y z", real=True)
    first, second = relation("<=", x, y), relation("<", y, z)
    chain = Step("So.", relation("<", x, z), "chain", (first, second))
    given = Step("a", first, "assumed"), Step("b", second, "assumed"), ONE
    result = Result("T0", "t", "p", ("a",), "exact")
    lemmas = Lemma("given", given), Lemma("so", (chain,))
    derivation = Derivation(result, (chain.claim,), lemmas=lemmas)
    assert derivation.steps == (*given, chain)
    assert lemmas[1].states == (chain.claim,)
    assert replace(derivation, statement=(ONE.claim,)).lemmas == lemmas
    with pytest.raises(DerivationError, match="that no earlier step claims"):
        replace(derivation, steps=(), lemmas=lemmas[1:])
    with pytest.raises(DerivationError, match="`steps` differ"):
        replace(derivation, steps=given)
    with pytest.raises(DerivationError, match="no step proves"):
        Lemma("given", given, states=(first,))
    with pytest.raises(DerivationError, match="no title or no steps"):
        Lemma("", given)


def test_a_chain_may_use_earlier_claims_only():
    x, y, z = sympy.symbols("x y z", real=True)
    first, second = relation("<=", x, y), relation("<", y, z)
    chain = Step("So.", relation("<", x, z), "chain", (first, second))
    steps = Step("a", first, "assumed"), Step("b", second, "assumed"), chain
    assert _small(steps, (chain.claim,)).steps[-1] is chain
    # values for letters need not be claimed, as for every other kind of step
    at_two = Step("So.", relation("<", x, 2), "chain", (first, second, relation("=", z, 2)))
    assert _small((*steps, at_two), (at_two.claim,)).steps[-1] is at_two
    with pytest.raises(DerivationError, match="that no earlier step claims"):
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
