"""`promptfolio check`: check claims by simulation."""

import contextlib
import dataclasses
import pathlib
from typing import TYPE_CHECKING

from promptfolio.cli.console import console_for
from promptfolio.cli.findings import (
    exit_status,
    findings_table,
    run_checks,
    show_errors,
    start_workers,
    without_data,
)
from promptfolio.cli.mutants import check_mutants
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import emit_json, write_text
from promptfolio.cli.targets import require_targets
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from promptfolio.checks.checking import Checked
    from promptfolio.checks.claim import Scale
    from promptfolio.checks.unjudged import Unjudged


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
    """Instead, plant faults in the code one at a time, and check that claims, or tests of a checkout, fail."""
    faults: tuple[str, ...] = ()
    """With --mutants: names of the faults to plant; all, or all of the claims given, when none is given."""
    record: str | None = None
    """With --mutants: JSON file that records, for every fault, what failed and when it was planted."""
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

        require_targets(
            {"json": self.json, "report": self.report, "record": self.record},
            inputs={"claims": [claim for claim in self.claims if is_file(claim)]},
        )
        if self.record is not None and not self.mutants:
            raise ConfigurationError("record", self.record, "given together with --mutants")
        if self.faults and not self.mutants:
            raise ConfigurationError("faults", self.faults, "given together with --mutants")
        if self.mutants and self.report is not None:
            raise ConfigurationError("report", self.report, "given without --mutants")
        if self.mutants and any(map(is_file, self.claims)):
            raise ConfigurationError("claims", self.claims, "names of the project's claims, with --mutants")
        references = resolve(self.claims)
        self.compilation.apply()
        if self.mutants:
            return check_mutants(references, self.faults, self.json, self.record)
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
