"""Derivations that check themselves: a `Derivation` is a chain of `Step`s, and SymPy verifies every step.

An edited formula therefore breaks its own derivation: constructing the `Derivation` raises `DerivationError`
and names the step. SymPy is imported on first use.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self, TypeAlias

from theory.proof.bounds import Bound

Formula: TypeAlias = Any
"""A SymPy expression or relation (SymPy itself is not imported when this module is)."""

How = Literal["assumed", "modelled", "identity", "sign", "chain", "root", "ode"]


class DerivationError(ValueError):
    """A step of a derivation does not hold, or the statement is not what the steps prove."""


@dataclass(frozen=True)
class Step:
    """One line of a derivation: a sentence, the claim it makes, and how SymPy verifies the claim.

    Each kind of step has a constructor of its name, `Step.identity(text, claim, *given)`. `how` is one of

    - `assumed`: a definition, a model equation or a hypothesis; nothing to verify;
    - `modelled`: an equation that puts the sentence into letters. Its algebra is verified as an identity, but what
      the step says lies in the sentence, which algebra cannot verify;
    - `identity`: an equation; both sides agree after `given` is substituted and derivatives, integrals, sums
      and limits are carried out;
    - `sign`: an inequality that follows from the declared signs of the symbols once `given` is substituted
      (an unevaluated integral counts as positive when its integrand is);
    - `chain`: an inequality that is the sum of the inequalities in `given`, which must be claims of earlier
      steps (equations in `given` are substituted, e.g. values for the letters of a lemma);
    - `root`: an equation whose right-hand side solves every equation in `given`;
    - `ode`: a solution `f(t) = …` of the differential equation `given[0]`; further equations are initial
      conditions `f(0) = …`.
    """

    text: str
    claim: Formula
    how: How
    given: tuple[Formula, ...] = ()

    def holds(self) -> bool:
        """Whether SymPy confirms the claim.

        >>> import sympy
        >>> x = sympy.Symbol("x", positive=True)
        >>> Step.identity("A square.", sympy.Eq((x + 1) ** 2, x**2 + 2 * x + 1)).holds()
        True
        """
        return _VERIFIERS[self.how](self.claim, self.given)

    @classmethod
    def assumed(cls, text: str, claim: Formula) -> Self:
        """A definition, a model equation, a hypothesis or an earlier result."""
        return cls(text, claim, "assumed")

    @classmethod
    def modelled(cls, text: str, claim: Formula, *given: Formula) -> Self:
        """A sentence put into letters."""
        return cls(text, claim, "modelled", given)

    @classmethod
    def identity(cls, text: str, claim: Formula, *given: Formula) -> Self:
        """An equation that SymPy carries out."""
        return cls(text, claim, "identity", given)

    @classmethod
    def sign(cls, text: str, claim: Formula, *given: Formula) -> Self:
        """An inequality from the signs of the symbols."""
        return cls(text, claim, "sign", given)

    @classmethod
    def chain(cls, text: str, claim: Formula, *given: Formula) -> Self:
        """An inequality that sums earlier ones."""
        return cls(text, claim, "chain", given)

    @classmethod
    def root(cls, text: str, claim: Formula, *given: Formula) -> Self:
        """A solution of equations."""
        return cls(text, claim, "root", given)

    @classmethod
    def ode(cls, text: str, claim: Formula, *given: Formula) -> Self:
        """A solution of a differential equation."""
        return cls(text, claim, "ode", given)


@dataclass(frozen=True)
class Result:
    """What is known of a result before it is proved: the one record of it, from which documents are made.

    Attributes:
        tag: the equation's tag, e.g. "T15"; a part of a result adds what it is about, "T23 (nested)".
        title: a few words.
        problem: the question it answers, in a sentence.
        assumptions: what it needs, a sentence each.
        bound: what it asserts.
        uses: tags of the results it is built on.
        sources: literature it rests on beyond the paper whose model is T1 to T3, as author (year), title.

    Raises:
        DerivationError: an empty field, but for `uses` and `sources`.
    """

    tag: str
    title: str
    problem: str
    assumptions: tuple[str, ...]
    bound: Bound
    uses: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("tag", "title", "problem", "assumptions", "bound"):
            if not getattr(self, name):
                raise DerivationError(f"{self.tag}: `{name}` is empty")


@dataclass(frozen=True)
class Lemma:
    """A part of a long derivation, which a reader can follow by itself.

    Its steps may use claims of earlier lemmas. `states` holds the formulas to take along from it, each the claim of
    one of its steps; by default the claim of the last.

    Raises:
        DerivationError: an empty title, no steps, or a statement that no step of the lemma proves.
    """

    title: str
    steps: tuple[Step, ...]
    states: tuple[Formula, ...] = ()

    def __post_init__(self) -> None:
        if not self.title or not self.steps:
            raise DerivationError(f"lemma {self.title!r}: no title or no steps")
        object.__setattr__(self, "states", self.states or (self.steps[-1].claim,))
        _require_proved(f"lemma {self.title!r}", self.states, self.steps)


@dataclass(frozen=True)
class Derivation:
    """A result together with its proof; constructing one verifies every step.

    `statement` holds the displayed formulas of the result. Each must be the claim of a step, so neither can
    be edited without the other. A short proof is given as `steps`, a long one as `lemmas`; `steps` then holds the
    steps of all lemmas, in order.

    Raises:
        DerivationError: a step fails or is given its own claim, a statement is proved by no step, or `steps`
            differ from those of `lemmas`.
    """

    result: Result
    statement: tuple[Formula, ...]
    steps: tuple[Step, ...] = ()
    lemmas: tuple[Lemma, ...] = ()

    def __post_init__(self) -> None:
        tag = self.result.tag
        if self.lemmas:
            of_lemmas = tuple(step for lemma in self.lemmas for step in lemma.steps)
            if self.steps not in ((), of_lemmas):
                raise DerivationError(f"{tag}: `steps` differ from those of `lemmas`; give one of the two")
            object.__setattr__(self, "steps", of_lemmas)
        if not self.statement or not self.steps:
            raise DerivationError(f"{tag}: no statement or no steps")
        claims: list[Formula] = []
        for number, step in enumerate(self.steps, start=1):
            where = f"{tag}, step {number} ({step.text})"
            if step.how == "chain" and any(fact not in claims for fact in _inequalities(step.given)):
                raise DerivationError(f"{where} uses an inequality that no earlier step claims")
            if step.how != "assumed" and step.claim in step.given:
                raise DerivationError(f"{where} is given what it claims")
            if not step.holds():
                raise DerivationError(f"{where}: the claim {step.claim} does not hold")
            claims.append(step.claim)
        _require_proved(tag, self.statement, self.steps)


def _require_proved(where: str, statement: Sequence[Formula], steps: Sequence[Step]) -> None:
    for formula in statement:
        if not any(step.claim == formula and step.how != "assumed" for step in steps):
            raise DerivationError(f"{where}: no step proves the statement {formula}")


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


# --- verification of claims ---


def _is_zero(expression: Formula) -> bool:
    import sympy

    if isinstance(expression, sympy.MatrixBase):
        return all(_is_zero(entry) for entry in expression)

    def candidates() -> Iterator[Formula]:
        carried_out = sympy.sympify(expression).doit()
        yield carried_out
        yield sympy.expand(carried_out)
        lambert = _use_lambert_equation(carried_out.rewrite(sympy.erf))
        # cheap normal form first: most claims here are rational functions
        if _is_clearly_nonzero(lambert):
            return
        yield sympy.cancel(sympy.together(lambert))
        yield sympy.simplify(lambert)
        yield sympy.simplify(_use_lambert_equation(sympy.expand(carried_out.rewrite(sympy.exp))))

    return any(candidate == 0 for candidate in candidates())


def _is_clearly_nonzero(expression: Formula) -> bool:
    """Whether one sample point shows that the expression is not zero: it spares a false claim the slow
    forms."""
    import sympy
    from sympy.core.function import AppliedUndef

    if expression.has(sympy.Sum, sympy.Integral, sympy.Limit):
        return False
    opaque = sorted(
        expression.atoms(AppliedUndef, sympy.Derivative, sympy.Subs), key=lambda atom: -atom.count_ops()
    )
    # outermost first, so that a derivative is replaced before the function inside it
    for atom in opaque:
        expression = expression.xreplace({atom: sympy.Dummy()})
    names = sorted(expression.free_symbols, key=sympy.default_sort_key)
    point = {name: sympy.Rational(3 + 2 * i, 7 + i) for i, name in enumerate(names)}
    value = expression.subs(point).evalf(30)
    return bool(value.is_comparable and abs(value) > 1e-12)


def _use_lambert_equation(expression: Formula) -> Formula:
    """Rewrite exp(x − W(z)) as exp(x) W(z)/z, which is the equation W e^W = z that defines W."""
    import sympy

    def rewrite(argument: Formula) -> Formula:
        rest, factor = sympy.sympify(argument), sympy.Integer(1)
        for term in sympy.Add.make_args(rest):
            if isinstance(-term, sympy.LambertW):
                inner = (-term).args[0]
                rest, factor = rest - term, factor * (-term) / inner
        return sympy.exp(rest) * factor

    return expression.replace(sympy.exp, rewrite)


def _is_signed(expression: Formula, strict: bool) -> bool:
    """Whether `expression` is positive (or, if not `strict`, nonnegative) for all values of its symbols."""
    import sympy

    def known(part: Formula) -> bool:
        return bool(part.is_positive if strict else part.is_nonnegative)

    if isinstance(expression, sympy.Integral):
        increasing = all(_is_signed(limit[2] - limit[1], strict) for limit in expression.limits)
        return increasing and _is_signed(expression.function, strict)
    if expression.has(sympy.Integral):
        parts = sympy.Mul.make_args(expression)
        return len(parts) > 1 and all(_is_signed(part, strict) for part in parts)
    if known(expression):
        return True
    numerator, denominator = sympy.fraction(sympy.cancel(sympy.together(expression)))
    forms = [sympy.factor, sympy.expand, sympy.simplify]
    for sign in (1, -1):
        if any(known(form(sign * numerator)) for form in forms) and any(
            form(sign * denominator).is_positive for form in forms
        ):
            return True
    return False


def _substitute(expression: Formula, given: Sequence[Formula]) -> Formula:
    import sympy

    for fact in given:
        if isinstance(fact, sympy.Eq):
            expression = expression.subs(fact.lhs, fact.rhs)
    return expression


def _excess(claim: Formula) -> tuple[Formula, bool]:
    """An inequality as (what must be positive, whether strictly)."""
    import sympy

    if isinstance(claim, sympy.Gt | sympy.Ge):
        return claim.lhs - claim.rhs, isinstance(claim, sympy.Gt)
    if isinstance(claim, sympy.Lt | sympy.Le):
        return claim.rhs - claim.lhs, isinstance(claim, sympy.Lt)
    raise DerivationError(f"{claim} is not an inequality")


def _holds_assumed(claim: Formula, given: Sequence[Formula]) -> bool:
    return True


def _holds_identity(claim: Formula, given: Sequence[Formula]) -> bool:
    import sympy

    difference = _substitute(claim.lhs - claim.rhs, given).doit()
    if difference.has(sympy.Sum):
        # moves constants out of sums, so that a sum named in `given` is recognised
        difference = sympy.simplify(difference)
    return _is_zero(_substitute(difference, given))


def _holds_sign(claim: Formula, given: Sequence[Formula]) -> bool:
    import sympy

    if isinstance(claim, sympy.Ne):
        difference = _substitute(claim.lhs - claim.rhs, given)
        return _is_signed(difference, True) or _is_signed(-difference, True)
    excess, strict = _excess(claim)
    excess = _substitute(excess, given)
    return _is_signed(excess if excess.has(sympy.Integral) else excess.doit(), strict)


def _inequalities(given: Sequence[Formula]) -> list[Formula]:
    import sympy

    return [fact for fact in given if not isinstance(fact, sympy.Eq)]


def _holds_chain(claim: Formula, given: Sequence[Formula]) -> bool:
    excess, strict = _excess(claim)
    inequalities = [_excess(fact) for fact in _inequalities(given)]
    excess -= sum(part for part, _ in inequalities)
    return (not strict or any(part for _, part in inequalities)) and _is_zero(_substitute(excess, given))


def _holds_root(claim: Formula, given: Sequence[Formula]) -> bool:
    return bool(given) and all(_is_zero((fact.lhs - fact.rhs).subs(claim.lhs, claim.rhs)) for fact in given)


def _holds_ode(claim: Formula, given: Sequence[Formula]) -> bool:
    function, solution = claim.lhs, claim.rhs
    time = function.args[0]
    equation, initial = given[0], given[1:]
    if not _is_zero((equation.lhs - equation.rhs).subs(function, solution)):
        return False
    return all(_is_zero(solution.subs(time, fact.lhs.args[0]) - fact.rhs) for fact in initial)


_VERIFIERS: dict[str, Callable[[Formula, Sequence[Formula]], bool]] = {
    "assumed": _holds_assumed,
    "modelled": _holds_identity,
    "identity": _holds_identity,
    "sign": _holds_sign,
    "chain": _holds_chain,
    "root": _holds_root,
    "ode": _holds_ode,
}
