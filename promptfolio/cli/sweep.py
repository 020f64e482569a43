"""`promptfolio sweep`: a grid of experiments as independent cells, on one machine or many."""

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from promptfolio.cli.console import complain, console_for, show_notices, styled, table, tracking
from promptfolio.cli.cost import announce, require_disk, require_memory
from promptfolio.cli.options import LARGE_FIELDS, Resources
from promptfolio.cli.output import emit_json
from promptfolio.cli.plot import draw_to, require_figure
from promptfolio.cli.targets import require_targets
from promptfolio.sweep.cell import Cell, shown
from promptfolio.sweep.specification import Specification, read_specification
from promptfolio.sweep.store import Found, as_json, cell_path, find_cells, stored_path, sweep_states
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_CELL_SECONDS = 0.5
"""Of a cell beside its training: starting, now and then compiling, writing."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Run a grid of experiments, one netCDF file each; what is there already is not computed again.

    Exit status 1 if a cell fails: the others are computed all the same. docs/sweep.md explains specifications.
    """

    spec: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SPEC.toml")]
    """TOML file: [experiment] for what all cells share, [grid] and [[together]] for lists to vary."""
    out: str
    """Folder for the results; on a cluster, all machines must share it."""
    scheduler: str | None = None
    """Address of a Dask scheduler (tls://host:port) whose workers are used; if not given, processes of this
    machine."""
    workers: int | None = None
    """Processes on this machine; one per core if not given. 0 computes in this process, cell after cell."""
    threads: int | None = None
    """Cores for each of these processes; if not given, the machine's cores are divided among them."""
    status: bool = False
    """Only show which cells are done."""
    figure: str | None = None
    """Picture, PDF, PNG or SVG by its ending, of what shows the result best; plot draws others from files."""
    json: str | None = None
    """File for the cells and their states as JSON; - for standard output."""
    resources: Resources = dataclasses.field(default_factory=Resources)

    def execute(self) -> int:
        """Run the command and return its exit status."""
        specification = read_specification(self.spec)
        asked = self.json is not None or self.figure is not None
        cells = {cell_path(self.out, cell.name) for cell in specification.cells} if asked else ()
        require_figure("figure", self.figure)
        require_targets(
            {"json": self.json, "figure": self.figure},
            folders={"out": self.out},
            inputs={"spec": self.spec, "cells": cells},
        )
        return self._show(specification) if self.status else self._run(specification)

    def _show(self, specification: Specification) -> int:
        states = sweep_states(specification, self.out)
        self._emit([(cell, states[cell.name], "") for cell in specification.cells])
        console_for(self.json).print(_status_table(specification, states, self.out))
        return int("foreign" in states.values())

    def _run(self, specification: Specification) -> int:
        from promptfolio.sweep.execution import run_sweep

        if self.scheduler is not None and self.resources.compilation_cache is not None:
            raise ConfigurationError(
                "compilation_cache",
                self.resources.compilation_cache,
                "left out with a scheduler: its workers have their own",
            )
        self.resources.apply()
        there = None
        if self.scheduler is None:
            there = find_cells(specification, self.out)
            self._check_cost(specification, there)
        notices: list[str] = []
        with contextlib.ExitStack() as stack:
            stack.callback(show_notices, notices)
            tracker = stack.enter_context(tracking("sweeping"))
            outcomes = run_sweep(
                specification,
                self.out,
                workers=self.workers,
                threads=self.threads,
                scheduler=self.scheduler,
                memory=self.resources.memory,
                progress=tracker,
                notice=notices.append,
                there=there,
            )
        self._emit([(outcome.cell, outcome.state, outcome.reason) for outcome in outcomes])
        console = console_for(self.json)
        different = {outcome.cell.name: outcome for outcome in outcomes}.values()
        failed = [outcome for outcome in different if outcome.state == "failed"]
        if failed:
            rows = [(outcome.cell.name, str(outcome.cell), outcome.reason) for outcome in failed]
            console.print(table("Failed cells", ("name", "cell", "reason"), rows))
            complain(f"{len(failed)} of {len(different)} cells failed; {failed[0].cell}: {failed[0].reason}")
        counts = collections.Counter(outcome.state for outcome in different)
        said = f"{counts['computed']} computed, {counts['found']} there before, {counts['failed']} failed"
        console.print(
            f"{_counted(len(outcomes), len(different))}: {said}   folder: {self.out}", soft_wrap=True
        )
        if self.figure is not None and not failed:
            from promptfolio.plotting.sources import read_material

            draw_to(self.figure, read_material([self.spec, self.out]), console=console)
        return int(bool(failed))

    def _check_cost(self, specification: Specification, there: Mapping[str, Found]) -> None:
        """Refuse cells that this machine cannot hold, and say how long the missing ones will take."""
        from simulate.running.cost import cost_of

        missing = {cell.name: cell for cell in specification.cells if there[cell.name].state != "done"}
        costs = [cost_of(cell.experiment, self.resources.memory) for cell in missing.values()]
        force = self.resources.force
        require_memory(max((cost.memory for cost in costs), default=0), force, LARGE_FIELDS)
        require_disk(self.out, sum(cost.results for cost in costs), force, f"the grid, {LARGE_FIELDS}")
        announce(sum(cost.seconds + _CELL_SECONDS for cost in costs))

    def _emit(self, cells: list[tuple[Cell, str, str]]) -> None:
        records = []
        for cell, state, reason in cells:
            record: dict[str, Any] = {
                "name": cell.name,
                "varied": as_json(dict(cell.varied)),
                "state": state,
                "file": str(stored_path(self.out, cell.experiment)),
            }
            records.append({**record, "reason": reason} if reason else record)
        emit_json(self.json, {"spec": self.spec, "folder": str(pathlib.Path(self.out)), "cells": records})


_STYLES = {"done": "green", "missing": "yellow", "unreadable": "bold red", "foreign": "bold red"}


def _status_table(specification: Specification, states: Mapping[str, str], folder: str) -> "Table":
    rows: "list[list[str | Text]]" = []
    for number, cell in enumerate(specification.cells, start=1):
        state = states[cell.name]
        values = [shown(value) for _, value in cell.varied]
        rows.append(
            [str(number), *values, styled(state, _STYLES[state]), stored_path(folder, cell.experiment).name]
        )
    done = sum(state == "done" for state in states.values())
    title = f"{_counted(len(rows), len(states))}: {done} done, {len(states) - done} to do"
    return table(title, (">cell", *(f">{field}" for field in specification.varied), "state", "file"), rows)


def _counted(cells: int, different: int) -> str:
    noun = "cell" if cells == 1 else "cells"
    return f"{cells} {noun}" + (f" ({different} different experiments)" if different < cells else "")
