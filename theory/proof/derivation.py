"""Derivations that check themselves: a `Derivation` is a chain of `Step`s, and SymPy verifies every step.

An edited formula therefore breaks its own derivation: constructing the `Derivation` raises `DerivationError`
and names the step. SymPy is imported on first use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from theory.proof.bounds import Bound
from theory.proof.formulas import Formula, as_function, eq, relation
from theory.proof.verification import VERIFIERS, DerivationError, inequalities

__all__ = [
    "Derivation",
    "DerivationError",
    "Formula",
    "How",
    "Lemma",
    "Result",
    "Step",
    "as_function",
    "eq",
    "relation",
]

How = Literal["assumed", "modelled", "identity", "sign", "chain", "root", "ode"]


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
        return VERIFIERS[self.how](self.claim, self.given)

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
            if step.how == "chain" and any(fact not in claims for fact in inequalities(step.given)):
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
