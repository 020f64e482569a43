"""`promptfolio reproduce`: the main job, from simulation to report."""

import dataclasses
import pathlib
from concurrent.futures import wait
from typing import TYPE_CHECKING

from promptfolio.cli.console import complain, console_for
from promptfolio.cli.figures import figure_files
from promptfolio.cli.findings import findings_table, run_checks, start_workers
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import emit_json, write_text
from promptfolio.cli.record import Record
from promptfolio.cli.targets import require_targets
from promptfolio.documents import read_document

if TYPE_CHECKING:
    from promptfolio.checks.claim import Scale


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Check all claims, draw all figures and write paper_checks.md; exit status 1 if a claim fails.

    The report and summary.json in the folder are written anew after each claim, so that the results of an
    interrupted run are kept. A check or a figure that raises an exception is named in them (exit status 1); the
    others go on.
    """

    quick: bool = False
    """Smaller sizes, for a first look."""
    out: str = "out"
    """Folder for data, figures, paper_checks.md and summary.json."""
    report: str | None = None
    """Second path for paper_checks.md, written once it is complete."""
    pictures: str | None = None
    """Another folder for the figures."""
    claims: tuple[str, ...] = ()
    """Files (.py) of claims of your own, checked and reported after the project's."""
    bank: tuple[str, ...] = ()
    """Feature banks (.npz) for the audit of the released code; without one, a synthetic bank."""
    against: str | None = None
    """A report to compare claims and verdicts with; exit status 1 if they differ (measured numbers may)."""
    json: str | None = None
    """File for the summary as JSON; - for standard output."""
    compilation: Compilation = dataclasses.field(default_factory=Compilation)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from promptfolio.audit import run_audit
        from promptfolio.audit.setting import audit_setting
        from promptfolio.checks.registry import all_claims, file_of, name_of, resolve
        from promptfolio.checks.staleness import first_difference
        from promptfolio.companion.banks import load_banks
        from simulate.results.provenance import provenance

        out = pathlib.Path(self.out)
        pictures = pathlib.Path(self.pictures or out / "figures")
        references = resolve((*all_claims(), *self.claims))
        names = [f"data/{name_of(reference)}.nc" for reference in references]
        require_targets(
            {
                "json": self.json,
                "report": self.report,
                "pictures": figure_files(pictures),
                "out": [out / name for name in ("paper_checks.md", "summary.json", *names)],
            },
            folders={"out": out, "pictures": pictures},
            inputs={"bank": self.bank, "claims": self.claims, "against": self.against},
        )
        expected = None if self.against is None else read_document("against", self.against, "a report")
        banks = load_banks(self.bank)
        scale: Scale = "quick" if self.quick else "full"
        self.compilation.apply()
        audit_setting(scale, banks)  # refuses a bank that cannot be divided, before any work

        files = {name_of(reference): file_of(reference) for reference in references}
        with start_workers() as workers:
            audit = workers.submit(run_audit, scale, banks)
            record = Record(files, scale, out, pictures, audit, provenance())
            run_checks(references, scale, workers, record.receive)
            wait([audit])
        record.write()
        if self.report is not None:
            # Only now, so that an unfinished report never replaces one that is kept elsewhere.
            path = pathlib.Path(self.report)
            write_text(path, record.report(path.parent))
        emit_json(self.json, record.summary())

        console = console_for(self.json)
        console.print(findings_table(record.findings))
        report_path = self.report or out / "paper_checks.md"
        console.print(f"report: {report_path}   figures: {pictures}   data: {out / 'data'}")
        record.show_problems()
        status = record.exit_status
        if expected is not None and (stale := first_difference(expected, record.report(out))):
            complain(f"{self.against} is stale: {stale}")
            status = 1
        return status
