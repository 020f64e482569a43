"""Faults to plant in sweeps: which cells there are, what counts as done, and what is put beside what."""

from typing import Any

from promptfolio.checks.mutant import Edited, Mutant, Replaced

_STORE = "promptfolio.sweep.store"
_EXECUTION = "promptfolio.sweep.execution"
_RESULTS = "promptfolio.sweep.results"

_IN_RESULTS = "tests/sweep/test_sweep_results.py::"
_IN_SPECIFICATION = "tests/sweep/test_sweep_specification.py::"


def _in_the_order_given(original: Any) -> Any:
    return lambda cells: list({cell.name: cell for cell in cells}.values())


MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "broken_file_is_done",
        _STORE,
        "a result file that cannot be read counts as done",
        (f"{_IN_RESULTS}test_a_broken_file_is_not_done",),
        'return Found("unreadable", path)',
        'return Found("done", path)',
    ),
    Edited(
        "foreign_file_is_done",
        _STORE,
        "a file of another experiment counts as a cell's result",
        (f"{_IN_RESULTS}test_a_foreign_file_is_an_error_and_no_hit",),
        "if stored is None or canonical_json(stored) != canonical_json(experiment):",
        "if stored is None:",
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
    Edited(
        "names_rounded",
        "promptfolio.sweep.cell",
        "names of cells round numbers to 1e-6",
        (f"{_IN_SPECIFICATION}test_names_tell_the_closest_numbers_apart",),
        'if kind == "number":\n        return float(value) + 0.0',
        'if kind == "number":\n        return round(float(value), 6) + 0.0',
    ),
    Edited(
        "options_not_in_names",
        "promptfolio.sweep.cell",
        "numbers of the optimizer's options do not count in a cell's name",
        (f"{_IN_SPECIFICATION}test_numbers_of_options_change_the_name",),
        "return sorted((name, float(number) + 0.0) for name, number in value)",
        "return sorted(name for name, number in value)",
    ),
    Edited(
        "settings_mixed",
        "simulate.results.provenance",
        "results computed under other settings are taken for equal",
        ("tests/sweep/test_sweep_safety.py::test_cells_of_other_settings_are_not_mixed",),
        "if name in other and one[name] != other[name]",
        "if name not in other and one[name] != other.get(name, one[name])",
    ),
    Edited(
        "worker_replaces_foreign_file",
        "promptfolio.sweep.worker",
        "a worker writes over a file that holds something else",
        ("tests/sweep/test_sweep_safety.py::test_a_worker_does_not_replace_another_file",),
        'if state == "foreign":',
        'if state == "alien":',
    ),
)
