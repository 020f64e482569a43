"""Rates of matrix products on this machine, the reference for the rate of a sweep.

Rates are in floating-point operations per second, a multiplication and an addition counted as two.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from promptfolio.bench.timing import Task
from simulate.engines.choice import choose_engine
from simulate.experiment import Experiment, Precision
from simulate.running.arithmetic import arithmetic
from simulate.running.batching import batching_for
from simulate.running.jit import full_precision
from simulate.running.parallel import parallel_map

SQUARE = 2048
"""Size of the square product."""


class Products(NamedTuple):
    """A task that does nothing but matrix products.

    Attributes:
        task: performs them.
        operations: how many floating-point operations that takes.
    """

    task: Task
    operations: float


def square_products(precision: Precision, size: int, operations: float) -> Products:
    """A task with products of square matrices: at least one, and about ``operations`` floating-point operations.

    Args:
        precision: "float32" or "float64".
        size: rows and columns of the matrices.
        operations: how many there should be, about.
    """
    times = max(1, round(operations / (2.0 * size**3)))
    with arithmetic(precision):
        left = jnp.asarray(_orthogonal(size, size, precision))
        product = jax.jit(full_precision(jnp.matmul))
        return Products(
            _task(lambda: [product(left, left) for _ in range(times)], precision), 2.0 * size**3 * times
        )


def own_products(experiment: Experiment, operations: float) -> Products:
    """A task with only the largest matrix products of a sweep, of the same shapes, in a compiled loop over
    seeds and rounds.

    Seeds are divided among all local devices, or on a processor among its cores, as the simulator does. Gram
    engine: the kernel times the coefficients at all θ, (N × N)·(N × θ). Coefficient engine: every client's samples
    times the text features at all θ, (n × m)·(m × θ), and back. Matrices are orthogonal, so that no number
    overflows or underflows.

    Args:
        experiment: the sweep; its engine should be named, so that it is the one that ran it.
        operations: how many there should be, about; the rate is the same for any number of rounds.
    """
    devices, gram = jax.local_devices(), choose_engine(experiment).name == "gram"
    batching = batching_for(experiment, experiment.replicates, None)
    samples, most, thetas = _samples(experiment), max(experiment.samples), len(experiment.theta)
    start: tuple[int, ...]
    if gram:
        matrices = _orthogonal(samples, samples, experiment.precision)
        start, per_round = (samples, thetas), 2.0 * samples**2 * thetas
    else:
        one = _orthogonal(experiment.rows, most, experiment.precision).T
        matrices = np.broadcast_to(one, (experiment.clients, *one.shape))
        start = (experiment.clients, experiment.rows, thetas)
        per_round = 4.0 * samples * experiment.rows * thetas
    at_once = batching.layout.seeds_at_once
    # Two groups of seeds, so that the second finds none of its data in the cache; accelerators take all
    # seeds at once.
    seeds = len(devices) * (2 * at_once or -(-batching.replicates // len(devices)))
    rounds = max(1, min(experiment.rounds, round(operations / (per_round * seeds * batching.threads))))
    with arithmetic(experiment.precision):
        every = np.broadcast_to(matrices, (seeds, *matrices.shape))
        mesh = Mesh(np.asarray(devices), ("seeds",))
        placed = jax.device_put(every, NamedSharding(mesh, PartitionSpec("seeds")))
        one_seed = partial(_loop, start=start, rounds=rounds, back=not gram)
        loop = full_precision(lambda matrices: batching.layout.over_seeds(one_seed, matrices))
        part = PartitionSpec("seeds")
        compiled = jax.jit(jax.shard_map(loop, mesh=mesh, in_specs=part, out_specs=part))
    task = _task(lambda: compiled(placed), experiment.precision)
    return Products(
        lambda: parallel_map(lambda _: task(), range(batching.threads), batching.threads),
        per_round * rounds * seeds * batching.threads,
    )


def _task(compute: Callable[[], Any], precision: Precision) -> Task:
    """A task that computes in its precision, and returns only when the result is ready."""

    def task() -> Any:
        with arithmetic(precision):
            return jax.block_until_ready(compute())

    return task


def _loop(matrix: jax.Array, start: tuple[int, ...], rounds: int, back: bool) -> jax.Array:
    """Multiply vectors repeatedly by a matrix, or by one for each client."""

    def step(_: object, vectors: jax.Array) -> jax.Array:
        moved = matrix @ vectors
        return jnp.swapaxes(matrix, -1, -2) @ moved if back else moved

    # Derived from the matrix, so that JAX treats it as different on each device.
    vectors = jnp.ones(start, matrix.dtype) + 0 * matrix.ravel()[0]
    return jax.lax.fori_loop(0, rounds, step, vectors)


def _orthogonal(rows: int, columns: int, precision: str) -> np.ndarray:
    """Orthonormal columns: those of the reflection 1 − 2vvᵀ, v of random entries."""
    direction = np.random.default_rng(0).standard_normal(rows)
    direction /= math.sqrt(direction @ direction)
    return (np.eye(rows, columns) - 2 * np.outer(direction, direction[:columns])).astype(precision)


def _samples(experiment: Experiment) -> int:
    """Samples of all clients, with the padding that the engines work through."""
    return experiment.clients * max(experiment.samples)
