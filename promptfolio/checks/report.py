"""`paper_checks.md` and smaller reports, from findings, as GitHub Markdown."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from promptfolio.checks.claim import Claim, Finding, Scale
from promptfolio.checks.fault_record import Planted, noticed, read_record
from promptfolio.checks.markdown import anchor, emphasis, escape, number, slack_of
from promptfolio.checks.overview import overview
from promptfolio.checks.registry import file_of
from promptfolio.checks.statements import STATEMENTS
from promptfolio.checks.unjudged import Unjudged

_TITLE = """\
# Paper checks

What the paper says and what theory predicts, held against simulation. The paper is Pan, Huang and Shi, *Federated
Learning from Vision-Language Foundation Models: Theoretical Analysis and Method* (NeurIPS 2024, arXiv:2409.19610).
`promptfolio reproduce` writes this file; every number in it was measured in that run.
"""

_HOW_TO_READ = """\
## How to read this report

**Provenance.** *paper*: stated in the abstract of Pan, Huang and Shi (NeurIPS 2024, arXiv:2409.19610) or about
its θ figure. *code*: read from the authors' released code. *derived*: derived in this project, from the model in
[docs/model.md](docs/model.md), and not a quotation of the paper. That page also says what the equation tags, T1
to T32, stand for. Where a claim makes a statement of the paper precise, the formula is this project's too.
Derivations: [docs/derivations.md](docs/derivations.md).

**Bound.** How a measurement should relate to the prediction. *exact*: equal up to rounding. *upper*, *lower*: an
inequality. *sandwich*: one of each. *certified*: inequalities proved in interval arithmetic for the numbers of
the run, and counted. *asymptotic*: equal in a limit, and within the allowed deviation at the sizes run.
*statistical*: equal up to sampling error; the test is stated, with its chance of a false alarm and the deviation
it would detect with 99 % power.

**Slack.** How far the worst point is from failing. For an equality, the share of the allowed deviation that was
left over: 1 if none of it was used. For an inequality, the gap between the two sides relative to the larger one.
It is negative where a comparison fails. A count that must be met exactly shows ✓ and how many points, or
inequalities, it is of. A claim is listed with the comparison that is closest to failing.

**Verdict.** *holds*; *fails*; *not applicable* where a condition that the claim needs was violated in its run,
whatever the numbers say; *error* where its check raised an exception.

**Would catch.** Faults that were planted in this code, one at a time, on the day given, and that made the claim
fail at quick scale. `promptfolio check --mutants` plants them all again.
"""

_FINITE_VERBS = {"holds": ("holds", "hold"), "fails": ("fails", "fail")}


class Picture(NamedTuple):
    """A figure as the report shows it: its path as seen from the report, and its caption."""

    path: str
    caption: str


def report(
    findings: Sequence[Finding | Unjudged],
    scale: Scale,
    pictures: Mapping[str, Picture],
    audit: str = "",
    *,
    files: Mapping[str, str] | None = None,
    missing: Sequence[str] = (),
    problems: Sequence[str] = (),
) -> str:
    """The whole of `paper_checks.md`.

    Args:
        findings: in the order to print; a claim whose check raised is shown with its exception.
        scale: at which the claims were checked.
        pictures: by figure name; figures missing here are left out.
        audit: section on the released code, written already.
        files: of claims by name; those missing here are the project's own.
        missing: what an unfinished report does not hold yet, in words; empty once it is complete.
        problems: what else went wrong, a sentence each.
    """
    sections = [_TITLE, *_troubles(missing, problems), overview(findings, finished=not missing), _HOW_TO_READ]
    sections += [*_findings(findings, scale, files), *([audit] if audit else [])]
    shown = [
        f"![{name}]({picture.path})\n\n*{name}. {picture.caption}*" for name, picture in pictures.items()
    ]
    if shown:
        sections.append("## Figures\n\n" + "\n\n".join(shown) + "\n")
    return "\n".join(sections)


def claims_report(
    findings: Sequence[Finding | Unjudged],
    scale: Scale,
    *,
    files: Mapping[str, str] | None = None,
    missing: Sequence[str] = (),
) -> str:
    """A report on some claims: the sections that `paper_checks.md` has on them, and how to read those.

    Args:
        findings, scale, files, missing: as in `report`.
    """
    sections = [
        "# Checks of claims\n",
        *_troubles(missing, ()),
        _HOW_TO_READ,
        *_findings(findings, scale, files),
    ]
    return "\n".join(sections)


def _troubles(missing: Sequence[str], problems: Sequence[str]) -> list[str]:
    sections = []
    if missing:
        sections.append(f"**Unfinished.** Not here yet: {', '.join(missing)}.\n")
    if problems:
        sections.append("**Errors.**\n\n" + "\n".join(f"- {escape(each)}" for each in problems) + "\n")
    return sections


def _findings(
    findings: Sequence[Finding | Unjudged], scale: Scale, files: Mapping[str, str] | None
) -> list[str]:
    """The summary, and a section for each claim."""
    faults = read_record()
    sections = (
        section(index, finding, faults=faults, files=files) for index, finding in enumerate(findings, 1)
    )
    return [_summary(findings, scale), *sections]


def _summary(findings: Sequence[Finding | Unjudged], scale: Scale) -> str:
    counts = {verdict: 0 for verdict in ("holds", "fails", "not applicable", "error")}
    rows = [
        "| # | claim | equation | provenance | bound | slack | verdict |",
        "|--:|---|---|---|---|--:|---|",
    ]
    for index, finding in enumerate(findings, 1):
        counts[finding.verdict] += 1
        verdict = emphasis(finding.verdict)
        if isinstance(finding, Unjudged):
            rows.append(f"| {index} | [{finding.name}](#{anchor(index, finding.name)}) | | | | | {verdict} |")
            continue
        claim = finding.claim
        rows.append(
            f"| {index} | [{escape(claim.title)}](#{anchor(index, claim.title)}) | {escape(claim.equation)}"
            f" | {claim.provenance} | {claim.bound} | {slack_of(finding.worst)} | {verdict} |"
        )
    total = ", ".join(
        f"{count} {_FINITE_VERBS.get(verdict, (verdict, verdict))[count > 1]}"
        for verdict, count in counts.items()
        if count
    )
    claims = "1 claim" if len(findings) == 1 else f"{len(findings)} claims"
    return (
        f"## Summary\n\n{claims} checked at {scale} scale: {total}. Chance that a true statistical claim"
        f" fails, all together: {false_alarm(findings):.1e}.\n\n" + "\n".join(rows) + "\n"
    )


def false_alarm(findings: Sequence[Finding | Unjudged]) -> float:
    """Chance that any statistical comparison fails although all claims are true (at most, by the union bound)."""
    judged = (finding for finding in findings if isinstance(finding, Finding))
    comparisons = (comparison for finding in judged for comparison in finding.comparisons)
    return sum(comparison.test.false_alarm for comparison in comparisons if comparison.test is not None)


def section(
    index: int,
    finding: Finding | Unjudged,
    *,
    faults: Sequence[Planted] = (),
    files: Mapping[str, str] | None = None,
) -> str:
    """One claim: statement, verdict, comparisons, tests, conditions and what it would catch; or its exception.

    Args:
        index: the section's number.
        finding: what became of the claim.
        faults: the record of planted faults.
        files: of claims by name; those missing here are the project's own.
    """
    name = finding.name if isinstance(finding, Unjudged) else finding.claim.name
    file = (files or {}).get(name, file_of(name))
    if isinstance(finding, Unjudged):
        return (
            f"## {index}. {name}\n\n"
            f"Verdict: {emphasis(finding.verdict)}. `{file}` raised an exception:\n\n    {finding.error}\n"
        )
    claim = finding.claim
    lines = [
        f"## {index}. {claim.title}",
        "",
        f"{claim.statement} ({claim.equation}; provenance: {claim.provenance})",
        "",
        f"Verdict: {emphasis(finding.verdict)}. Checked by `{file}`"
        + (f"; figure: `{claim.figure}`." if claim.figure else "."),
        "",
        *_bearing(claim),
        "| compared | bound | points | measured | predicted | allowed deviation | slack |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {escape(each.what)} | {each.bound} | {each.points} | {number(each.measured)}"
        f" | {number(each.predicted)} | {number(each.tolerance)} | {slack_of(each)} |"
        for each in finding.comparisons
    ]
    tests = [each for each in finding.comparisons if each.test is not None]
    if tests:
        lines += ["", "Tests:", ""]
        lines += [f"- {escape(each.what)}: {each.test.describe()}" for each in tests if each.test]
    return "\n".join([*lines, *_conditions(finding), *_would_catch(claim, faults)]) + "\n"


def _bearing(claim: Claim) -> list[str]:
    said = [
        f"“{statement.text}” ({statement.source})"
        for statement in STATEMENTS
        if statement.name in claim.bears_on
    ]
    return [f"Bears on what the paper says: {'; '.join(said)}.", ""] if said else []


def _conditions(finding: Finding) -> list[str]:
    """What the claim needs, and, folded, what was measured besides."""
    needed = [each for each in finding.assumptions if each.needed]
    others = [each for each in finding.assumptions if not each.needed]
    lines = []
    if needed:
        lines += ["", "Conditions of this claim, as measured in its run:", ""]
        lines += [f"- {escape(each.describe())}" for each in needed]
    if others:
        lines += [
            "",
            "<details><summary>Conditions that this claim can do without, as measured</summary>",
            "",
        ]
        lines += [f"- {escape(each.measured)}" for each in others]
        lines += ["", "</details>"]
    return lines


def _would_catch(claim: Claim, faults: Sequence[Planted]) -> list[str]:
    caught = noticed(claim.name, faults)
    if not caught:
        return []
    days = sorted({entry.date for entry in caught})
    when = f"on {days[0]}" if len(days) == 1 else f"between {days[0]} and {days[-1]}"
    return ["", f"Would catch (planted {when}): " + "; ".join(entry.fault for entry in caught) + "."]
