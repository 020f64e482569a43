"""The audit as a section of `paper_checks.md`, and as plain data."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from promptfolio.audit.observation import Table
from promptfolio.audit.registry import load_observation
from promptfolio.checks.checking import Checked
from promptfolio.checks.claim import Comparison
from promptfolio.checks.markdown import emphasis, escape
from promptfolio.checks.unjudged import Unjudged

_INTRODUCTION = """\
## Audit of the released code

What reading the authors' released code turned up, each point set up anew here and measured by `promptfolio audit`;
none of their code is used. *holds* says that the effect showed in this run. {where}
"""


def audit_section(results: Sequence[Checked | Unjudged]) -> str:
    """The audit as GitHub Markdown.

    Args:
        results: from `promptfolio.audit.registry.run_audit`; one that raised is shown with its exception.
    """
    lines = [
        "| observation | what it changes | measured effect | verdict |",
        "|---|---|---|---|",
    ]
    for each in results:
        if isinstance(each, Unjudged):
            lines.append(f"| {each.name} | | {escape(each.error)} | {emphasis(each.verdict)} |")
            continue
        claim, module = each.finding.claim, load_observation(each.name)
        row = (claim.title, module.CHANGES, module.effect(each.data), emphasis(each.finding.verdict))
        lines.append("| " + " | ".join(map(escape, row)) + " |")
    sections = [_INTRODUCTION.format(where=_where(results)), "\n".join(lines) + "\n"]
    return "\n".join([*sections, *(_subsection(each) for each in results if isinstance(each, Checked))])


def as_records(results: Sequence[Checked | Unjudged]) -> list[dict[str, Any]]:
    """Findings as plain dictionaries for JSON: statement, effect, verdict, comparisons and the tables' cells.

    Of a demonstration that raised: name, the verdict "error", error and trace.
    """
    records: list[dict[str, Any]] = []
    for each in results:
        if isinstance(each, Unjudged):
            records.append({"verdict": each.verdict, **dataclasses.asdict(each)})
            continue
        claim, module = each.finding.claim, load_observation(each.name)
        records.append(
            {
                "name": claim.name,
                "title": claim.title,
                "statement": claim.statement,
                "equation": claim.equation,
                "provenance": claim.provenance,
                "changes": module.CHANGES,
                "effect": module.effect(each.data),
                "verdict": each.finding.verdict,
                "comparisons": [
                    {
                        "what": comparison.what,
                        "bound": comparison.bound,
                        "points": comparison.points,
                        "measured": comparison.measured,
                        "predicted": comparison.predicted,
                        "tolerance": comparison.tolerance,
                        "holds": comparison.holds,
                    }
                    for comparison in each.finding.comparisons
                ],
                "tables": [table._asdict() for table in module.tables(each.data)],
            }
        )
    return records


def _where(results: Sequence[Checked | Unjudged]) -> str:
    """Which banks the prompts were trained on."""
    shown = (each.data for each in results if isinstance(each, Checked))
    banks = (data.bank.values for data in shown if "bank" in data.coords)
    names = sorted({str(name) for values in banks for name in values})
    if not names:
        return ""
    described = [
        name if name != "synthetic" else "*synthetic*, which stands for no real images" for name in names
    ]
    return f"Feature banks: {'; '.join(described)}."


def _subsection(checked: Checked) -> str:
    claim = checked.finding.claim
    file = f"promptfolio/audit/observations/{claim.name}.py"
    tag = "" if claim.equation == claim.provenance else f"{claim.equation}; "
    lines = [
        f"### {claim.title}",
        "",
        f"{claim.statement} ({tag}provenance: {claim.provenance}; shown by `{file}`)",
        "",
        "| compared | bound | points | measured | predicted | allowed deviation |",
        "|---|---|--:|--:|--:|--:|",
        *(_row(comparison) for comparison in checked.finding.comparisons),
    ]
    for table in load_observation(claim.name).tables(checked.data):
        lines += ["", *_markdown(table)]
    return "\n".join(lines) + "\n"


def _row(comparison: Comparison) -> str:
    numbers = (comparison.measured, comparison.predicted, comparison.tolerance)
    return (
        f"| {escape(comparison.what)} | {comparison.bound} | {comparison.points} | "
        + " | ".join(f"{number:.4g}" for number in numbers)
        + " |"
    )


def _markdown(table: Table) -> list[str]:
    return [
        table.caption,
        "",
        "| " + " | ".join(escape(column.lstrip(">")) for column in table.columns) + " |",
        "|" + "|".join("--:" if column.startswith(">") else "---" for column in table.columns) + "|",
        *("| " + " | ".join(map(escape, row)) + " |" for row in table.rows),
    ]
