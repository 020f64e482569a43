"""The table that `paper_checks.md` opens with: what the paper says, which checks bear on it, what is left open."""

from collections.abc import Sequence

from promptfolio.checks.claim import Finding
from promptfolio.checks.markdown import anchor, emphasis, escape
from promptfolio.checks.registry import header
from promptfolio.checks.statements import STATEMENTS, Statement
from promptfolio.checks.unjudged import Unjudged

_INTRODUCTION = """\
## What the paper says, and what is shown here

*holds* says that every check that bears on the statement holds, in the model and at the sizes of the run.
"""


def overview(findings: Sequence[Finding | Unjudged], *, finished: bool = True) -> str:
    """A section with one row for each statement of the paper.

    Args:
        findings: in the order of the report.
        finished: whether all claims have been checked.
    """
    rows = [
        "| the paper says | where | checks that bear on it | verdict | not covered |",
        "|---|---|---|---|---|",
    ]
    rows += [_row(statement, findings, finished) for statement in STATEMENTS]
    return "\n".join([_INTRODUCTION, *rows]) + "\n"


def _row(statement: Statement, findings: Sequence[Finding | Unjudged], finished: bool) -> str:
    bearing = [
        (index, finding) for index, finding in enumerate(findings, 1) if statement.name in _bears_on(finding)
    ]
    links = [f"[{escape(_title(finding))}](#{anchor(index, _title(finding))})" for index, finding in bearing]
    return (
        f"| {escape(statement.text)} | {statement.source} | {'; '.join(links)}"
        f" | {_verdict([finding for _, finding in bearing], finished)} | {escape(statement.uncovered)} |"
    )


def _bears_on(finding: Finding | Unjudged) -> tuple[str, ...]:
    claim = header(finding.name) if isinstance(finding, Unjudged) else finding.claim
    return claim.bears_on if claim else ()


def _title(finding: Finding | Unjudged) -> str:
    return finding.name if isinstance(finding, Unjudged) else finding.claim.title


def _verdict(findings: Sequence[Finding | Unjudged], finished: bool) -> str:
    """A statement's verdict: "holds" if all its checks hold, else the verdicts of those that do not."""
    if not findings:
        return emphasis("not checked")
    others = [finding for finding in findings if finding.verdict != "holds"]
    if others:
        return "; ".join(f"{emphasis(each.verdict)}: {escape(_title(each))}" for each in others)
    return "holds" if finished else "holds so far"
