"""The engines by name. It loads an engine's module when the engine is asked for, and never JAX."""

import importlib
from typing import TYPE_CHECKING

from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from simulate.engines.engine import Engine

AUTO = "auto"
"""What an experiment says instead of a name, to leave the choice to `simulate.engines.choice`."""

# Of engines that cost the same the first is chosen. Each module has its engine as ENGINE.
_MODULES = {
    "coefficient": "simulate.engines.coefficient",
    "gram": "simulate.engines.gram.engine",
    "prompt": "simulate.engines.prompt",
}
_registered: "dict[str, Engine]" = {}


def engine_names() -> tuple[str, ...]:
    """Names of all engines, those that come with the simulator first."""
    return (*_MODULES, *(name for name in _registered if name not in _MODULES))


def engine_named(name: str) -> "Engine":
    """The engine of a name.

    Raises:
        ConfigurationError: when there is none.

    Example:
        >>> engine_named("gram").name
        'gram'
    """
    if name not in _registered:
        if name not in _MODULES:
            raise ConfigurationError("engine", name, "one of " + ", ".join(engine_names()))
        _registered[name] = importlib.import_module(_MODULES[name]).ENGINE
    return _registered[name]


def register_engine(engine: "Engine") -> None:
    """Add an engine: experiments may name it from now on, and ``engine = "auto"`` considers it by its cost.

    Raises:
        ConfigurationError: when its name is taken.
    """
    if engine.name in (AUTO, *engine_names()):
        raise ConfigurationError("engine", engine.name, "a name that no engine has yet")
    _registered[engine.name] = engine
