"""Grids of experiments, run as independent cells: one file per cell, on one machine or many.

`read_specification` reads and validates a grid, `run_sweep` computes what is missing of it, and `load_sweep` gives
its results back as one dataset. Only running needs JAX, and only more than one process needs Dask.
"""

from typing import TYPE_CHECKING, Any

from promptfolio.sweep.cell import Cell, cell_name
from promptfolio.sweep.specification import Specification, parse_specification, read_specification
from promptfolio.sweep.store import State, cell_path, cell_state, sweep_states

if TYPE_CHECKING:
    from promptfolio.sweep.execution import Outcome, run_sweep
    from promptfolio.sweep.results import each_result, load_cell, load_sweep, stored_results

__all__ = [
    "Cell",
    "Outcome",
    "Specification",
    "State",
    "cell_name",
    "cell_path",
    "cell_state",
    "each_result",
    "load_cell",
    "load_sweep",
    "parse_specification",
    "read_specification",
    "run_sweep",
    "stored_results",
    "sweep_states",
]

_ELSEWHERE = {
    "Outcome": "promptfolio.sweep.execution",
    "run_sweep": "promptfolio.sweep.execution",
    "each_result": "promptfolio.sweep.results",
    "load_cell": "promptfolio.sweep.results",
    "load_sweep": "promptfolio.sweep.results",
    "stored_results": "promptfolio.sweep.results",
}


def __getattr__(name: str) -> Any:
    # xarray loads only when results are read, so that a specification is read and refused at once.
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_ELSEWHERE[name]), name)
