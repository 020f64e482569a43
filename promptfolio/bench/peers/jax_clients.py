"""A straightforward JAX loop: one client's local step is compiled, everything around it is Python.

As in `promptfolio.bench.peers.torch_loop`, a prompt is its coordinates u along the encoder's rows.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from promptfolio.bench.peers import Train
from promptfolio.bench.peers.problem import Problem, Prompts
from simulate.running.arithmetic import arithmetic

Pair = tuple[jax.Array, jax.Array]


def variants() -> Mapping[str, Train]:
    """The loop's only variant, without a description."""
    return {"": train}


def train(problem: Problem, theta: float, rounds: int) -> Prompts:
    """Train jointly (T3) at ``theta`` for ``rounds`` rounds."""
    with arithmetic("float64" if problem.offset.dtype == np.float64 else "float32"):
        encoder = (jnp.asarray(problem.scale), jnp.asarray(problem.offset))
        clients = [
            (jnp.asarray(features), jnp.asarray(labels))
            for features, labels in zip(problem.features, problem.labels, strict=True)
        ]
        server = jnp.asarray(problem.along_rows(problem.initial_global))
        local_prompts = [jnp.asarray(problem.along_rows(z)) for z in problem.initial_local]
        for _ in range(rounds):
            uploads = []
            for k, client in enumerate(clients):
                prompts = (server, local_prompts[k])
                for _ in range(problem.local_steps):
                    _, prompts = local_step(prompts, client, encoder, theta, problem.learning_rate)
                local_prompts[k] = prompts[1]
                uploads.append(prompts[0])
            server = average(uploads, problem.client_weights)
        z_local = np.stack([np.asarray(prompt) for prompt in local_prompts]) * problem.scale
        return Prompts(np.asarray(server) * problem.scale, z_local)


@jax.jit
def local_step(
    prompts: Pair, client: Pair, encoder: Pair, theta: float, learning_rate: float
) -> tuple[jax.Array, Pair]:
    """One gradient step of one client on both prompts; the loss comes with it."""
    features, labels = client
    scale, offset = encoder

    def encode(prompt: jax.Array) -> jax.Array:
        z = scale * prompt
        return z + jnp.clip(z, -offset, offset)

    def loss(prompts: Pair) -> jax.Array:
        mixture = (1 - theta) * encode(prompts[0]) + theta * encode(prompts[1])
        return jnp.mean(jax.nn.softplus(-labels * (features @ mixture)))

    value, gradients = jax.value_and_grad(loss)(prompts)
    return value, jax.tree.map(lambda prompt, slope: prompt - learning_rate * slope, prompts, gradients)


@jax.jit
def average(uploads: list[jax.Array], weights: tuple[float, ...]) -> jax.Array:
    """The server's mean of the uploads."""
    terms = [weight * upload for weight, upload in zip(weights, uploads, strict=True)]
    return jnp.sum(jnp.stack(terms), axis=0)
