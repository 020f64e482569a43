"""Compute one cell, in the command's own process or on a worker of a cluster."""

import pathlib
import threading
from collections.abc import Mapping
from typing import Any

from promptfolio.error_text import reason_of
from promptfolio.sweep.cell import cell_name, compiled_shape
from promptfolio.sweep.store import cell_path, cell_state, experiment_from, save_cell
from simulate.experiment import Experiment


class Runner:
    """Computes cells in this process, one at a time, and keeps compiled programs of the last shape only.

    Compiled programs of one shape take around a hundred megabytes, which JAX would otherwise keep.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._shape: tuple[Any, ...] | None = None

    def compute(
        self,
        experiment: Experiment,
        folder: pathlib.Path,
        memory: float | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> str:
        """Compute an experiment's result and write its file, unless the file exists already.

        Args:
            experiment: what to run.
            folder: for the file.
            memory: GiB for its arrays; None as in `simulate.run`.
            settings: those of the results in the folder (`promptfolio.sweep.store.common_settings`), which this one
                must agree with.

        Returns:
            Why there is no result, in one line; empty if there is one. `stop_reason` says whether no other cell can
            have one either.
        """
        with self._turn:
            try:
                return self._compute(experiment, folder, memory, settings or {})
            except Exception as error:
                return reason_of(error)

    def _compute(
        self, experiment: Experiment, folder: pathlib.Path, memory: float | None, settings: Mapping[str, str]
    ) -> str:
        # When a worker dies, its last answers are lost, and the scheduler has those cells computed again.
        name, state = cell_name(experiment), cell_state(folder, experiment)
        if state == "done":
            return ""
        if state == "foreign":
            return f"{cell_path(folder, name)} holds another experiment"
        import jax

        from simulate.results.provenance import different_setting, provenance, settings_of
        from simulate.running.arithmetic import numerics
        from simulate.running.runner import run

        here = settings_of({**provenance(), "numerics": numerics()})
        if (differs := different_setting(settings, here)) is not None:
            return (
                f"{_STOP}where cells are computed with {differs} = {settings[differs]!r}, as those are that it has"
                f" (here it is {here[differs]!r}): use another folder"
            )
        shape = compiled_shape(experiment)
        if self._shape not in (None, shape):
            jax.clear_caches()
        self._shape = shape
        result = run(experiment, memory=memory)
        try:
            save_cell(folder, name, result)
        except OSError as error:
            return f"{_STOP}that can be written ({error.strerror or reason_of(error)})"
        return ""


_STOP = "no cell can be written: "


def stop_reason(reason: str) -> str | None:
    """What the folder of a sweep must be, if `Runner.compute` gave a reason that holds for all cells; else None.

    Example:
        >>> stop_reason("MemoryError") is None
        True
    """
    return reason.removeprefix(_STOP) if reason.startswith(_STOP) else None


# Compiled programs belong to the process, so there is one runner per process, however many threads it has.
_RUNNER = Runner()


def run_cell(
    settings: str,
    name: str,
    folder: str,
    memory: float | None = None,
    numerics: Mapping[str, str] | None = None,
) -> str:
    """`Runner.compute` as a task for a cluster; arguments and answer are text and numbers.

    Args:
        settings: the cell, as `promptfolio.sweep.store.settings_json` writes it.
        name: name of the cell in the process that started the sweep.
        folder: for the results; the same folder on all machines.
        memory: GiB for the arrays of the cell; None as in `simulate.run`.
        numerics: `Runner.compute`'s ``settings``.

    Returns:
        Why there is no result, in one line; empty if there is one.
    """
    if not pathlib.Path(folder).is_dir():
        return f"folder {folder} does not exist on the worker's machine: it must be shared by all machines"
    experiment = experiment_from(settings)
    if cell_name(experiment) != name:
        return (
            "the worker has another version of promptfolio, in which the cell resolves to another experiment"
        )
    return _RUNNER.compute(experiment, pathlib.Path(folder), memory, numerics)
