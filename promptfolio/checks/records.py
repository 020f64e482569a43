"""What became of claims, as plain data for JSON."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from promptfolio.checks.claim import Finding
from promptfolio.checks.unjudged import Unjudged


def as_records(findings: Sequence[Finding | Unjudged]) -> list[dict[str, Any]]:
    """Findings as plain dictionaries for JSON: claim, verdict, slack, comparisons, assumptions.

    Of a check that raised: name, the verdict "error", error and trace.
    """
    return [_record(finding) for finding in findings]


def _record(finding: Finding | Unjudged) -> dict[str, Any]:
    if isinstance(finding, Unjudged):
        return {"verdict": finding.verdict, **dataclasses.asdict(finding)}
    return {
        **dataclasses.asdict(finding.claim),
        "verdict": finding.verdict,
        "slack": finding.worst.slack,
        "comparisons": [
            {**dataclasses.asdict(comparison), "slack": comparison.slack, "holds": comparison.holds}
            for comparison in finding.comparisons
        ],
        "assumptions": [
            {**dataclasses.asdict(assumption), "holds": assumption.holds}
            for assumption in finding.assumptions
        ],
    }
