"""`promptfolio bench`: time the toolkit and plain training loops."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING

from promptfolio.bench.cases import CASES, CaseName
from promptfolio.cli.console import complain, console_for, table, tracking
from promptfolio.cli.output import emit_json, write_figure, write_text
from promptfolio.cli.targets import require_targets
from promptfolio.documents import read_document
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from promptfolio.bench.report import Report


@dataclasses.dataclass(frozen=True)
class Bench:
    """Time whole sweeps, and the same training as plain PyTorch, NumPy and JAX loops, in one run.

    Speeds depend on the machine; quote the ratios. The PyTorch loop needs the extra `reference`. A sweep whose
    fresh process fails or is killed is named, with exit status 1; the others are measured.
    """

    cases: tuple[CaseName, ...] = CASES
    """Sweeps to time."""
    scaling: bool = False
    """Also time the toolkit against seeds, θ points, clients, samples, noise dimension, rounds and devices."""
    quick: bool = False
    """Small sweeps, to check that everything works."""
    record: str | None = None
    """Folder in which to put the results into README.md, between its marker lines, with a figure."""
    json: str | None = None
    """File for all numbers as JSON; - for standard output."""

    def execute(self) -> int:
        """Run the command and return its exit status."""
        self._check()
        document = self._document()
        lost: dict[str, str] = {}
        report = self._measure(lost)
        # What is recorded stays as it is when a part of it would be missing.
        if self.record is not None and not lost:
            from figures.style import in_style
            from promptfolio.bench.figure import caption, draw
            from promptfolio.bench.report import FIGURE, markdown, replaced

            folder = pathlib.Path(self.record)
            with in_style():
                write_figure(folder, FIGURE, draw(report))
            write_text(folder / "README.md", replaced(document, markdown(report, caption(report))))
        self._show(report)
        for name, reason in lost.items():
            complain(f"{name} is not measured: {reason}")
        if lost and self.record is not None:
            complain(f"nothing is recorded in {self.record}")
        return int(bool(lost))

    def _check(self) -> None:
        if not self.cases or len(set(self.cases)) != len(self.cases):
            raise ConfigurationError("cases", self.cases, f"some of {', '.join(CASES)}, each once")
        written = []
        if self.record is not None:
            from promptfolio.bench.report import FIGURE

            names = ("README.md", f"{FIGURE}.png", f"{FIGURE}.pdf")
            written = [pathlib.Path(self.record) / name for name in names]
        require_targets({"json": self.json, "record": written}, folders={"record": self.record})

    def _document(self) -> str:
        """The document to put results into; raises ConfigurationError if it lacks the marker lines."""
        from promptfolio.bench.report import blank_document, replaced

        path = pathlib.Path(self.record or ".") / "README.md"
        if self.record is None or not path.exists():
            return blank_document()
        document = read_document("record", path, "a document")
        replaced(document, "")
        return document

    def _measure(self, lost: dict[str, str]) -> "Report":
        from promptfolio.bench.cases import cases
        from promptfolio.bench.comparison import QUICK, Effort, compare
        from promptfolio.bench.machine import this_machine
        from promptfolio.bench.report import Report
        from promptfolio.bench.scaling import measure_scaling

        effort = QUICK if self.quick else Effort()
        with tracking("bench") as tracker:
            comparison = compare(
                cases(self.cases, quick=self.quick), effort, tracker.describe, lost.__setitem__
            )
            curves = (
                measure_scaling(
                    turns=effort.scaling_turns,
                    quick=self.quick,
                    describe=tracker.describe,
                    lose=lost.__setitem__,
                )
                if self.scaling
                else ()
            )
        return Report(this_machine(), self.quick, effort.turns, comparison, curves, effort.square)

    def _show(self, report: "Report") -> None:
        from promptfolio.bench.report import as_record, notes, tables

        emit_json(self.json, as_record(report))
        console = console_for(self.json)
        for one in tables(report):
            console.print(table(one.title, one.columns, one.rows))
        for note in notes(report):
            console.print(f"• {note}")
