"""A plain NumPy loop, with the gradient written out.

The prompts are their pre-activations z; a step −η ∇_p ℓ on a prompt moves z_r by −η ‖w_r‖² ∂ℓ/∂z_r (T5).
"""

from collections.abc import Mapping

import numpy as np

from promptfolio.bench.peers import Train
from promptfolio.bench.peers.problem import Problem, Prompts


def variants() -> Mapping[str, Train]:
    """The loop's only variant, without a description."""
    return {"": train}


def train(problem: Problem, theta: float, rounds: int) -> Prompts:
    """Train jointly (T3) at ``theta`` for ``rounds`` rounds."""
    offset, rate = problem.offset, problem.learning_rate * problem.squared_norms

    def encode(z: np.ndarray) -> np.ndarray:
        return z + np.clip(z, -offset, offset)

    def slope(z: np.ndarray) -> np.ndarray:
        return 1 + (np.abs(z) < offset)

    z_global = problem.initial_global
    z_local = list(problem.initial_local)
    for _ in range(rounds):
        average = np.zeros_like(z_global)
        for k, (features, labels) in enumerate(zip(problem.features, problem.labels, strict=True)):
            own_global, own_local = z_global, z_local[k]
            for _ in range(problem.local_steps):
                mixture = (1 - theta) * encode(own_global) + theta * encode(own_local)
                margins = labels * (features @ mixture)
                pull = rate * ((labels / (1 + np.exp(margins))) @ features / labels.size)
                own_global = own_global + (1 - theta) * slope(own_global) * pull
                own_local = own_local + theta * slope(own_local) * pull
            z_local[k] = own_local
            average += problem.client_weights[k] * own_global
        z_global = average
    return Prompts(z_global, np.stack(z_local))
