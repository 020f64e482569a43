"""docs/derivations.md is what the code derives now, and GitHub can show it."""

import re

import pytest
from conftest import ROOT

from theory.proof.catalogue import derive, results
from theory.proof.document import document, sections
from theory.proof.typesetting import width

# What GitHub's MathJax is known to refuse, or what would be a mistake of the typesetting.
FORBIDDEN = ("operatorname", "mbox", "phantom", "newcommand", "def", "substack", "href", "class", "unicode")
WIDEST = 100.0
"""In letters; a line of a display that is wider than a page needs a better formula."""


@pytest.fixture(scope="module")
def parts() -> dict[str, str]:
    return sections(document())


def fences(text: str) -> list[str]:
    return re.findall(r"^```math\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)


def test_committed_document_is_what_the_code_renders(parts: dict[str, str]) -> None:
    committed = sections((ROOT / "docs" / "derivations.md").read_text(encoding="utf-8"))
    stale = [tag for tag in {**parts, **committed} if parts.get(tag) != committed.get(tag)]
    assert stale == [], "run `promptfolio derive`"


def test_every_result_appears_with_all_its_steps(parts: dict[str, str]) -> None:
    assert list(parts) == ["contents", *results()]
    for tag in results():
        derivation = derive(tag)
        numbers = re.findall(r"^\*\*(\d+)\.\*\* ", parts[tag], re.MULTILINE)
        assert numbers == [str(number) for number in range(1, len(derivation.steps) + 1)]
        verdicts = re.findall(r"^\*(Assumed|Modelled|Verified)", parts[tag], re.MULTILINE)
        kinds = {"assumed": "Assumed", "modelled": "Modelled"}
        assert verdicts == [kinds.get(step.how, "Verified") for step in derivation.steps]
        lemmas = re.findall(r"^### Lemma \d+\. (.*)$", parts[tag], re.MULTILINE)
        assert len(lemmas) == len(derivation.lemmas)


@pytest.mark.parametrize("tag", results())
def test_formulas_are_what_github_renders(parts: dict[str, str], tag: str) -> None:
    text = parts[tag]
    displays = fences(text)
    assert text.count("```") == 2 * len(displays), "a fence is not closed"
    for formula in displays:
        assert formula.isascii(), formula
        assert formula.count("{") == formula.count("}")
        assert formula.count(r"\left") == formula.count(r"\right")
        # a group size cannot break inside brackets
        assert all(line.count(r"\left") == line.count(r"\right") for line in formula.splitlines())
        assert formula.count(r"\begin") == formula.count(r"\end")
        macros = set(re.findall(r"\\([A-Za-z]+)", formula))
        assert not macros.intersection(FORBIDDEN), formula
        assert "\n\n" not in formula, "an empty line ends the display"
        assert max(width(line) for line in formula.splitlines()) <= WIDEST, formula


def test_links_of_the_contents_lead_to_headings(parts: dict[str, str]) -> None:
    # the anchors that GitHub makes of headings, written independently of the code under test
    headings = [f"{text.splitlines()[0]}" for tag, text in parts.items() if tag != "contents"]
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    linked = re.findall(r"\]\(#([^)]*)\)", parts["contents"])
    assert len(linked) == len(results())
    assert set(linked) == anchors


def test_sentences_hold_no_markup(parts: dict[str, str]) -> None:
    for text in parts.values():
        for sentence in re.findall(r"^\*\*\d+\.\*\* (.*)$", text, re.MULTILINE):
            assert not re.search(r"(?<!\\)[*_<>\[\]`~]", sentence), sentence
