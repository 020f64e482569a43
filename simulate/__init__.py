"""The synthetic federated prompt portfolio: what the model does, in JAX.

`Experiment` describes a run, `run` performs it and returns an `xarray.Dataset`. Functions here are pure in
the experiment and its seed: they print, plot and write nothing.
"""

from typing import TYPE_CHECKING, Any

from simulate.experiment import Experiment
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from simulate.running.runner import run

__all__ = ["ConfigurationError", "Experiment", "run"]


def __getattr__(name: str) -> Any:
    # JAX loads only when something is to be run, so that building an experiment stays instant.
    if name == "run":
        from simulate.running.runner import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
