"""Derivations as one Markdown document for GitHub: what `docs/derivations.md` holds."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from theory.proof.bounds import Bound
from theory.proof.catalogue import derive, results
from theory.proof.derivation import Derivation, Formula, How, Step
from theory.proof.typesetting import display

INTRODUCTION = """\
# Derivations

Every result of the theory, step by step. Written by `promptfolio derive` from the modules under `theory/`, which
are the source: edit those, not this page. [The model](model.md) and its equations T1 to T3 are the start, and
`theory/proof/notation.py` lists the letters.

Every result is derived in this project from the model T1 to T3 of Pan, Huang and Shi (2024), arXiv:2409.19610; none
is a quotation of the paper. Literature that a result rests on is named with it.

**How steps are verified.** SymPy checks the algebra of each step whenever a derivation is built, and refuses to
build it if a check fails; the numbers this project computes come from the same expressions. \
Of the {steps} steps below,
{verified} are verified, {modelled} modelled and {assumed} assumed.
A step is one of these:

- *assumed*: a definition, an equation of the model, a hypothesis of an induction, or the statement of an earlier
  result. Nothing is verified.
- *modelled*: a sentence about the model, put into letters. The algebra is verified as an identity; that the letters
  say what the sentence says is for the reader to judge.
- *identity*: both sides are equal after the given equations are inserted and derivatives, integrals, sums and
  limits are carried out.
- *signs*: an inequality that follows from the signs of its letters after the given equations are inserted (most
  letters stand for positive numbers; an integral is positive if its integrand is).
- *chain*: an inequality that is the sum of the named earlier ones, after the given equations are inserted.
- *root*: the right-hand side solves the given equation.
- *differential equation*: the right-hand side solves it, from the given start.

A long derivation is split into lemmas; the formulas below a lemma's heading are what its steps prove.

**Bounds.** *exact*: equal under the stated assumptions. *upper*, *lower*, *sandwich*: inequalities. *asymptotic*:
equal in a limit, to leading order or with random quantities replaced by their expectation.
"""

_BOUNDS: Mapping[Bound, str] = {
    "exact": "exact",
    "upper": "an upper bound",
    "lower": "a lower bound",
    "sandwich": "a lower and an upper bound",
    "asymptotic": "asymptotic",
    "certified": "certified",
    "statistical": "statistical",
}

_VERIFIED: Mapping[How, tuple[str, str]] = {
    # without given facts, and with them
    "assumed": ("Assumed.", "Assumed, given"),
    "modelled": ("Modelled; its algebra is verified.", "Modelled; its algebra is verified, given"),
    "identity": ("Verified: identity.", "Verified: identity, given"),
    "sign": ("Verified: signs.", "Verified: signs, given"),
    "chain": ("Verified: chain.", "Verified: chain of"),
    "root": ("Verified: root.", "Verified: root of"),
    "ode": ("Verified: differential equation.", "Verified: differential equation,"),
}


def document(tags: Sequence[str] | None = None) -> str:
    """Return the document for some results (all by default), in the order given; it derives them first.

    Raises:
        ValueError: a tag that is not in `theory.proof.catalogue.results()`.

    >>> document(["T7"]).splitlines()[0]
    '# Derivations'
    """
    derivations = [derive(tag) for tag in (results() if tags is None else tags)]
    counts = step_counts(derivations)
    introduction = INTRODUCTION.format(steps=sum(counts), **counts._asdict())
    return "\n".join([introduction, _contents(derivations), *(section(each) for each in derivations)])


class StepCounts(NamedTuple):
    """How many steps of some derivations are of which kind."""

    verified: int
    modelled: int
    assumed: int


def step_counts(derivations: Sequence[Derivation]) -> StepCounts:
    """Count the steps of some derivations by what was verified of them.

    >>> step_counts([derive("T7")]).assumed
    0
    """
    hows = [step.how for each in derivations for step in each.steps]
    modelled, assumed = hows.count("modelled"), hows.count("assumed")
    return StepCounts(len(hows) - modelled - assumed, modelled, assumed)


def section(derivation: Derivation) -> str:
    """Return one result's part of the document, which ends with a line break.

    >>> section(derive("T7")).splitlines()[0]
    '## T7. Accuracy is Φ of the ratio'
    """
    result = derivation.result
    module = results()[result.tag].replace(".", "/") + ".py"
    model = "the model" if result.sources else "the model alone"
    rests_on = "; ".join([", ".join(result.uses) or model, *result.sources])
    parts = [
        f"## {_heading(derivation)}",
        f"**Problem.** {_escape(result.problem)}",
        "**Assumptions.**\n" + "".join(f"\n- {_escape(each)}" for each in result.assumptions),
        f"**Statement** ({_BOUNDS[result.bound]}).",
        _fence(derivation.statement),
        f"**Rests on** {_escape(rests_on)}. Code: [`{module}`](../{module}).",
        "**Derivation.**",
    ]
    claims: list[Formula] = []
    for number, lemma in enumerate(derivation.lemmas, start=1):
        parts += [f"### Lemma {number}. {_escape(lemma.title)}", _fence(lemma.states)]
        parts += _numbered(lemma.steps, claims)
    if not derivation.lemmas:
        parts += _numbered(derivation.steps, claims)
    return "\n\n".join(parts) + "\n"


def sections(text: str) -> dict[str, str]:
    """Return the parts of a document by tag; what stands before the first result has the tag "contents".

    >>> list(sections(document(["T7", "T10"])))
    ['contents', 'T7', 'T10']
    """
    first, *rest = re.split(r"^## (?=T\d)", text, flags=re.MULTILINE)
    return {"contents": first.strip()} | {part.split(". ", 1)[0]: part.strip() for part in rest}


def _numbered(steps: Sequence[Step], claims: list[Formula]) -> list[str]:
    """Paragraphs of some steps, numbered on from the `claims` of earlier ones, to which theirs are added."""
    parts: list[str] = []
    for step in steps:
        parts += [
            f"**{len(claims) + 1}.** {_escape(step.text)}",
            _fence([step.claim]),
            *_verification(step, claims),
        ]
        claims.append(step.claim)
    return parts


def _verification(step: Step, earlier: Sequence[Formula]) -> list[str]:
    """How a step was verified; given facts that are earlier claims are named by their number."""
    numbers = sorted(earlier.index(fact) + 1 for fact in step.given if fact in earlier)
    others = [fact for fact in step.given if fact not in earlier]
    without, with_facts = _VERIFIED[step.how]
    named = _steps_named(numbers)
    if others:
        return [f"*{with_facts}{f' {named}, with' if named else ''}*", _fence(others)]
    if named:
        return [f"*{with_facts} {named}.*"]
    return [f"*{without}*"]


def _steps_named(numbers: Sequence[int]) -> str:
    if not numbers:
        return ""
    *first, last = (str(number) for number in numbers)
    return f"steps {', '.join(first)} and {last}" if first else f"step {last}"


def _contents(derivations: Sequence[Derivation]) -> str:
    rows = ["| tag | result | bound | verified | modelled | assumed |", "|---|---|---|--:|--:|--:|"]
    for derivation in derivations:
        result, counts = derivation.result, step_counts([derivation])
        rows.append(
            f"| {result.tag} | [{_escape(result.title)}](#{_anchor(derivation)}) | {result.bound}"
            f" | {counts.verified} | {counts.modelled} | {counts.assumed} |"
        )
    return "## Contents\n\n" + "\n".join(rows) + "\n"


def _heading(derivation: Derivation) -> str:
    return f"{derivation.result.tag}. {_escape(derivation.result.title)}"


def _anchor(derivation: Derivation) -> str:
    """The anchor GitHub gives the heading: lower case, punctuation dropped, spaces as hyphens."""
    heading = f"{derivation.result.tag}. {derivation.result.title}".lower()
    return "".join(letter for letter in heading if letter.isalnum() or letter in " -_").replace(" ", "-")


def _fence(formulas: Sequence[Formula]) -> str:
    return f"```math\n{display(formulas)}\n```"


def _escape(text: str) -> str:
    """Characters that Markdown would take for markup."""
    return re.sub(r"([\\`*_<>\[\]~$|])", r"\\\1", text)
