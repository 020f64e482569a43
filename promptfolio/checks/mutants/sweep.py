"""Faults to plant in sweeps: which cells there are, what counts as done, and what is put beside what."""

from typing import Any

from promptfolio.checks.mutant import Edited, Mutant, Replaced

_STORE = "promptfolio.sweep.store"
_EXECUTION = "promptfolio.sweep.execution"
_RESULTS = "promptfolio.sweep.results"

_IN_RESULTS = "tests/sweep/test_sweep_results.py::"
_IN_SPECIFICATION = "tests/sweep/test_sweep_specification.py::"


def _keeps_them(original: Any) -> Any:
    return lambda folder, names: None


def _in_the_order_given(original: Any) -> Any:
    return lambda cells: list({cell.name: cell for cell in cells}.values())


MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "broken_file_is_done",
        _STORE,
        "a result file that cannot be read counts as done",
        (f"{_IN_RESULTS}test_a_broken_file_is_not_done",),
        'return "unreadable"',
        'return "done"',
    ),
    Edited(
        "foreign_file_is_done",
        _STORE,
        "a file of another experiment counts as a cell's result",
        (f"{_IN_RESULTS}test_a_foreign_file_is_an_error_and_no_hit",),
        'return "done" if same else "foreign"',
        'return "foreign" if stored is None else "done"',
    ),
    Replaced(
        "leftovers_kept",
        _EXECUTION,
        "temporary files of killed processes stay",
        (f"{_IN_RESULTS}test_what_a_killed_process_left_is_ignored_and_removed",),
        "remove_leftovers",
        _keeps_them,
    ),
    Edited(
        "leftovers_of_others_removed",
        _STORE,
        "temporary files of other names are removed, too",
        (f"{_IN_RESULTS}test_what_a_killed_process_left_is_ignored_and_removed",),
        "if entry.name[:length] in prefixes and entry.name.endswith(_SUFFIX):",
        'if entry.name.startswith(".") and entry.name.endswith(_SUFFIX):',
    ),
    Edited(
        "finished_cells_computed_again",
        _EXECUTION,
        "a sweep that goes on computes all cells again",
        (f"{_IN_RESULTS}test_a_rerun_computes_only_what_is_missing",),
        'if states[cell.name] != "done")',
        'if states[cell.name] != "foreign")',
    ),
    Replaced(
        "shapes_not_grouped",
        _EXECUTION,
        "cells of one compiled shape do not follow each other",
        (f"{_IN_RESULTS}test_cells_of_one_shape_follow_each_other",),
        "ordered_by_shape",
        _in_the_order_given,
    ),
    Edited(
        "failures_reported_as_computed",
        _EXECUTION,
        "a cell that failed is reported as computed",
        (f"{_IN_RESULTS}test_a_cell_that_fails_does_not_lose_the_others",),
        'return Outcome(cell, "failed", reason) if reason else Outcome(cell, "computed")',
        'return Outcome(cell, "computed", reason)',
    ),
    Edited(
        "memory_limit_lost",
        "promptfolio.sweep.worker",
        "cells take as much memory as they like",
        (f"{_IN_RESULTS}test_cells_keep_to_the_memory_they_are_given",),
        "run(experiment, memory=memory)",
        "run(experiment)",
    ),
    Edited(
        "axis_labels_reversed",
        _RESULTS,
        "results stand at the wrong values of a field that varies",
        (f"{_IN_RESULTS}test_one_dataset_has_an_axis_per_varied_field",),
        "zip(*axis.rows, strict=True)",
        "zip(*axis.rows[::-1], strict=True)",
    ),
    Edited(
        "columns_crossed",
        "promptfolio.sweep.specification",
        "a table of fields that vary together takes their values in opposite orders",
        (f"{_IN_SPECIFICATION}test_grid_and_together_are_crossed",),
        "rows = tuple(zip(*columns.values(), strict=True))",
        "rows = tuple(zip(*(values[:: (-1) ** at] for at, values in enumerate(columns.values())), strict=True))",
    ),
)
