"""How much of an experiment runs at a time: batches that fit a memory budget and a processor's cores and cache.

Sizes are estimated from the shapes alone. All batches of an experiment have one shape, so that one compilation
serves them all; the last is filled up with replicates and θ whose results are dropped.
"""

import dataclasses
import math

import jax
import numpy as np

from simulate.engines.choice import choose_engine
from simulate.engines.engine import Engine
from simulate.engines.sizes import Sizes, Unit, even, share
from simulate.experiment import Experiment
from simulate.running.devices import Layout, local_devices, parts
from simulate.running.parallel import processor_cores
from simulate.validation import ConfigurationError

GIB = 2**30
RECORD_CHUNKS = 16
"""Chunks of records per batch: enough for a live progress bar; returning to the host so rarely costs nothing."""

# Copies of the states that a compiled step keeps: gradients, updates, what clients send to the server.
_WORKING_COPIES = 5
# Copies of a snapshot's margins and moments, in float64, that NumPy keeps while it computes a record.
_RECORD_COPIES = 6
_RECORD_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Batching:
    """Equal batches.

    Attributes:
        replicates, thetas: how many a batch holds, padding included.
        threads: how many batches run side by side, each on a thread of its own.
        layout: how a batch lies on the devices.
    """

    replicates: int
    thetas: int
    threads: int
    layout: Layout


def batching_for(
    experiment: Experiment, replicates: int, memory: float | None, engine: Engine | None = None
) -> Batching:
    """Cut an experiment into batches.

    What is computed at once (`Unit`) follows from the experiment and the budget alone, so that a processor gives
    the same digits whatever its number of cores.

    Args:
        experiment: what is to run.
        replicates: how many of its replicates are to run.
        memory: budget in GiB for the arrays of all batches that run side by side; None takes `default_memory`, or
            what the smallest batch needs.
        engine: what runs it; None for `choose_engine`'s choice.

    Raises:
        ConfigurationError: when not even one replicate at one θ per device fits a given budget.
    """
    engine = choose_engine(experiment) if engine is None else engine
    sizes = sizes_of(experiment, engine)
    seed_parts, theta_parts = parts(replicates, len(local_devices()))
    theta_parts = min(theta_parts, sizes.trainings)
    budget = _budget(sizes, memory, seed_parts * theta_parts)
    seeds, thetas = share(replicates, seed_parts), share(sizes.trainings, theta_parts)
    unit = _unit(engine, experiment, sizes, seeds, thetas, budget)
    seed_units, theta_units = share(seeds, unit.seeds_at_once), share(thetas, unit.thetas_at_once)
    seed_threads = theta_threads = 1
    if _on_processor() and len(local_devices()) == 1:
        fit = int(budget // sizes.of(unit.seeds_at_once, unit.thetas_at_once))
        seed_threads, theta_threads = parts(seed_units, min(processor_cores(), fit))
        theta_threads = min(theta_threads, theta_units)
    threads = seed_threads * theta_threads

    # A thread's batch: of its share of the units first as many θ as fit, then as many replicates.
    budget /= threads
    fit = int((budget / unit.seeds_at_once - sizes.replicate) // (unit.thetas_at_once * sizes.theta))
    thetas = unit.thetas_at_once * even(share(theta_units, theta_threads), max(1, fit))
    fit = int(budget // sizes.of(unit.seeds_at_once, thetas))
    seeds = unit.seeds_at_once * even(share(seed_units, seed_threads), max(1, fit))
    layout = Layout(seed_parts, theta_parts, brief=engine.is_brief(experiment))
    if _on_processor():
        layout = dataclasses.replace(layout, **unit._asdict())
    return Batching(seeds * seed_parts, thetas * theta_parts, threads, layout)


def _budget(sizes: Sizes, memory: float | None, devices: int) -> float:
    """Bytes that each of so many devices may use."""
    needed = devices * sizes.of(1, 1)
    if memory is None:
        return max(default_memory() * GIB, needed) / devices
    if memory * GIB < needed:
        raise ConfigurationError(
            "memory",
            memory,
            f"at least {needed / GIB:.2g} (GiB), for one replicate at one θ on each of {devices} device(s)",
        )
    return memory * GIB / devices


def _on_processor() -> bool:
    return jax.default_backend() == "cpu"


def _unit(
    engine: Engine, experiment: Experiment, sizes: Sizes, seeds: int, thetas: int, budget: float
) -> Unit:
    """What a processor computes at once. An accelerator takes whole batches, which may have any size."""
    if not _on_processor():
        return Unit(1, 1, False)
    return engine.unit(experiment, sizes, seeds, thetas, budget)


def default_memory() -> float:
    """GiB that a run may use unless it is given a budget: one, or half of the accelerators' memory."""
    statistics = [device.memory_stats() for device in local_devices()]
    if not all(statistics):
        return 1.0
    return sum(each["bytes_limit"] for each in statistics) / 2 / GIB


def batches(indices: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut indices into pieces of one size; the last is filled up with its own last entry.

    Example:
        >>> [piece.tolist() for piece in batches(np.arange(5), 2)]
        [[0, 1], [2, 3], [4, 4]]
    """
    filled = np.pad(indices, (0, -indices.size % size), mode="edge")
    return list(filled.reshape(-1, size))


def sizes_of(experiment: Experiment, engine: Engine) -> Sizes:
    """Bytes of an experiment's arrays under an engine."""
    bytes_each = np.dtype(experiment.precision).itemsize
    samples, prompts = experiment.clients * max(experiment.samples), 1 + experiment.clients
    evaluations = len(experiment.theta) if experiment.trained_once else 1
    records = math.ceil(len(experiment.record) / RECORD_CHUNKS)
    record = 2 * samples + prompts * (2 * (experiment.rows - experiment.noise_dim) + 5)
    record *= records * (bytes_each + _RECORD_BYTES * _RECORD_COPIES * evaluations)
    arrays = engine.arrays(experiment)
    return Sizes(
        trainings=len(experiment.trained_thetas),
        replicate=bytes_each * arrays.replicate,
        theta=bytes_each * arrays.state * _WORKING_COPIES + record,
        working=bytes_each * arrays.working,
    )
