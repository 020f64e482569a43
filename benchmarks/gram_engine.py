"""Speed of the Gram engine beside the machine's own matrix products and beside the coefficient engine.

    python benchmarks/gram_engine.py [--json PATH]

K=10, n=20, L=2000, 41 θ × 64 seeds × 500 rounds of joint training in float32, recorded once. A round's largest
product, (200 × 200)·(200 × 41), is timed by itself; the coefficient engine runs a few rounds of a few seeds, and
its time is scaled to the whole sweep and labelled so. Repetitions take turns, and the least time counts.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from checks.mixing import theta_grid
from checks.setting import SymmetricSetting
from simulate.experiment import Experiment
from simulate.gram_runner import advance_gram, prepare_gram
from simulate.runner import advance, prepare

SEEDS, ROUNDS = 64, 500
FEW_SEEDS, FEW_ROUNDS = 4, 25


def sweep() -> Experiment:
    setting = SymmetricSetting(clients=10, samples=20, noise_dim=2000)
    return setting.experiment(
        theta=theta_grid(0.025),
        replicates=SEEDS,
        rounds=ROUNDS,
        record=(ROUNDS,),
        precision="float32",
        engine="gram",
    )


def training(prepared: Any, advance: Callable[..., Any], rounds: int) -> Callable[[], Any]:
    """A function that trains from the start."""

    def train() -> Any:
        states = jax.tree.map(jnp.copy, prepared.states)  # the training consumes them
        return advance(*prepared.constants, states, jnp.asarray([rounds]))

    return train


def products(kernels: jax.Array, thetas: int) -> Callable[[], jax.Array]:
    """A function that performs the largest product of every round of the sweep, and nothing else."""

    def one(kernel: jax.Array) -> jax.Array:
        scaled = kernel / jnp.abs(kernel).sum(axis=1).max()
        start = jnp.ones((kernel.shape[0], thetas), kernel.dtype)
        return jax.lax.fori_loop(0, ROUNDS, lambda _, vectors: scaled @ vectors, start)

    compiled = jax.jit(lambda kernels: jax.lax.map(one, kernels))
    return lambda: compiled(kernels)


def seconds(task: Callable[[], Any]) -> float:
    started = time.perf_counter()
    jax.block_until_ready(task())
    return time.perf_counter() - started


def main() -> None:
    """Time everything and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", help="file for the numbers")
    arguments = parser.parse_args()
    experiment = sweep()
    few = experiment.replace(
        engine="coefficient", replicates=FEW_SEEDS, rounds=FEW_ROUNDS, record=(FEW_ROUNDS,)
    )
    prepared = prepare_gram(experiment)
    train = training(prepared, advance_gram, ROUNDS)
    tasks: dict[str, Callable[[], Any]] = {
        "draw": lambda: prepare_gram(experiment),
        "train and record": train,
        "products alone": products(prepared.worlds.kernel, len(experiment.theta)),
        "coefficient engine": training(prepare(few), advance, FEW_ROUNDS),
    }
    first = {name: seconds(task) for name, task in tasks.items()}
    best = {name: min(times) for name, times in _in_turns(tasks).items()}
    scale = SEEDS * ROUNDS / (FEW_SEEDS * FEW_ROUNDS)
    flops = 2 * prepared.worlds.kernel.shape[1] ** 2 * len(experiment.theta) * SEEDS * ROUNDS
    numbers = {
        "draw_seconds": best["draw"],
        "train_seconds": best["train and record"],
        "compile_seconds": first["train and record"] - best["train and record"],
        "product_gflops_per_second": flops / best["products alone"] / 1e9,
        "share_of_product_rate": best["products alone"] / best["train and record"],
        "coefficient_seconds_extrapolated": best["coefficient engine"] * scale,
        "ratio": best["coefficient engine"] * scale / best["train and record"],
    }
    for name, value in numbers.items():
        print(f"{name:36s} {value:,.4g}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(numbers, file, indent=2)


def _in_turns(tasks: dict[str, Callable[[], Any]], repetitions: int = 4) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repetitions):
        for name, task in tasks.items():
            times[name].append(seconds(task))
    return times


if __name__ == "__main__":
    main()
