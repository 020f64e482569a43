"""Which engine runs an experiment. The choice is made when a run starts; it is no part of the experiment."""

from collections.abc import Iterable
from typing import TypeVar

from simulate.engines.engine import Engine
from simulate.engines.registry import AUTO, engine_named, engine_names
from simulate.engines.rows.engine import RowEngine
from simulate.experiment import Experiment
from simulate.validation import ConfigurationError

Chosen = TypeVar("Chosen", bound=Engine)


def choose_engine(experiment: Experiment) -> Engine:
    """The engine that an experiment names, or the cheapest that can run it.

    Example:
        >>> choose_engine(Experiment()).name, choose_engine(Experiment(optimizer="adam")).name
        ('coefficient', 'prompt')
    """
    if experiment.engine != AUTO:
        return engine_named(experiment.engine)
    return _cheapest(experiment, map(engine_named, engine_names()))


def _cheapest(experiment: Experiment, engines: Iterable[Chosen]) -> Chosen:
    """Of the engines that can run an experiment; the first of several that cost the same."""
    able = (engine for engine in engines if not engine.obstacle(experiment))
    return min(able, key=lambda engine: engine.cost(experiment))


def row_engine(experiment: Experiment) -> RowEngine:
    """The engine for those who need the trained prompts themselves: the chosen one if it keeps all rows.

    Otherwise the cheapest that does. It trains on the same draws.

    Raises:
        ConfigurationError: when there are no features to train on, only inner products of their noise.
    """
    if experiment.gram != "features":
        raise ConfigurationError("gram", experiment.gram, "features, to train on the features themselves")
    chosen = choose_engine(experiment)
    if isinstance(chosen, RowEngine):
        return chosen
    every = map(engine_named, engine_names())
    return _cheapest(experiment, (engine for engine in every if isinstance(engine, RowEngine)))
