"""Processes for planted faults: one for each fault, since nothing that was imported or compiled may outlive it."""

import contextlib
import importlib
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from promptfolio.checks.mutant import Mutant
from promptfolio.checks.planting import verdicts_under
from promptfolio.checks.workers import ENVIRONMENT
from promptfolio.error_text import described
from simulate.running.compilation import VARIABLE, cache_settings
from simulate.running.parent import die_with_parent

_LIBRARIES = [
    *("jax.numpy", "optax", "sympy", "scipy.special", "scipy.optimize", "scipy.stats", "scipy.integrate"),
    *("xarray", "h5netcdf", "flint", "pytest", "hypothesis", "beartype", "jaxtyping"),
]
"""What nearly every detector imports; none of it is a package under test."""
_UNDER_TEST = ("promptfolio", "simulate", "theory", "figures")
_LIMIT = 240.0
"""Seconds for one process. Detectors take a few; a fault may keep a loop from ending."""

Detect = Callable[[Mutant | None, Sequence[str]], dict[str, str]]
"""(fault or None, claims or tests) -> their verdicts; "process" and what went wrong where there are none."""


@contextlib.contextmanager
def detecting_processes(limit: float = _LIMIT) -> Iterator[Detect]:
    """A function that plants a fault in a process of its own and asks detectors there; threads may share it.

    Processes that are still at work when the context ends are ended.

    Args:
        limit: seconds after which a process is ended.
    """
    # A server that has loaded the libraries and nothing else is forked: loading takes longer than most detectors.
    # It has started no threads and none of JAX's backends; elsewhere than on Linux, system libraries start some.
    context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    context.set_forkserver_preload(_LIBRARIES)
    added = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    running: set[Any] = set()
    with tempfile.TemporaryDirectory(prefix="planted-", ignore_cleanup_errors=True) as folder:

        def detect(mutant: Mutant | None, detectors: Sequence[str]) -> dict[str, str]:
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_answer, args=(there, folder, mutant, tuple(detectors)))
            process.start()
            running.add(process)
            there.close()
            try:
                if not here.poll(limit):
                    return {"process": f"no verdict within {limit:g} s"}
                return here.recv()
            except EOFError:
                process.join()
                return {"process": f"ended with exit status {process.exitcode}"}
            finally:
                running.discard(process)
                process.kill()
                process.join()
                here.close()

        try:
            yield detect
        finally:
            for process in list(running):
                process.kill()
            for name in added:
                del os.environ[name]


def _answer(answer: Connection, folder: str, mutant: Mutant | None, detectors: Sequence[str]) -> None:
    """Send verdicts, or what went wrong, from a process that is then ended."""
    die_with_parent(os.getppid())
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    # Examples that fail under a fault are not for the suite to try again.
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = os.path.join(folder, "hypothesis")
    # Most of what one fault compiles the next needs too. The cache knows programs by their content, so a fault can
    # neither hide in it nor leave anything behind. Still it is the faults' own, and not the user's.
    os.environ[VARIABLE] = ""
    jax = importlib.import_module("jax")
    for name, value in cache_settings(os.path.join(folder, "compiled")).items():
        jax.config.update(name, value)
    # What led here imported some of the modules under test, without the fault.
    for name in list(sys.modules):
        if name.partition(".")[0] in _UNDER_TEST:
            del sys.modules[name]
    try:
        answer.send(verdicts_under(mutant, detectors))
    except Exception as error:
        answer.send({"process": described(error)})
