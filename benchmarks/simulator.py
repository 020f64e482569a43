"""Speed of the simulator beside a plain NumPy training loop, in one run on one machine.

    python benchmarks/simulator.py [--json PATH]

Both train the same θ-sweep over seeds. The NumPy loop goes over seeds, θ, clients and rounds one by one, as a
first implementation would; it runs a few rounds of a single seed and θ, and its time is scaled to the whole
sweep and labelled so. Compilation is reported apart. Absolute seconds belong to the machine; the ratio is what
to quote.
"""

import argparse
import json
import platform
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from checks.mixing import theta_grid
from checks.setting import SymmetricSetting
from simulate.experiment import Experiment
from simulate.runner import advance, prepare

ROUNDS = 100
NUMPY_ROUNDS = 20


def sweep(replicates: int = 8) -> Experiment:
    """K=10, n=20, L=2000: 41 θ, several seeds, joint training."""
    setting = SymmetricSetting(clients=10, samples=20, noise_dim=2000)
    return setting.experiment(
        theta=theta_grid(0.025), replicates=replicates, rounds=ROUNDS, record=(ROUNDS,), precision="float32"
    )


def time_simulator(experiment: Experiment) -> dict[str, float]:
    """Seconds to compile and to run the whole sweep, measurements included."""
    seconds = []
    for _ in range(3):
        prepared = prepare(experiment)
        jax.block_until_ready(prepared)
        started = time.perf_counter()
        jax.block_until_ready(advance(*prepared.constants, prepared.states, jnp.asarray([ROUNDS])))
        seconds.append(time.perf_counter() - started)
    return {"run": min(seconds[1:]), "compile": seconds[0] - min(seconds[1:])}


def time_numpy(experiment: Experiment) -> float:
    """Seconds per run-step (one round of one seed at one θ) of a loop over clients in NumPy."""
    prepared = prepare(experiment.replace(replicates=1, theta=(0.5,)))
    data = jax.tree.map(lambda leaf: np.asarray(leaf[0]), prepared.worlds.data)
    norms = np.asarray(prepared.parameters.squared_norms)
    offset = np.asarray(prepared.parameters.offset)
    z_global = np.zeros_like(norms)
    z_locals = np.zeros((experiment.clients, norms.size), norms.dtype)

    def encode(z: np.ndarray) -> np.ndarray:
        return z + np.clip(z, -offset, offset)

    def slope(z: np.ndarray) -> np.ndarray:
        return 1 + (np.abs(z) < offset)

    started = time.perf_counter()
    for _ in range(NUMPY_ROUNDS):
        uploads = []
        for k in range(experiment.clients):
            features, labels = data.features[k], data.labels[k]
            margins = labels * (features @ (0.5 * encode(z_global) + 0.5 * encode(z_locals[k])))
            pull = (expit(-margins) * labels) @ features / labels.size
            rate = experiment.learning_rate * norms * 0.5
            uploads.append(z_global + rate * slope(z_global) * pull)
            z_locals[k] += rate * slope(z_locals[k]) * pull
        z_global = np.mean(uploads, axis=0)
    return (time.perf_counter() - started) / NUMPY_ROUNDS


def main() -> None:
    """Time both and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", help="file for the numbers")
    arguments = parser.parse_args()
    experiment = sweep()
    run_steps = experiment.replicates * len(experiment.theta) * ROUNDS
    simulator = time_simulator(experiment)
    per_step = min(time_numpy(experiment) for _ in range(3))
    numbers: dict[str, Any] = {
        "machine": f"{platform.machine()}, {jax.default_backend()}, {len(jax.devices())} device(s)",
        "run_steps": run_steps,
        "simulator_seconds": simulator["run"],
        "simulator_compile_seconds": simulator["compile"],
        "simulator_run_steps_per_second": run_steps / simulator["run"],
        "numpy_seconds_extrapolated": per_step * run_steps,
        "numpy_run_steps_per_second": 1 / per_step,
        "ratio": per_step * run_steps / simulator["run"],
    }
    print(f"K=10, n=20, L=2000, {len(experiment.theta)} θ × {experiment.replicates} seeds × {ROUNDS} rounds")
    for name, value in numbers.items():
        print(f"{name:32s} {value:,.4g}" if isinstance(value, float) else f"{name:32s} {value}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(numbers, file, indent=2)


if __name__ == "__main__":
    main()
