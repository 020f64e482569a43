"""`promptfolio check --mutants`: plant faults, and see that claims notice."""

import os
from typing import TYPE_CHECKING, Any

from promptfolio.cli.console import table, tracking

if TYPE_CHECKING:
    from rich.table import Table

    from promptfolio.checks.mutation import Outcome


MOST_WORKERS = 8
"""Each mutant's process takes up to a gigabyte."""


def try_mutants(claims: tuple[str, ...]) -> "list[Outcome]":
    """Plant the faults that some of the claims should notice (all of them when none is given)."""
    from promptfolio.checks.mutants import MUTANTS
    from promptfolio.checks.mutation import run_mutants

    chosen = [mutant for mutant in MUTANTS if not claims or set(claims) & set(mutant.caught_by)]
    outcomes: list[Outcome] = []
    with tracking("planting faults") as tracker:
        for outcome in run_mutants(chosen, workers=min(os.cpu_count() or 1, MOST_WORKERS)):
            outcomes.append(outcome)
            tracker(len(outcomes), len(chosen))
    position = {mutant.name: number for number, mutant in enumerate(MUTANTS)}
    return sorted(outcomes, key=lambda outcome: position[outcome.mutant.name])


def outcomes_table(outcomes: "list[Outcome]") -> "Table":
    """One line per mutant."""
    rows = [
        (
            outcome.mutant.name,
            outcome.mutant.module,
            outcome.mutant.fault,
            ", ".join(f"{name}: {verdict}" for name, verdict in outcome.verdicts.items()),
            "[green]killed[/]" if outcome.killed else "[bold red]survives[/]",
        )
        for outcome in outcomes
    ]
    killed = sum(outcome.killed for outcome in outcomes)
    title = f"Mutants: {killed} of {len(outcomes)} killed"
    return table(title, ("mutant", "module", "fault", "verdicts", "outcome"), rows)


def as_records(outcomes: "list[Outcome]") -> list[dict[str, Any]]:
    """Outcomes as plain dictionaries for JSON."""
    return [
        {
            "mutant": outcome.mutant.name,
            "module": outcome.mutant.module,
            "before": outcome.mutant.before,
            "after": outcome.mutant.after,
            "fault": outcome.mutant.fault,
            "verdicts": outcome.verdicts,
            "killed": outcome.killed,
            "seconds": round(outcome.seconds, 1),
        }
        for outcome in outcomes
    ]
