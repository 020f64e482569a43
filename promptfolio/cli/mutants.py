"""`promptfolio check --mutants`: plant faults, and check that claims and tests fail."""

import difflib
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from promptfolio.cli.console import console_for, show_notices, styled, table, tracking
from promptfolio.cli.output import emit_json
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from promptfolio.checks.mutant import Mutant
    from promptfolio.checks.mutation import Outcome


_MOST_WORKERS = 8
"""Each mutant's process takes up to a gigabyte."""


def check_mutants(
    claims: tuple[str, ...], faults: tuple[str, ...], json: str | None, record: str | None
) -> int:
    """Plant faults, print the outcomes, and return the exit status: 1 if a fault is not detected.

    Outside a checkout, faults that only its tests notice are named on standard error and not planted.

    Args:
        claims: plant only faults that should make one of these fail; all faults when none is given.
        faults: plant only these; all faults when none is given.
        json: file for the outcomes as JSON; - for standard output.
        record: JSON file of the record to update; None keeps no record.

    Raises:
        ConfigurationError: there is no fault of such a name, or the file is not a record.
    """
    chosen = _plantable(_chosen(claims, faults))
    from promptfolio.checks.fault_record import read_record

    before = () if record is None else read_record(pathlib.Path(record))
    outcomes = _try_mutants(chosen)
    if record is not None:
        from promptfolio.checks.fault_record import renewed
        from simulate.results.provenance import provenance

        emit_json(record, [each._asdict() for each in renewed(before, outcomes, provenance())])
    emit_json(json, _as_records(outcomes))
    console_for(json).print(_outcomes_table(outcomes))
    return int(not all(outcome.killed for outcome in outcomes))


def _chosen(claims: tuple[str, ...], faults: tuple[str, ...]) -> "list[Mutant]":
    from promptfolio.checks.mutants import MUTANTS

    names = {mutant.name for mutant in MUTANTS}
    for fault in faults:
        if fault not in names:
            near = difflib.get_close_matches(fault, names, n=5, cutoff=0)
            raise ConfigurationError(
                "faults", fault, f"one of {len(names)} faults, such as {', '.join(near)}"
            )
    return [
        mutant
        for mutant in MUTANTS
        if (not claims or set(claims) & set(mutant.caught_by)) and (not faults or mutant.name in faults)
    ]


def _plantable(mutants: "Sequence[Mutant]") -> "Sequence[Mutant]":
    """Those whose detectors can run here; the others are named."""
    from promptfolio.checks.detectors import can_run_tests

    left = [] if can_run_tests() else [mutant.name for mutant in mutants if mutant.needs_checkout]
    if left:
        show_notices(
            [
                f"{len(left)} faults are not planted, as tests notice them, and those need a checkout"
                f" with the extra `test`: {', '.join(left)}"
            ]
        )
    return [mutant for mutant in mutants if mutant.name not in left]


def _try_mutants(chosen: "Sequence[Mutant]") -> "list[Outcome]":
    """Outcomes in the order in which the faults are listed."""
    from promptfolio.checks.mutation import run_mutants

    outcomes: list[Outcome] = []
    with tracking("planting faults") as tracker:
        for outcome in run_mutants(chosen, workers=min(os.cpu_count() or 1, _MOST_WORKERS)):
            outcomes.append(outcome)
            tracker(len(outcomes), len(chosen))
    position = {mutant.name: number for number, mutant in enumerate(chosen)}
    return sorted(outcomes, key=lambda outcome: position[outcome.mutant.name])


def _outcomes_table(outcomes: "list[Outcome]") -> "Table":
    """One line per mutant."""
    rows = [
        (
            outcome.mutant.name,
            outcome.mutant.module,
            outcome.mutant.fault,
            ", ".join(f"{name}: {verdict}" for name, verdict in outcome.verdicts.items()),
            styled("killed", "green") if outcome.killed else styled("survives", "bold red"),
        )
        for outcome in outcomes
    ]
    killed = sum(outcome.killed for outcome in outcomes)
    title = f"Mutants: {killed} of {len(outcomes)} killed"
    return table(title, ("mutant", "module", "fault", "verdicts", "outcome"), rows)


def _as_records(outcomes: "list[Outcome]") -> list[dict[str, Any]]:
    """Outcomes as plain dictionaries for JSON."""
    return [
        {
            "mutant": outcome.mutant.name,
            "module": outcome.mutant.module,
            "fault": outcome.mutant.fault,
            "verdicts": outcome.verdicts,
            "killed": outcome.killed,
            "seconds": round(outcome.seconds, 1),
        }
        for outcome in outcomes
    ]
