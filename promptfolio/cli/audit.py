"""`promptfolio audit`: demonstrate what the authors' released code does differently."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from promptfolio.cli.console import coloured, console_for, table, tracking
from promptfolio.cli.findings import show_errors
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import emit_json, write_text
from promptfolio.cli.targets import require_targets

if TYPE_CHECKING:
    from promptfolio.checks.checking import Checked
    from promptfolio.checks.unjudged import Unjudged


@dataclasses.dataclass(frozen=True)
class Audit:
    """Demonstrate what the authors' released code does differently; exit status 1 if an effect does not show."""

    bank: tuple[str, ...] = ()
    """Feature banks (.npz); without one a synthetic bank is drawn, and every output is marked as synthetic."""
    quick: bool = False
    """Smaller sizes."""
    out: str | None = None
    """File for the report as Markdown."""
    json: str | None = None
    """File for the findings as JSON; - for standard output."""
    compilation: Compilation = dataclasses.field(default_factory=Compilation)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from promptfolio.audit.registry import observation_names, run_audit
        from promptfolio.audit.report import as_records, audit_section
        from promptfolio.checks.unjudged import Unjudged
        from promptfolio.companion.banks import load_banks

        require_targets({"out": self.out, "json": self.json}, inputs={"bank": self.bank})
        banks = load_banks(self.bank)
        self.compilation.apply()
        with tracking("auditing") as tracker:
            names = observation_names()

            def announce(name: str) -> None:
                tracker.describe(f"auditing {name}")
                tracker(names.index(name), len(names))

            results = run_audit("quick" if self.quick else "full", banks, announce)
        if self.out is not None:
            write_text(pathlib.Path(self.out), audit_section(results))
        emit_json(self.json, as_records(results))
        self._show(results)
        holds = [not isinstance(each, Unjudged) and each.finding.verdict == "holds" for each in results]
        return int(not all(holds))

    def _show(self, results: "Sequence[Checked | Unjudged]") -> None:
        from promptfolio.audit.registry import load_observation
        from promptfolio.checks.unjudged import Unjudged

        console = console_for(self.json)
        if not self.bank:
            console.print(
                "[bold]SYNTHETIC[/] feature bank: give --bank for real CLIP features", soft_wrap=True
            )
        columns = ("observation", "provenance", "measured effect", "verdict")
        rows = []
        for each in results:
            if isinstance(each, Unjudged):
                rows.append((each.name, "", escape(each.error), coloured(each.verdict)))
                continue
            effect = escape(load_observation(each.name).effect(each.data))
            rows.append((each.name, each.finding.claim.provenance, effect, coloured(each.finding.verdict)))
        console.print(table("Audit of the released code", columns, rows))
        for each in results:
            if not isinstance(each, Unjudged):
                for shown in load_observation(each.name).tables(each.data):
                    console.print(table(shown.caption, shown.columns, shown.rows))
        show_errors([each for each in results if isinstance(each, Unjudged)])
