"""The committed report says what the code claims; `make fresh` measures its verdicts anew."""

import pytest

from promptfolio.audit.registry import load_observation, observation_names
from promptfolio.checks.fault_record import noticed, read_record
from promptfolio.checks.registry import all_claims, claim_names, load_claim
from promptfolio.checks.statements import STATEMENTS
from tests.support import ROOT

TEXT = (ROOT / "paper_checks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", range(1, len(claim_names()) + 1))
def test_every_claim_is_stated_as_in_the_code_and_holds(number: int) -> None:
    claim = load_claim(all_claims()[number - 1]).CLAIM
    section = TEXT.split(f"\n## {number}. {claim.title}\n")[1].split("\n## ")[0]
    assert claim.statement in section
    assert f"({claim.equation}; provenance: {claim.provenance})" in section
    assert "\nVerdict: holds." in section
    record = read_record()
    caught = noticed(claim.name, record)
    for entry in record:
        assert (entry.fault in section) == (entry in caught), entry.mutant


def test_every_statement_of_the_paper_is_shown_to_hold() -> None:
    overview = TEXT.split("\n## What the paper says, and what is shown here\n")[1].split("\n## ")[0]
    rows = {row.split(" | ")[0].lstrip("| "): row for row in overview.splitlines() if row.startswith("| ")}
    for statement in STATEMENTS:
        assert " | holds | " in rows[statement.text]
        assert statement.uncovered in rows[statement.text]


@pytest.mark.parametrize("name", observation_names())
def test_every_finding_of_the_audit_is_stated_as_in_the_code(name: str) -> None:
    claim = load_observation(name).OBSERVATION
    assert claim.provenance == "code"
    assert claim.statement in TEXT.split("\n## Audit of the released code\n")[1]
