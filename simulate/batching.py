"""How much of an experiment runs at a time: batches that fit a memory budget, and a processor's cache.

Sizes are estimates from the shapes alone. Batches of one experiment are equal, the last one filled up with
replicates and θ that are thrown away, so that one compilation serves them all.
"""

import dataclasses
import math

import jax
import numpy as np

from simulate.devices import Layout, parts
from simulate.engine_choice import momentum
from simulate.experiment import Experiment
from simulate.validation import ConfigurationError

GIB = 2**30
RECORD_CHUNKS = 16
"""Chunks of records per batch: enough for a live progress bar, few enough that returning to the host is free."""

# What a core's second-level cache, of a megabyte or two, holds next to the data. Replicates of the Gram engine are
# best taken one by one unless they are tiny: one product of two matrices is faster than several side by side.
_CACHE = {"prompt": 1.25 * 2**20, "coefficient": 1.25 * 2**20, "gram": 2**17}
# Copies of what a processor works on at once that the compiled step keeps: gradients, updates, uploads.
_WORKING_COPIES = 5
# Of a snapshot's margins and moments, what NumPy keeps while it works out a record.
_RECORD_COPIES = 6


@dataclasses.dataclass(frozen=True)
class Batching:
    """Equal batches.

    Attributes:
        replicates, thetas: how many a batch holds, padding included.
        layout: how a batch lies on the devices.
    """

    replicates: int
    thetas: int
    layout: Layout


def batching_for(experiment: Experiment, replicates: int, memory: float | None) -> Batching:
    """Cut an experiment into batches.

    Args:
        experiment: what is to run.
        replicates: how many of its replicates are to run.
        memory: budget in GiB for the arrays of a batch; None takes `default_memory`, or what the smallest batch
            needs.

    Raises:
        ConfigurationError: when not even one replicate at one θ per device fits a given budget.
    """
    budget = (default_memory() if memory is None else memory) * GIB
    sizes, trainings = _Sizes(experiment), 1 if experiment.protocol == "posthoc" else len(experiment.theta)
    seed_parts, theta_parts = parts(replicates, len(jax.local_devices()))
    theta_parts = min(theta_parts, trainings)
    devices = seed_parts * theta_parts

    per_device = budget / devices
    thetas = _share(trainings, theta_parts)
    fit = int((per_device - sizes.replicate) // sizes.theta)
    if fit < 1 and memory is not None:
        needed = devices * (sizes.replicate + sizes.theta) / GIB
        raise ConfigurationError(
            "memory",
            memory,
            f"at least {needed:.2g} (GiB), for one replicate at one θ on each of {devices} device(s)",
        )
    thetas = _even(thetas, max(1, fit))
    seeds = max(1, int(per_device // (sizes.replicate + thetas * sizes.theta)))
    seeds = _even(_share(replicates, seed_parts), seeds)

    seeds_at_once = thetas_at_once = 0
    if jax.default_backend() == "cpu":
        cache = _CACHE[experiment.engine]
        thetas_at_once = _even(thetas, max(1, int(cache // sizes.working))) if sizes.by_theta else thetas
        thetas = math.ceil(thetas / thetas_at_once) * thetas_at_once
        seeds_at_once = _even(seeds, max(1, int(cache // (thetas * sizes.working))))
        seeds = math.ceil(seeds / seeds_at_once) * seeds_at_once
    layout = Layout(seed_parts, theta_parts, seeds_at_once, thetas_at_once)
    return Batching(seeds * seed_parts, thetas * theta_parts, layout)


def default_memory() -> float:
    """GiB that a run may use when it is not told: one, or half of what accelerators have."""
    statistics = [device.memory_stats() for device in jax.local_devices()]
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


def _share(total: int, among: int) -> int:
    return math.ceil(total / among)


def _even(total: int, at_most: int) -> int:
    """The size of equal pieces of ``total``, none above ``at_most``."""
    return math.ceil(total / math.ceil(total / min(total, at_most)))


class _Sizes:
    """Bytes of an experiment's arrays.

    Attributes:
        replicate: of a replicate, whatever its number of θ.
        theta: of each θ of it.
        working: of what a step of one θ works on again and again.
        by_theta: whether θ may be taken one after another; the Gram engine takes all in one product.
    """

    def __init__(self, experiment: Experiment):
        bytes_each = np.dtype(experiment.precision).itemsize
        clients, most = experiment.clients, max(experiment.samples)
        samples, prompts, rows = clients * most, 1 + clients, experiment.rows
        states = 2 if momentum(experiment.optimizer_options) else 1
        evaluations = len(experiment.theta) if experiment.protocol == "posthoc" else 1
        records = math.ceil(len(experiment.record) / RECORD_CHUNKS)
        record = 2 * samples + prompts * (2 * (experiment.rows - experiment.noise_dim) + 5)
        record *= records * (1 + _RECORD_COPIES * evaluations)
        self.working: float
        self.by_theta = experiment.engine != "gram"
        if self.by_theta:
            data = samples * rows + prompts * rows
            if experiment.engine == "prompt":
                data += 3 * rows * experiment.prompt_dim
            state = (
                prompts * max(rows, experiment.prompt_dim if experiment.engine == "prompt" else 0) * states
            )
            self.working = bytes_each * state
            drawing = 2 * samples * rows
        else:
            coordinates = experiment.noise_dim if experiment.gram == "features" else 0
            data = 2 * (samples + prompts) * coordinates + 2 * samples**2
            state = 2 * samples * (1 + states) + 4 * coordinates
            self.working = bytes_each * (samples**2 / len(experiment.theta) + 3 * samples)
            drawing = 2 * samples * max(coordinates, samples)
        self.replicate = bytes_each * (data + drawing)
        self.theta = bytes_each * (state * _WORKING_COPIES + record)
