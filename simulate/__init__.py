"""The synthetic federated prompt portfolio: what the model does, in JAX.

`Experiment` describes a run, and `run` performs it and returns an `xarray.Dataset`; `Hierarchy` and `run_hierarchy`
do the same for portfolios of more than two prompts. A new way to train is an `Engine`, added by `register_engine`.
Functions here are pure in the experiment and its seed: they print and plot nothing, and only `save_result` writes.
"""

import importlib
from typing import TYPE_CHECKING, Any

from simulate.experiment import Experiment
from simulate.results.finiteness import NonFiniteError
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from simulate.engines.engine import Engine
    from simulate.engines.registry import engine_names, register_engine
    from simulate.hierarchy.config import Hierarchy
    from simulate.hierarchy.run import run_hierarchy
    from simulate.results.stored import load_result, save_result
    from simulate.running.runner import run

__all__ = [
    "ConfigurationError",
    "Engine",
    "Experiment",
    "Hierarchy",
    "NonFiniteError",
    "engine_names",
    "load_result",
    "register_engine",
    "run",
    "run_hierarchy",
    "save_result",
]

# Loaded when first asked for, so that building an experiment stays instant: JAX and xarray take a second.
_ELSEWHERE = {
    "Engine": "simulate.engines.engine",
    "Hierarchy": "simulate.hierarchy.config",
    "engine_names": "simulate.engines.registry",
    "load_result": "simulate.results.stored",
    "register_engine": "simulate.engines.registry",
    "run": "simulate.running.runner",
    "run_hierarchy": "simulate.hierarchy.run",
    "save_result": "simulate.results.stored",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE[name]), name)
