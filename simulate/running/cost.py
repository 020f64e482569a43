"""What a run will cost, estimated from its shapes before it starts: memory, and time on this machine."""

import functools
import time
from typing import NamedTuple

import numpy as np

from simulate.engines.choice import choose_engine
from simulate.engines.engine import Engine
from simulate.experiment import Experiment, Precision
from simulate.running.batching import GIB, default_memory, sizes_of
from simulate.running.parallel import processor_cores

_PROMPT_FIELDS = 9
_PREDICTOR_FIELDS = 5
# Whatever the precision of the run, records are in float64.
_RECORD_BYTES = 8
# Results are held as chunks, joined, and labelled.
_RESULT_COPIES = 3

# Share of the machine's rate of matrix products that training reaches, and seconds of a step's other work: with
# these, runs of very different shapes took between a third and three times their estimates.
_EFFICIENCY = 0.5
_STEP_SECONDS = 4e-6
_ELEMENT_SECONDS = 1.5e-9
_PROBE = 512
_LITTLE = 1e9
_COMMON_RATE = 1e10


class Cost(NamedTuple):
    """An estimate.

    Attributes:
        memory: bytes of main memory for the arrays of what runs at a time and for the results.
        results: bytes of the results alone.
        seconds: time on this machine, compilation not counted; infinite for an engine that does not say its work.
    """

    memory: float
    results: float
    seconds: float


def cost_of(experiment: Experiment, memory: float | None = None) -> Cost:
    """Estimate what `simulate.run` will cost.

    Args:
        experiment: what would be run.
        memory: budget in GiB, as `simulate.run` takes it.

    Example:
        >>> small, large = (cost_of(Experiment(replicates=count)) for count in (1, 1000))
        >>> small.memory < large.memory, small.seconds < large.seconds
        (True, True)
    """
    engine = choose_engine(experiment)
    sizes = sizes_of(experiment, engine)
    smallest, everything = sizes.of(1, 1), sizes.of(experiment.replicates, sizes.trainings)
    budget = default_memory() * GIB if memory is None else memory * GIB
    results = result_bytes(experiment)
    arrays = min(max(budget, smallest), everything)
    return Cost(arrays + _RESULT_COPIES * results, results, _seconds(experiment, engine))


def result_bytes(experiment: Experiment) -> float:
    """Bytes of the numbers in the dataset of a run.

    Example:
        >>> result_bytes(Experiment(clients=2, rounds=9)) < result_bytes(Experiment(clients=2, rounds=99))
        True
    """
    trainings, mixtures = len(experiment.trained_thetas), len(experiment.theta)
    prompts = (2 * _PROMPT_FIELDS + 1) * trainings
    predictors = 3 * _PREDICTOR_FIELDS * mixtures  # global, local, mixture
    numbers = experiment.clients * (prompts + predictors)
    return _RECORD_BYTES * float(experiment.replicates * len(experiment.record) * numbers)


def _seconds(experiment: Experiment, engine: Engine) -> float:
    work = engine.run_work(experiment)
    steps = float(experiment.training_steps)
    rows = experiment.clients * (2 * max(experiment.samples) + experiment.group_count)
    # Where the products take no time to speak of, nor does it take any to know this machine's rate.
    rate = product_rate(experiment.precision) if work > _LITTLE else _COMMON_RATE
    elementwise = steps * (_STEP_SECONDS + _ELEMENT_SECONDS * rows) / processor_cores()
    return work / (_EFFICIENCY * rate) + elementwise


@functools.cache
def product_rate(precision: Precision) -> float:
    """Multiplications per second in a product of matrices on this machine's cores, measured in milliseconds."""
    matrix = np.ones((_PROBE, _PROBE), precision)
    matrix @ matrix
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        matrix @ matrix
        durations.append(time.perf_counter() - start)
    return _PROBE**3 / min(durations)
