"""One replicate of an experiment as plain NumPy arrays, from which any training loop can start."""

from typing import NamedTuple

import jax
import numpy as np

from simulate.engines.rows.run import draw
from simulate.experiment import Experiment
from simulate.model.program import split
from simulate.model.world import streams_of
from simulate.running.arithmetic import arithmetic
from simulate.running.devices import ONE_DEVICE
from simulate.validation import ConfigurationError


class Problem(NamedTuple):
    """One replicate, client by client, in coefficient coordinates.

    Attributes:
        features: g_ki of each client, (samples, rows).
        labels: training labels ±1 of each client, (samples,).
        squared_norms: ‖w_r‖², (rows,).
        offset: c_r, (rows,).
        client_weights: p_k = n_k/N, one for each client.
        initial_global: z of the global prompt before training, (rows,).
        initial_local: z of the local ones, (clients, rows).
        learning_rate: η.
        local_steps: E.
    """

    features: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]
    squared_norms: np.ndarray
    offset: np.ndarray
    client_weights: tuple[float, ...]
    initial_global: np.ndarray
    initial_local: np.ndarray
    learning_rate: float
    local_steps: int

    @property
    def scale(self) -> np.ndarray:
        """‖w_r‖: with orthogonal rows, z_r = ‖w_r‖ u_r for the prompt's coordinate u_r along the row."""
        return np.sqrt(self.squared_norms)

    def along_rows(self, z: np.ndarray) -> np.ndarray:
        """Coordinates u of a prompt with pre-activations z; 0 along a row of norm 0."""
        return np.divide(z, self.scale, out=np.zeros_like(z), where=self.scale > 0)


class Prompts(NamedTuple):
    """Trained prompts by their pre-activations.

    Attributes:
        z_global: (rows,).
        z_local: (clients, rows).
    """

    z_global: np.ndarray
    z_local: np.ndarray


def problem_of(experiment: Experiment, replicate: int = 0) -> Problem:
    """Draw one replicate of an experiment, the same that `simulate.run` trains.

    Raises:
        ConfigurationError: when the experiment has a setting that the plain loops do not implement, naming the
            field.

    Example:
        >>> problem = problem_of(Experiment(clients=2, samples=(3, 5), noise_dim=40))
        >>> [features.shape for features in problem.features]
        [(3, 43), (5, 43)]
    """
    for field, only in (
        ("scheme", "joint"),
        ("activation", "relu"),
        ("optimizer", "sgd"),
        ("optimizer_options", ()),
        ("participation", 1.0),
    ):
        if getattr(experiment, field) != only:
            raise ConfigurationError(field, getattr(experiment, field), f"{only!r} for the plain loops")
    plain = experiment.replace(engine="coefficient", gram="features")
    with arithmetic(plain.precision):
        program, parameters = split(plain, plain.engine)
        keys, _ = streams_of(plain, np.asarray([replicate]))
        # The simulator's own compiled draw: another compilation may round the last digit of a float32 otherwise.
        worlds = draw(program.drawing, ONE_DEVICE, parameters, keys)
        world = jax.tree.map(lambda leaf: np.asarray(leaf[0]), worlds)
        data = world.data
        total = sum(plain.samples)
        return Problem(
            features=tuple(data.features[k, :count] for k, count in enumerate(plain.samples)),
            labels=tuple(data.labels[k, :count] for k, count in enumerate(plain.samples)),
            squared_norms=np.asarray(parameters.squared_norms),
            offset=np.asarray(parameters.offset),
            client_weights=tuple(count / total for count in plain.samples),
            initial_global=world.initial_global,
            initial_local=world.initial_local,
            learning_rate=plain.learning_rate,
            local_steps=plain.local_steps,
        )
