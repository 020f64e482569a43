"""The committed report says what the code claims; `make fresh` measures its verdicts anew."""

import pytest

from promptfolio.audit.registry import FINDINGS, load_finding
from promptfolio.checks.mutants import MUTANTS
from promptfolio.checks.registry import CLAIMS, load_claim
from tests.support import ROOT

TEXT = (ROOT / "paper_checks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", range(1, len(CLAIMS) + 1))
def test_every_claim_is_stated_as_in_the_code_and_holds(number: int) -> None:
    claim = load_claim(CLAIMS[number - 1]).CLAIM
    section = TEXT.split(f"\n## {number}. {claim.title}\n")[1].split("\n## ")[0]
    assert claim.statement in section
    assert f"({claim.equation}; provenance: {claim.provenance})" in section
    assert "\nVerdict: holds." in section
    for mutant in MUTANTS:
        assert (mutant.fault in section) == (claim.name in mutant.caught_by), mutant.name


@pytest.mark.parametrize("name", FINDINGS)
def test_every_finding_of_the_audit_is_stated_as_in_the_code(name: str) -> None:
    claim = load_finding(name).FINDING
    assert claim.provenance == "code"
    assert claim.statement in TEXT.split("\n## Audit of the released code\n")[1]
