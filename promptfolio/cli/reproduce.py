"""`promptfolio reproduce`: the main job, from simulation to report."""

import dataclasses
import os
import pathlib
import sys
import time
from typing import TYPE_CHECKING

from promptfolio.cli.check import exit_status, findings_table, run_checks, start_workers
from promptfolio.cli.console import console_for
from promptfolio.cli.figures import draw_all
from promptfolio.cli.options import Compilation
from promptfolio.cli.output import (
    emit_json,
    require_json_target,
    require_writable_file,
    require_writable_folder,
    write_dataset,
    write_text,
)
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    import xarray as xr

    from promptfolio.checks.claim import Scale
    from promptfolio.checks.registry import Checked
    from promptfolio.checks.report import Picture


@dataclasses.dataclass(frozen=True)
class Reproduce:
    """Check all claims, draw all figures and write paper_checks.md; exit status 1 if a claim fails, or differs."""

    quick: bool = False
    """Smaller sizes: a minute or two instead of several."""
    out: str = "out"
    """Folder for data, figures, paper_checks.md and summary.json."""
    report: str | None = None
    """Another path for paper_checks.md."""
    pictures: str | None = None
    """Another folder for the figures."""
    bank: tuple[str, ...] = ()
    """Feature banks (.npz) for the audit of the released code; without one, a synthetic bank."""
    against: str | None = None
    """A report to hold claims and verdicts against; exit status 1 if they differ (digits may)."""
    json: str | None = None
    """File for the summary as JSON; - for standard output."""
    compilation: Compilation = dataclasses.field(default_factory=Compilation)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        from promptfolio.audit import audit_section, run_audit
        from promptfolio.checks.registry import CLAIMS
        from promptfolio.checks.report import as_records, first_difference, report
        from promptfolio.companion import load_bank
        from simulate.results.provenance import provenance

        out = pathlib.Path(self.out)
        report_path = pathlib.Path(self.report or out / "paper_checks.md")
        pictures = pathlib.Path(self.pictures or out / "figures")
        require_writable_folder("out", self.out)
        require_writable_folder("pictures", self.pictures)
        require_writable_file("report", self.report)
        require_json_target(self.json)
        expected = None if self.against is None else _read(self.against)
        banks = [load_bank(path) for path in self.bank]
        self.compilation.apply()

        started = time.perf_counter()
        scale: Scale = "quick" if self.quick else "full"
        with start_workers() as workers:
            audit = workers.submit(run_audit, scale, banks)
            checked = run_checks(CLAIMS, scale, workers, _Keeper(out / "data", pictures))
            audited = audit.result()
        findings = [each.finding for each in checked]
        shown = _shown(pathlib.Path(os.path.relpath(pictures, report_path.parent)))
        written = report(findings, scale, shown, audit_section(audited))
        write_text(report_path, written)
        summary = {
            "scale": scale,
            "seconds": round(time.perf_counter() - started, 1),
            **provenance(),
            "claims": as_records(findings),
            "audit": as_records([each.finding for each in audited]),
        }
        emit_json(str(out / "summary.json"), summary)
        emit_json(self.json, summary)

        console = console_for(self.json)
        console.print(findings_table(findings))
        console.print(f"report: {report_path}   figures: {pictures}   data: {out / 'data'}")
        status = exit_status([*findings, *(each.finding for each in audited)])
        if expected is not None and (stale := first_difference(expected, written)):
            print(f"promptfolio: {self.against} is stale: {stale}", file=sys.stderr)
            status = 1
        return status


class _Keeper:
    """Saves every claim's dataset, and draws each figure, as soon as it can."""

    def __init__(self, data: pathlib.Path, pictures: pathlib.Path):
        self._data, self._pictures = data, pictures
        self._datasets: dict[str, xr.Dataset] = {}
        self._drawn: list[str] = []

    def __call__(self, checked: "Checked") -> None:
        name = checked.finding.claim.name
        self._datasets[name] = checked.data
        write_dataset(self._data / f"{name}.nc", checked.data)
        self._drawn += draw_all(self._datasets, self._pictures, but=self._drawn)


def _shown(pictures: pathlib.Path) -> "dict[str, Picture]":
    """Every figure for the report: its path seen from there, and its caption."""
    from figures.registry import FIGURES, load_figure
    from promptfolio.checks.report import Picture

    return {
        name: Picture((pictures / f"{name}.png").as_posix(), load_figure(name).CAPTION) for name in FIGURES
    }


def _read(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("against", path, f"a report that can be read ({error})") from None
