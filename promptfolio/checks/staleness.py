"""Whether a report is stale: where it and another one differ in more than the digits of measurements."""

import itertools
import re

_AUDIT = "## Audit of the released code"
_SUMMARY = "## Summary"


def first_difference(expected: str, written: str) -> str | None:
    """Where two reports differ in more than measurements; None where they agree.

    Two runs of the same code differ in digits on other machines, and in nothing else. Numbers are ignored where
    runs write them, in tables and lists; in headings and sentences every digit counts. Figures, and tables of
    feature banks that one of the two did not have, are not compared.
    """
    pairs = itertools.zip_longest(_skeleton(expected), _skeleton(written), fillvalue="(nothing)")
    return next((f"{before!r} is now {after!r}" for before, after in pairs if before != after), None)


def _skeleton(markdown: str) -> list[str]:
    """The lines of a report without its measurements: claims, verdicts, conditions, what would be caught."""
    claims, _, audit = markdown.partition(_AUDIT)
    # What stands before the summary was not measured, but for verdicts.
    before, _, claims = claims.partition(_SUMMARY)
    lines = before.splitlines()
    for line in claims.splitlines():
        if line.startswith(("|", "- ")):
            line = re.sub(r"[-+]?\b\d[\d.]*(e[-+]?\d+)?\b|\b(inf|nan)\b", "#", line)
            # Where a value is zero on one machine and tiny on another, only the latter has a factor.
            line = line.replace("(holds, factor #)", "(holds)")
        elif "Chance that a true statistical claim" in line:
            line = line.split(". Chance")[0]
        lines.append(line)
    # Of the audit: what is said, and the verdicts; the measured effects depend on the feature banks at hand.
    overview, *findings = audit.split("\n### ")
    for line in overview.splitlines():
        if line.startswith("|"):
            finding, changes, _, verdict = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            lines.append(" | ".join((finding, changes, verdict)))
    for finding in findings:
        lines += [line for line in finding.splitlines()[:3] if line]  # title and statement
    return lines
