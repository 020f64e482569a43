"""Results of `promptfolio reproduce` so far, written to disk after each claim, so that no later failure loses
them."""

import os
import pathlib
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from promptfolio.cli.console import complain
from promptfolio.cli.figures import draw_all
from promptfolio.cli.findings import exit_status, show_errors, without_data
from promptfolio.cli.output import emit_json, write_dataset, write_text

if TYPE_CHECKING:
    import xarray as xr

    from promptfolio.checks.checking import Checked
    from promptfolio.checks.claim import Finding, Scale
    from promptfolio.checks.report import Picture
    from promptfolio.checks.unjudged import Unjudged

    AuditResults = tuple[Checked | Unjudged, ...]


class Record:
    """Findings, datasets and figures of one run, and the report on them, written anew after each claim.

    Args:
        files: file of every claim by name, in the order of the report.
        scale: quick or full.
        out: folder for data, the report and summary.json.
        pictures: folder for the figures.
        audit: the audit of the released code, running in a worker process.
        about: further entries of summary.json, such as versions.
    """

    def __init__(
        self,
        files: dict[str, str],
        scale: "Scale",
        out: pathlib.Path,
        pictures: pathlib.Path,
        audit: "Future[AuditResults]",
        about: dict[str, Any],
    ):
        self._files, self._scale, self._about = files, scale, about
        self._out, self._pictures, self._audit = out, pictures, audit
        self._found: dict[str, Finding | Unjudged] = {}
        self._datasets: dict[str, xr.Dataset] = {}
        self._figures: dict[str, str | None] = {}
        self._problems: list[str] = []
        self._started = time.perf_counter()

    @property
    def findings(self) -> "list[Finding | Unjudged]":
        """Results of the claims so far, in the order of the report."""
        return [self._found[name] for name in self._files if name in self._found]

    @property
    def problems(self) -> list[str]:
        """Other failures, one sentence each: datasets not saved, figures not drawn, an audit that raised an
        exception."""
        figures = [f"Figure {name} is not drawn: {error}" for name, error in self._figures.items() if error]
        return [*self._problems, *figures, *self._audit_problem()]

    @property
    def exit_status(self) -> int:
        """1 if a claim or a finding of the audit fails, or anything raised an exception; else 0."""
        audited = [without_data(each) for each in self._audited()]
        return max(int(bool(self.problems)), exit_status([*self.findings, *audited]))

    def receive(self, checked: "Checked | Unjudged") -> None:
        """Take the result of a claim: save its dataset, draw the figures whose datasets are now complete, write
        the report."""
        from promptfolio.checks.unjudged import Unjudged
        from promptfolio.error_text import described

        self._found[checked.name] = without_data(checked)
        # First, so that the finding is on disk whatever happens to data and figures.
        self.write()
        if isinstance(checked, Unjudged):
            return
        self._datasets[checked.name] = checked.data
        try:
            write_dataset(self._out / "data" / f"{checked.name}.nc", checked.data)
        except Exception as error:
            self._problems.append(f"The data of {checked.name} are not saved: {described(error)}")
        self._figures |= draw_all(self._datasets, self._pictures, but=self._figures)
        self.write()

    def show_problems(self) -> None:
        """Print failures on standard error, with the traceback of every check that raised an exception."""
        show_errors(self.findings)
        show_errors([without_data(each) for each in self._audited()])
        for problem in self.problems:
            complain(f"{problem}")

    def write(self) -> None:
        """Write paper_checks.md and summary.json into the folder, each whole."""
        write_text(self._out / "paper_checks.md", self.report(self._out))
        emit_json(str(self._out / "summary.json"), self.summary())

    def report(self, folder: pathlib.Path) -> str:
        """The report on the results so far, with paths of figures relative to a folder."""
        from promptfolio.audit import audit_section
        from promptfolio.checks.report import report

        audited = self._audited()
        pictures = self._shown(pathlib.Path(os.path.relpath(self._pictures, folder)))
        return report(
            self.findings,
            self._scale,
            pictures,
            audit_section(audited) if audited else "",
            files=self._files,
            missing=self._missing(),
            problems=self.problems,
        )

    def summary(self) -> dict[str, Any]:
        """The results so far, as plain dictionaries for JSON."""
        from promptfolio.checks.records import as_records

        return {
            "scale": self._scale,
            "seconds": round(time.perf_counter() - self._started, 1),
            **self._about,
            "missing": self._missing(),
            "problems": self.problems,
            "claims": as_records(self.findings),
            "audit": as_records([without_data(each) for each in self._audited()]),
        }

    def _missing(self) -> list[str]:
        """What has no result yet: claims by name, and the audit."""
        claims = [name for name in self._files if name not in self._found]
        return claims if self._audit.done() else [*claims, "the audit of the released code"]

    def _audited(self) -> "AuditResults":
        """The audit's findings; empty before it is finished, and if it raised an exception."""
        return self._audit.result() if self._audit.done() and not self._audit_problem() else ()

    def _audit_problem(self) -> list[str]:
        from promptfolio.error_text import described

        error = self._audit.exception() if self._audit.done() else None
        return [f"The audit of the released code broke off: {described(error)}"] if error else []

    def _shown(self, pictures: pathlib.Path) -> "dict[str, Picture]":
        """The figures drawn so far: paths below a folder, and captions, in the order of the report."""
        from figures.registry import figure_names, load_figure
        from promptfolio.checks.report import Picture

        drawn = [name for name in figure_names() if self._figures.get(name, "not tried") is None]
        return {
            name: Picture((pictures / f"{name}.png").as_posix(), load_figure(name).CAPTION) for name in drawn
        }
