"""How much of an experiment runs at a time: batches that fit a memory budget, and a processor's cores and cache.

Sizes are estimates from the shapes alone. Batches of one experiment are equal, the last one filled up with
replicates and θ that are thrown away, so that one compilation serves them all.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import numpy as np

from simulate.engines.choice import BRIEF, momentum, training_work
from simulate.experiment import Experiment
from simulate.running.devices import Layout, parts
from simulate.running.parallel import processor_cores
from simulate.validation import ConfigurationError

GIB = 2**30
RECORD_CHUNKS = 16
"""Chunks of records per batch: enough for a live progress bar, few enough that returning to the host is free."""

# What a core's second-level cache, of a megabyte or two, holds next to the data. Replicates of the Gram engine are
# best taken one by one unless they are tiny: one product of two matrices is faster than several side by side.
_CACHE = {"prompt": 1.25 * 2**20, "coefficient": 1.25 * 2**20, "gram": 2**17}
# θ that the coefficient engine takes at once, at most: more gain little, and leave less to divide among cores.
_MOST_THETAS = 24
_VECTOR = 16
"""Numbers in a processor's widest vector."""
# Copies of what a processor works on at once that the compiled step keeps: gradients, updates, uploads.
_WORKING_COPIES = 5
# Of a snapshot's margins and moments, what NumPy keeps while it works out a record.
_RECORD_COPIES = 6


@dataclasses.dataclass(frozen=True)
class Batching:
    """Equal batches.

    Attributes:
        replicates, thetas: how many a batch holds, padding included.
        lanes: how many batches run side by side.
        layout: how a batch lies on the devices.
    """

    replicates: int
    thetas: int
    lanes: int
    layout: Layout


def batching_for(experiment: Experiment, replicates: int, memory: float | None) -> Batching:
    """Cut an experiment into batches.

    What is computed at once (`_Unit`) follows from the experiment and the budget alone, so that a processor gives
    the same digits whatever its number of cores.

    Args:
        experiment: what is to run.
        replicates: how many of its replicates are to run.
        memory: budget in GiB for the arrays of all batches that run side by side; None takes `default_memory`, or
            what the smallest batch needs.

    Raises:
        ConfigurationError: when not even one replicate at one θ per device fits a given budget.
    """
    sizes = _Sizes(experiment)
    seed_parts, theta_parts = parts(replicates, len(jax.local_devices()))
    theta_parts = min(theta_parts, sizes.trainings)
    budget = _budget(sizes, memory, seed_parts * theta_parts)
    seeds, thetas = _share(replicates, seed_parts), _share(sizes.trainings, theta_parts)
    unit = _unit(experiment, sizes, seeds, thetas, budget)
    seed_units, theta_units = _share(seeds, unit.seeds_at_once), _share(thetas, unit.thetas_at_once)
    seed_lanes = theta_lanes = 1
    if _on_processor() and len(jax.local_devices()) == 1:
        fit = int(budget // sizes.of(unit.seeds_at_once, unit.thetas_at_once))
        seed_lanes, theta_lanes = parts(seed_units, min(processor_cores(), fit))
        theta_lanes = min(theta_lanes, theta_units)
    lanes = seed_lanes * theta_lanes

    # A lane's batch: of its share of the units first as many θ as fit, then as many replicates.
    budget /= lanes
    fit = int((budget / unit.seeds_at_once - sizes.replicate) // (unit.thetas_at_once * sizes.theta))
    thetas = unit.thetas_at_once * _even(_share(theta_units, theta_lanes), max(1, fit))
    fit = int(budget // sizes.of(unit.seeds_at_once, thetas))
    seeds = unit.seeds_at_once * _even(_share(seed_units, seed_lanes), max(1, fit))
    layout = Layout(seed_parts, theta_parts, brief=is_brief(experiment))
    if _on_processor():
        layout = dataclasses.replace(layout, **unit._asdict())
    return Batching(seeds * seed_parts, thetas * theta_parts, lanes, layout)


def _budget(sizes: "_Sizes", memory: float | None, devices: int) -> float:
    """Bytes for each of so many devices."""
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


def is_brief(experiment: Experiment) -> bool:
    """Whether an experiment is over before a careful compilation would pay."""
    return training_work(experiment, experiment.engine) < BRIEF[experiment.engine]


def _on_processor() -> bool:
    return jax.default_backend() == "cpu"


class _Unit(NamedTuple):
    """What a processor computes at once, by `Layout`'s names."""

    seeds_at_once: int
    thetas_at_once: int
    clients_in_turn: bool


def _unit(experiment: Experiment, sizes: "_Sizes", seeds: int, thetas: int, budget: float) -> _Unit:
    """As much of so many replicates and θ as stays in the cache, within a budget in bytes that one of each fits.

    An accelerator, which takes whole batches at once, may have any number of them: its unit is one of each.
    """
    if not _on_processor():
        return _Unit(1, 1, False)
    cache, working, in_turn = _CACHE[experiment.engine], sizes.working, False
    if experiment.engine == "coefficient":
        thetas = _even(thetas, _MOST_THETAS)
        in_turn = thetas * working > cache
        if in_turn:
            working /= experiment.clients
    if experiment.engine != "gram":  # which takes all θ in one product
        thetas = _even(thetas, max(1, int(cache // working)))
    fit = int((budget - sizes.replicate) // sizes.theta)
    thetas = _even(thetas, fit)
    if experiment.engine == "gram":
        # θ stand along the last axis there: on whole vectors, the copies that fill them up cost less than nothing.
        filled = _share(thetas, _VECTOR) * _VECTOR
        thetas = filled if filled < 2 * thetas and filled <= fit else thetas
    together = 1 if in_turn else int(min(cache // (thetas * working), budget // sizes.of(1, thetas)))
    return _Unit(_even(seeds, max(1, together)), thetas, in_turn)


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
        trainings: how many θ are trained at.
        replicate: of a replicate, whatever its number of θ.
        theta: of each θ of it.
        working: of what a step of one θ works on again and again.
    """

    def __init__(self, experiment: Experiment):
        bytes_each = np.dtype(experiment.precision).itemsize
        clients, most = experiment.clients, max(experiment.samples)
        samples, prompts, rows = clients * most, 1 + clients, experiment.rows
        states = 2 if momentum(experiment.optimizer_options) else 1
        self.trainings = len(experiment.trained_thetas)
        evaluations = len(experiment.theta) if experiment.scheme == "posthoc" else 1
        records = math.ceil(len(experiment.record) / RECORD_CHUNKS)
        record = 2 * samples + prompts * (2 * (experiment.rows - experiment.noise_dim) + 5)
        record *= records * (1 + _RECORD_COPIES * evaluations)
        self.working: float
        if experiment.engine == "gram":
            coordinates = experiment.noise_dim if experiment.gram == "features" else 0
            data = 2 * (samples + prompts) * coordinates + 2 * samples**2
            state = 2 * samples * (1 + states) + 4 * coordinates
            self.working = bytes_each * (samples**2 / len(experiment.theta) + 3 * samples)
            drawing = 2 * samples * max(coordinates, samples)
        else:
            data = samples * rows + prompts * rows
            if experiment.engine == "prompt":
                data += 3 * rows * experiment.prompt_dim
            state = (
                prompts * max(rows, experiment.prompt_dim if experiment.engine == "prompt" else 0) * states
            )
            self.working = bytes_each * state
            drawing = 2 * samples * rows
        self.replicate = bytes_each * (data + drawing)
        self.theta = bytes_each * (state * _WORKING_COPIES + record)

    def of(self, seeds: int, thetas: int) -> float:
        """Of a batch."""
        return seeds * (self.replicate + thetas * self.theta)
