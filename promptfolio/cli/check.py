"""`promptfolio check`: hold claims against the simulator."""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from promptfolio.cli.console import console_for, table, tracking
from promptfolio.cli.mutants import as_records as mutant_records
from promptfolio.cli.mutants import outcomes_table, try_mutants
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import emit_json, require_json_target

if TYPE_CHECKING:
    from rich.table import Table

    from promptfolio.checks.claim import Finding, Scale
    from promptfolio.checks.registry import Checked


_MOST_WORKERS = 3
"""Processes at once. Each takes a gigabyte or more, and with more of them the longest claim would set the time."""


@dataclasses.dataclass(frozen=True)
class Check:
    """Check the theory's claims by simulation; exit status 1 if one fails, or a planted fault goes unnoticed."""

    claims: tuple[str, ...] = ()
    """Claims to check, by name; all of them when none is given."""
    quick: bool = False
    """Smaller sizes: a minute or two instead of several."""
    mutants: bool = False
    """Instead, plant faults in the code one at a time, and see that the claims notice."""
    json: str | None = None
    """File for the findings as JSON; - for standard output."""
    compilation: Compilation = dataclasses.field(default_factory=Compilation)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from promptfolio.checks.registry import CLAIMS, require_claim
        from promptfolio.checks.report import as_records

        require_json_target(self.json)
        for name in self.claims:
            require_claim(name)
        self.compilation.apply()
        if self.mutants:
            outcomes = try_mutants(self.claims)
            emit_json(self.json, mutant_records(outcomes))
            console_for(self.json).print(outcomes_table(outcomes))
            return int(not all(outcome.killed for outcome in outcomes))
        names = tuple(dict.fromkeys(self.claims)) or CLAIMS
        # One claim needs no process of its own.
        with start_workers() if len(names) > 1 else contextlib.nullcontext() as workers:
            checked = run_checks(names, "quick" if self.quick else "full", workers)
        findings = [each.finding for each in checked]
        emit_json(self.json, as_records(findings))
        console_for(self.json).print(findings_table(findings))
        return exit_status(findings)


def start_workers() -> contextlib.AbstractContextManager[Executor]:
    """As many processes as this machine has cores for, up to a few."""
    from promptfolio.checks.workers import worker_processes

    return worker_processes(min(_MOST_WORKERS, os.cpu_count() or 1))


def run_checks(
    names: tuple[str, ...],
    scale: "Scale",
    workers: Executor | None,
    receive: "Callable[[Checked], None]" = lambda checked: None,
) -> "list[Checked]":
    """Check claims under a progress bar.

    Args:
        names: the claims.
        scale: quick or full.
        workers: processes to check them in; None checks them here.
        receive: told each finding as soon as it is there.

    Returns:
        The findings in the order of the names.
    """
    from promptfolio.checks.registry import check_claims

    checked: dict[str, Checked] = {}
    with tracking("checking") as tracker:
        for each in check_claims(names, scale, workers):
            name = each.finding.claim.name
            checked[name] = each
            tracker.describe(f"checked {name}")
            tracker(len(checked), len(names))
            receive(each)
    return [checked[name] for name in names]


def findings_table(findings: "list[Finding]") -> "Table":
    """One line per claim."""
    styles = {"holds": "green", "fails": "bold red", "not applicable": "yellow"}
    rows = [
        (
            finding.claim.name,
            finding.claim.equation,
            finding.claim.provenance,
            finding.claim.bound,
            f"{finding.worst.margin:.3g}",
            f"[{styles[finding.verdict]}]{finding.verdict}[/]",
        )
        for finding in findings
    ]
    return table("Claims", ("claim", "equation", "provenance", "bound", ">margin", "verdict"), rows)


def exit_status(findings: "list[Finding]") -> int:
    """1 if any claim fails, else 0."""
    return int(any(finding.verdict == "fails" for finding in findings))
