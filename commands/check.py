"""`promptfolio check`: hold claims against the simulator."""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING

from commands.console import console_for, table, tracking
from commands.mutants import as_records as mutant_records
from commands.mutants import outcomes_table, try_mutants
from commands.output import emit_json, require_json_target, write_dataset

if TYPE_CHECKING:
    from rich.table import Table

    from checks.claim import Finding, Scale
    from checks.registry import Checked


_WORKERS = 2
"""Claims at once. More would save little time (the arrays' arithmetic uses all cores) and cost memory."""


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

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from checks.registry import CLAIMS, load_claim
        from checks.report import as_records

        require_json_target(self.json)
        names = self.claims or CLAIMS
        for name in names:
            load_claim(name)
        if self.mutants:
            outcomes = try_mutants(self.claims)
            emit_json(self.json, mutant_records(outcomes))
            console_for(self.json).print(outcomes_table(outcomes))
            return int(not all(outcome.killed for outcome in outcomes))
        checked = run_checks(names, "quick" if self.quick else "full", None)
        findings = [each.finding for each in checked]
        emit_json(self.json, as_records(findings))
        console_for(self.json).print(findings_table(findings))
        return exit_status(findings)


def run_checks(names: tuple[str, ...], scale: "Scale", data_folder: pathlib.Path | None) -> "list[Checked]":
    """Check claims under a progress bar, saving each claim's dataset as soon as it is there."""
    from checks.registry import check_claims

    checked: list[Checked] = []
    with tracking("checking") as tracker:

        def announce(name: str) -> None:
            tracker.describe(f"checking {name}")

        for each in check_claims(names, scale, announce, workers=min(_WORKERS, os.cpu_count() or 1)):
            checked.append(each)
            tracker(len(checked), len(names))
            if data_folder is not None:
                write_dataset(data_folder / f"{each.finding.claim.name}.nc", each.data)
    return checked


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
