"""Checking claims under a progress bar, and what a terminal shows of their findings."""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from promptfolio.cli.console import coloured, complain, table, tracking

if TYPE_CHECKING:
    from rich.table import Table

    from promptfolio.checks.checking import Checked
    from promptfolio.checks.claim import Finding, Scale
    from promptfolio.checks.unjudged import Unjudged

_MOST_WORKERS = 3
"""Largest number of processes. Each takes a gigabyte or more; with more, the longest claim would set the time."""


def start_workers() -> contextlib.AbstractContextManager[Executor]:
    """Context with worker processes: one per core, at most `_MOST_WORKERS`."""
    from promptfolio.checks.workers import worker_processes

    return worker_processes(min(_MOST_WORKERS, os.cpu_count() or 1))


def run_checks(
    references: tuple[str, ...],
    scale: "Scale",
    workers: Executor | None,
    receive: "Callable[[Checked | Unjudged], None]",
) -> None:
    """Check claims under a progress bar.

    Args:
        references: names and files of the claims.
        scale: quick or full.
        workers: processes to check them in; None checks them in this process.
        receive: called with the result of each claim as soon as it is available.
    """
    from promptfolio.checks.checking import check_claims

    with tracking("checking") as tracker:
        for done, each in enumerate(check_claims(references, scale, workers), 1):
            tracker.describe(f"checked {each.name}")
            tracker(done, len(references))
            receive(_describable(each))


def _describable(checked: "Checked | Unjudged") -> "Checked | Unjudged":
    """Return the result, or an entry for the exception that describing it raises, which would stop the whole
    report."""
    from promptfolio.checks.records import as_records
    from promptfolio.checks.report import section
    from promptfolio.checks.unjudged import unjudged

    finding = without_data(checked)
    try:
        section(1, finding), as_records([finding]), findings_table([finding])
    except Exception as error:
        return unjudged(checked.name, error)
    return checked


def without_data(checked: "Checked | Unjudged") -> "Finding | Unjudged":
    """The finding alone, or the entry for a check that raised."""
    from promptfolio.checks.unjudged import Unjudged

    return checked if isinstance(checked, Unjudged) else checked.finding


def findings_table(findings: "Sequence[Finding | Unjudged]", missing: int = 0) -> "Table":
    """One line per claim.

    Args:
        findings: results of the claims.
        missing: how many claims have not been checked, for the title.
    """
    from promptfolio.checks.markdown import slack_of
    from promptfolio.checks.unjudged import Unjudged

    rows = []
    for finding in findings:
        if isinstance(finding, Unjudged):
            rows.append((finding.name, "", "", "", "", coloured(finding.verdict, f": {finding.error}")))
            continue
        claim = finding.claim
        slack = slack_of(finding.worst)
        rows.append(
            (claim.name, claim.equation, claim.provenance, claim.bound, slack, coloured(finding.verdict))
        )
    title = f"Claims: {missing} not checked" if missing else "Claims"
    return table(title, ("claim", "equation", "provenance", "bound", ">slack", "verdict"), rows)


def show_errors(findings: "Sequence[Finding | Unjudged]") -> None:
    """Name every check that raised on standard error, with its traceback if --debug asks for it."""
    from promptfolio.checks.unjudged import Unjudged
    from promptfolio.cli.failures import DEBUG

    for finding in findings:
        if isinstance(finding, Unjudged):
            if DEBUG.get():
                print(finding.trace, file=sys.stderr)
            complain(f"{finding.name} has no verdict: {finding.error} (--debug shows the traceback)")


def exit_status(findings: "Sequence[Finding | Unjudged]") -> int:
    """1 if any claim fails or its check raised, else 0."""
    return int(any(finding.verdict in ("fails", "error") for finding in findings))
