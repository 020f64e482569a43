"""`promptfolio check`: check claims by simulation."""

import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from rich.markup import escape

from promptfolio.cli.console import console_for, table, tracking
from promptfolio.cli.mutants import check_mutants
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import emit_json, require_json_target, require_writable_file, write_text
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from promptfolio.checks.checking import Checked
    from promptfolio.checks.claim import Finding, Scale
    from promptfolio.checks.unjudged import Unjudged


_MOST_WORKERS = 3
"""Largest number of processes. Each takes a gigabyte or more; with more, the longest claim would set the time."""


@dataclasses.dataclass(frozen=True)
class Check:
    """Check the theory's claims by simulation; exit status 1 if one fails, or a planted fault is not detected.

    A check that raises an exception gets the verdict "error" (exit status 1), and the others go on; findings of an
    interrupted check are shown.
    """

    claims: tuple[str, ...] = ()
    """Claims to check: names of the project's, files (.py) of your own; all of the project's when none is given."""
    quick: bool = False
    """Smaller sizes, for a first look."""
    mutants: bool = False
    """Instead, plant faults in the code one at a time, and check that the claims fail."""
    record: str | None = None
    """With --mutants: JSON file that records, for every fault, which claims failed and when it was planted."""
    report: str | None = None
    """File for the findings as Markdown, with a section for each claim."""
    json: str | None = None
    """File for the findings as JSON; - for standard output."""
    compilation: Compilation = dataclasses.field(default_factory=Compilation)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from promptfolio.checks.records import as_records
        from promptfolio.checks.registry import all_claims, file_of, is_file, name_of, resolve
        from promptfolio.checks.report import claims_report

        require_json_target(self.json)
        require_writable_file("report", self.report)
        require_writable_file("record", self.record)
        if self.record is not None and not self.mutants:
            raise ConfigurationError("record", self.record, "given together with --mutants")
        if self.mutants and self.report is not None:
            raise ConfigurationError("report", self.report, "given without --mutants")
        if self.mutants and any(map(is_file, self.claims)):
            raise ConfigurationError("claims", self.claims, "names of the project's claims, with --mutants")
        references = resolve(self.claims)
        self.compilation.apply()
        if self.mutants:
            return check_mutants(references, self.json, self.record)
        references = references or all_claims()
        files = {name_of(reference): file_of(reference) for reference in references}
        scale: Scale = "quick" if self.quick else "full"
        found: dict[str, Checked | Unjudged] = {}

        def receive(each: "Checked | Unjudged") -> None:
            found[each.name] = each

        try:
            # One claim needs no process of its own.
            with start_workers() if len(references) > 1 else contextlib.nullcontext() as workers:
                run_checks(references, scale, workers, receive)
        finally:
            findings = [without_data(found[name]) for name in files if name in found]
            missing = [name for name in files if name not in found]
            not_checked = [{"name": name, "verdict": "not checked"} for name in missing]
            emit_json(self.json, [*as_records(findings), *not_checked])
            if self.report is not None:
                written = claims_report(findings, scale, files=files, missing=missing)
                write_text(pathlib.Path(self.report), written)
            console_for(self.json).print(findings_table(findings, len(missing)))
            show_errors(findings)
        return exit_status(findings)


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

    styles = {"holds": "green", "fails": "bold red", "not applicable": "yellow", "error": "bold red"}
    rows = []
    for finding in findings:
        verdict = f"[{styles[finding.verdict]}]{finding.verdict}[/]"
        if isinstance(finding, Unjudged):
            rows.append((finding.name, "", "", "", "", f"{verdict}: {escape(finding.error)}"))
            continue
        claim = finding.claim
        slack = slack_of(finding.worst)
        rows.append((claim.name, claim.equation, claim.provenance, claim.bound, slack, verdict))
    title = f"Claims: {missing} not checked" if missing else "Claims"
    return table(title, ("claim", "equation", "provenance", "bound", ">slack", "verdict"), rows)


def show_errors(findings: "Sequence[Finding | Unjudged]") -> None:
    """Print the traceback of every check that raised, on standard error."""
    from promptfolio.checks.unjudged import Unjudged

    for finding in findings:
        if isinstance(finding, Unjudged):
            print(f"promptfolio: {finding.name} raised an exception\n{finding.trace}", file=sys.stderr)


def exit_status(findings: "Sequence[Finding | Unjudged]") -> int:
    """1 if any claim fails or its check raised, else 0."""
    return int(any(finding.verdict in ("fails", "error") for finding in findings))
