"""Compute one cell: what a process does, whether it is the user's own or one of a cluster's workers."""

import pathlib
import threading
from typing import Any

from promptfolio.sweep.cell import cell_name, compiled_shape
from promptfolio.sweep.store import cell_path, cell_state, experiment_from, save_cell
from simulate.experiment import Experiment


class Runner:
    """Computes cells in this process, one at a time, and keeps only what is compiled for the last shape.

    What JAX compiles for a shape takes around a hundred megabytes, which a process would never give back.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._shape: tuple[Any, ...] | None = None

    def compute(self, experiment: Experiment, folder: pathlib.Path, memory: float | None = None) -> str:
        """Have an experiment's result in its file: found there, or computed now within a budget of memory.

        Returns:
            Why there is none, in one line; empty if there is.
        """
        with self._turn:
            try:
                return self._compute(experiment, folder, memory)
            except Exception as error:
                return one_line(error)

    def _compute(self, experiment: Experiment, folder: pathlib.Path, memory: float | None) -> str:
        # A worker that dies takes its last answers with it, and the scheduler asks for those cells again.
        name, state = cell_name(experiment), cell_state(folder, experiment)
        if state == "done":
            return ""
        if state == "foreign":
            return f"{cell_path(folder, name)} holds another experiment"
        import jax

        from simulate.running.runner import run

        shape = compiled_shape(experiment)
        if self._shape not in (None, shape):
            jax.clear_caches()
        self._shape = shape
        save_cell(folder, name, run(experiment, memory=memory))
        return ""


# What is compiled belongs to the process, so there is one runner per worker process, whatever its threads.
_RUNNER = Runner()


def run_cell(settings: str, name: str, folder: str, memory: float | None = None) -> str:
    """`Runner.compute` as a task for a cluster, which carries text and nothing else.

    Args:
        settings: the cell, as `promptfolio.sweep.store.settings_json` writes it.
        name: what the cell is called where the sweep was started.
        folder: where results go; it must be the same folder for everybody.
        memory: GiB for the arrays of the cell, None for what `simulate.run` takes.

    Returns:
        Why there is no result, in one line; empty if there is.
    """
    if not pathlib.Path(folder).is_dir():
        return f"folder {folder} is not there on the worker's machine: it must be shared"
    experiment = experiment_from(settings)
    if cell_name(experiment) != name:
        return "the worker has another version of promptfolio, to which the cell is another experiment"
    return _RUNNER.compute(experiment, pathlib.Path(folder), memory)


def one_line(error: BaseException) -> str:
    """An error in one line, with its kind unless that adds nothing.

    Example:
        >>> one_line(ValueError("no\\nsuch value"))
        'ValueError: no such value'
    """
    text = " ".join(str(error).split())
    if type(error).__name__ == "ConfigurationError":
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
