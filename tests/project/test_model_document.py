"""docs/model.md lists the theory's results, the modules that derive them and the claims that check them."""

import re

import pytest

from promptfolio.checks.registry import all_claims, load_claim
from tests.support import ROOT
from theory.proof.catalogue import results

TEXT = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
ROWS: dict[str, tuple[str, str]] = {
    tag: (derived, checked)
    for tag, derived, checked in re.findall(r"^\| (T\d+) \| .* \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)
}
EVERY_RESULT = "derivations"
"""The claim that checks the derivations of all results; the table names the claims of each."""


def number_of(tag: str) -> str:
    """The tag without the name of a part: "T9" of "T9 (coefficients)"."""
    return tag.split()[0]


def test_table_has_one_row_for_each_tag_in_order() -> None:
    assert list(ROWS) == list(dict.fromkeys(map(number_of, results())))
    assert f"(T1) to ({list(ROWS)[-1]})" in TEXT


@pytest.mark.parametrize("tag", ROWS)
def test_result_is_derived_in_the_modules_that_the_table_names(tag: str) -> None:
    modules = [module for part, module in results().items() if number_of(part) == tag]
    named = re.findall(r"`(.*?)`", ROWS[tag][0])
    assert sorted(named) == sorted(module.replace(".", "/") + ".py" for module in modules)


@pytest.mark.parametrize("name", [name for name in all_claims() if name != EVERY_RESULT])
def test_claim_stands_in_the_rows_of_its_tags(name: str) -> None:
    tags = re.findall(r"T\d+", load_claim(name).CLAIM.equation)
    assert tags
    for tag in tags:
        assert f"`promptfolio/checks/claims/{name}.py`" in ROWS[tag][1], tag


@pytest.mark.parametrize("tag", ROWS)
def test_something_checks_every_result(tag: str) -> None:
    """The files that are named exist: `test_readme` looks for all of them."""
    assert re.search(r"`promptfolio(/checks/claims/\w+\.py| \w+)`", ROWS[tag][1])
