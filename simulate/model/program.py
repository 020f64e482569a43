"""An experiment split into its static part, which a compiled program depends on, and its traced part.

Experiments with equal `Program` share one compilation, whatever their `Parameters`.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
import scipy.special
from jaxtyping import Array, Float, Int

from simulate.experiment import Activation, Experiment, Gram, Precision, TrainingScheme


@dataclasses.dataclass(frozen=True)
class Program:
    """Static part of an experiment: array shapes and choices of algorithm.

    Fields as in `Experiment`, but ``engine`` is the name of the engine that runs it, never "auto".
    """

    clients: int
    max_samples: int
    group_count: int
    constant_rows: int
    noise_dim: int
    noisy_labels: bool
    random_start: bool
    prompt_dim: int
    activation: Activation
    scheme: TrainingScheme
    local_steps: int
    participants: int
    optimizer: str
    optimizer_options: tuple[tuple[str, float], ...]
    engine: str
    gram: Gram
    precision: Precision

    @property
    def rows(self) -> int:
        """m = 1 + S + L, and one more with a constant coordinate."""
        return self.signals + self.noise_dim

    @property
    def signals(self) -> int:
        """Number of task-relevant rows, with the constant one: the rows before the noise."""
        return 1 + self.group_count + self.constant_rows

    @property
    def drawing(self) -> "Program":
        """The program with defaults in fields that drawing does not depend on, to share its compilation."""
        return dataclasses.replace(
            self,
            activation="relu",
            scheme="joint",
            local_steps=1,
            participants=self.clients,
            optimizer="sgd",
            optimizer_options=(),
        )

    @property
    def training(self) -> "Program":
        """The program with defaults in fields that training does not depend on once the world is drawn."""
        return dataclasses.replace(self, noisy_labels=False, random_start=False)


class Parameters(NamedTuple):
    """Traced part of an experiment.

    Attributes:
        squared_norms: ‖w_r‖² = (a, b × groups, ‖w_0‖² if there is a constant coordinate, e × L); shape
            (rows,).
        offset: c_r; shape (rows,).
        activation_parameter: slope or power of σ; scalar.
        noise_std: σ_p; scalar.
        label_noise: ε; scalar.
        class_prior: π_k = P(y = +1); shape (clients,).
        label_threshold: a standard normal lies below it with chance 1 − π_k; shape (clients,).
        init_std: standard deviation of initial prompt entries; scalar.
        learning_rate: η; scalar.
        rounds: T, after which the finetuned scheme leaves every client to itself; integer scalar.
        sample_counts: n_k; shape (clients,).
        own_group: 1{s = s(k)}; shape (clients, groups).
    """

    squared_norms: Float[Array, " rows"]
    offset: Float[Array, " rows"]
    activation_parameter: Float[Array, ""]
    noise_std: Float[Array, ""]
    label_noise: Float[Array, ""]
    class_prior: Float[Array, " clients"]
    label_threshold: Float[Array, " clients"]
    init_std: Float[Array, ""]
    learning_rate: Float[Array, ""]
    rounds: Int[Array, ""]
    sample_counts: Float[Array, " clients"]
    own_group: Float[Array, "clients groups"]

    @property
    def client_weights(self) -> Float[Array, " clients"]:
        """p_k = n_k / N."""
        return self.sample_counts / self.sample_counts.sum()


def label_thresholds(class_prior: tuple[float, ...]) -> np.ndarray:
    """The quantile of a standard normal below which a sample's label is −1, for every client's P(y = +1).

    Rounded to float32, in which labels are drawn, so that both precisions see the same labels.

    Example:
        >>> label_thresholds((0.5, 1.0)).tolist()
        [0.0, -inf]
    """
    return scipy.special.ndtri(1 - np.asarray(class_prior)).astype(np.float32)


def split(experiment: Experiment, engine: str) -> tuple[Program, Parameters]:
    """The static and the traced part of an experiment, the latter in the experiment's precision.

    Args:
        experiment: what to run.
        engine: name of the engine that is to run it.
    """
    program = Program(
        clients=experiment.clients,
        max_samples=max(experiment.samples),
        group_count=experiment.group_count,
        constant_rows=experiment.constant_rows,
        noise_dim=experiment.noise_dim,
        noisy_labels=experiment.label_noise > 0,
        random_start=experiment.init_std > 0,
        prompt_dim=experiment.prompt_dim,
        activation=experiment.activation,
        scheme=experiment.scheme,
        local_steps=experiment.local_steps,
        participants=experiment.participants,
        optimizer=experiment.optimizer,
        optimizer_options=experiment.optimizer_options,
        engine=engine,
        gram=experiment.gram,
        precision=experiment.precision,
    )
    # All noise rows have the same norm and offset; where inner products are drawn, one entry gives both.
    noise_rows = experiment.noise_dim if experiment.gram == "features" else 1
    blocks = (1, experiment.group_count, experiment.constant_rows, noise_rows)
    norms = (
        experiment.global_feature_sq,
        experiment.local_feature_sq,
        experiment.prior_feature_sq,
        experiment.noise_feature_sq,
    )
    offsets = (*(experiment.signal_offset,) * 3, experiment.noise_offset)

    def array(value: object) -> Array:
        # JAX would round the same way, in a program for every shape.
        return jax.device_put(np.asarray(value, experiment.precision))

    return program, Parameters(
        squared_norms=array(np.repeat(norms, blocks)),
        offset=array(np.repeat(offsets, blocks)),
        activation_parameter=array(experiment.activation_parameter),
        noise_std=array(experiment.noise_std),
        label_noise=array(experiment.label_noise),
        class_prior=array(experiment.class_prior),
        label_threshold=array(label_thresholds(experiment.class_prior)),
        init_std=array(experiment.init_std),
        learning_rate=array(experiment.learning_rate),
        rounds=jax.device_put(np.asarray(experiment.rounds, np.int32)),
        sample_counts=array(experiment.samples),
        own_group=array(np.equal.outer(experiment.groups, np.arange(experiment.group_count))),
    )
