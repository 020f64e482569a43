"""Compute one cell, in the command's own process or in a worker."""

import pathlib
import threading
from typing import Any

from promptfolio.sweep.cell import cell_name, compiled_shape
from promptfolio.sweep.store import cell_path, cell_state, experiment_from, save_cell
from simulate.experiment import Experiment


class UnwritableError(Exception):
    """A result cannot be written, on a full disk, say: the next would not be either.

    The message has the path and the operating system's reason.
    """


class Runner:
    """Computes cells in this process, one at a time, and keeps compiled programs of the last shape only.

    Compiled programs of one shape take around a hundred megabytes, which JAX would otherwise keep.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._shape: tuple[Any, ...] | None = None

    def compute(self, experiment: Experiment, folder: pathlib.Path, memory: float | None = None) -> str:
        """Compute an experiment's result and write its file, unless the file exists already.

        Args:
            experiment: what to run.
            folder: for the file.
            memory: GiB for its arrays; None as in `simulate.run`.

        Returns:
            Why there is no result, in one line; empty if there is one.

        Raises:
            UnwritableError: when the result cannot be written.
        """
        with self._turn:
            try:
                return self._compute(experiment, folder, memory)
            except UnwritableError:
                raise
            except Exception as error:
                return one_line(error)

    def _compute(self, experiment: Experiment, folder: pathlib.Path, memory: float | None) -> str:
        # When a worker dies, its last answers are lost, and the scheduler has those cells computed again.
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
        result = run(experiment, memory=memory)
        try:
            save_cell(folder, name, result)
        except OSError as error:
            raise UnwritableError(f"{cell_path(folder, name)}: {error.strerror or error}") from None
        return ""


# Compiled programs belong to the process, so there is one runner per process, however many threads it has.
_RUNNER = Runner()


def run_cell(settings: str, name: str, folder: str, memory: float | None = None) -> str:
    """`Runner.compute` as a task for a cluster; arguments and answer are text and numbers.

    Args:
        settings: the cell, as `promptfolio.sweep.store.settings_json` writes it.
        name: name of the cell in the process that started the sweep.
        folder: for the results; the same folder on all machines.
        memory: GiB for the arrays of the cell; None as in `simulate.run`.

    Returns:
        Why there is no result, in one line; empty if there is one.

    Raises:
        UnwritableError: when the result cannot be written.
    """
    if not pathlib.Path(folder).is_dir():
        return f"folder {folder} does not exist on the worker's machine: it must be shared by all machines"
    experiment = experiment_from(settings)
    if cell_name(experiment) != name:
        return (
            "the worker has another version of promptfolio, in which the cell resolves to another experiment"
        )
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
