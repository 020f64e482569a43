"""An experiment split into what the compiler must know and what may change freely.

Experiments with equal `Program` share one compilation, whatever their `Parameters`.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from simulate.experiment import Activation, Engine, Experiment, Precision, Protocol


@dataclasses.dataclass(frozen=True)
class Program:
    """Static part of an experiment: array shapes and choices of algorithm. Fields as in `Experiment`."""

    clients: int
    max_samples: int
    group_count: int
    noise_dim: int
    prompt_dim: int
    activation: Activation
    protocol: Protocol
    local_steps: int
    participants: int
    optimizer: str
    optimizer_options: tuple[tuple[str, float], ...]
    engine: Engine
    precision: Precision

    @property
    def rows(self) -> int:
        """m = 1 + S + L."""
        return 1 + self.group_count + self.noise_dim

    @property
    def drawing(self) -> "Program":
        """The program without what drawing a world ignores, so that such programs share its compilation."""
        return dataclasses.replace(
            self,
            activation="relu",
            protocol="joint",
            local_steps=1,
            participants=self.clients,
            optimizer="sgd",
            optimizer_options=(),
        )


class Parameters(NamedTuple):
    """Traced part of an experiment.

    Attributes:
        squared_norms: ‖w_r‖² = (a, b × groups, e × L); shape (rows,).
        offset: c_r; shape (rows,).
        activation_parameter: slope or power of σ; scalar.
        noise_std: σ_p; scalar.
        init_std: standard deviation of initial prompt entries; scalar.
        learning_rate: η; scalar.
        sample_counts: n_k; shape (clients,).
        own_group: 1{s = s(k)}; shape (clients, groups).
    """

    squared_norms: Float[Array, " rows"]
    offset: Float[Array, " rows"]
    activation_parameter: Float[Array, ""]
    noise_std: Float[Array, ""]
    init_std: Float[Array, ""]
    learning_rate: Float[Array, ""]
    sample_counts: Float[Array, " clients"]
    own_group: Float[Array, "clients groups"]

    @property
    def client_weights(self) -> Float[Array, " clients"]:
        """p_k = n_k / N."""
        return self.sample_counts / self.sample_counts.sum()


def split(experiment: Experiment) -> tuple[Program, Parameters]:
    """The static and the traced part of an experiment, the latter in the experiment's precision."""
    program = Program(
        clients=experiment.clients,
        max_samples=max(experiment.samples),
        group_count=experiment.group_count,
        noise_dim=experiment.noise_dim,
        prompt_dim=experiment.prompt_dim,
        activation=experiment.activation,
        protocol=experiment.protocol,
        local_steps=experiment.local_steps,
        participants=experiment.participants,
        optimizer=experiment.optimizer,
        optimizer_options=experiment.optimizer_options,
        engine=experiment.engine,
        precision=experiment.precision,
    )
    blocks = (1, experiment.group_count, experiment.noise_dim)
    norms = (experiment.global_signal, experiment.local_signal, experiment.noise_feature)
    offsets = (experiment.signal_offset, experiment.signal_offset, experiment.noise_offset)

    def array(value: object) -> Array:
        return jnp.asarray(value, jnp.dtype(experiment.precision))

    return program, Parameters(
        squared_norms=array(np.repeat(norms, blocks)),
        offset=array(np.repeat(offsets, blocks)),
        activation_parameter=array(experiment.activation_parameter),
        noise_std=array(experiment.noise_std),
        init_std=array(experiment.init_std),
        learning_rate=array(experiment.learning_rate),
        sample_counts=array(experiment.samples),
        own_group=array(np.equal.outer(experiment.groups, np.arange(experiment.group_count))),
    )
