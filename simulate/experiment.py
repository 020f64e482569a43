"""The experiment: one frozen, validated description of everything a run depends on.

It imports nothing heavy, so a command line can build and reject experiments at once.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import ClassVar, Literal, get_args

from simulate.configuration import FederatedConfiguration
from simulate.engines.registry import AUTO, engine_named, engine_names
from simulate.former_names import FIELDS
from simulate.validation import (
    LARGEST_INTEGER,
    ConfigurationError,
    require_choice,
    require_integer,
    require_number,
)

MixingScheme = Literal["joint", "posthoc", "detached"]
"""The schemes that train both prompts side by side."""
TrainingScheme = Literal[MixingScheme, "finetuned"]
Activation = Literal["relu", "leaky_relu", "softplus", "tanh", "relu_power"]
Gram = Literal["features", "wishart"]
Precision = Literal["float32", "float64"]

MOST_CLIENTS = 100_000
"""Largest K: several fields hold an entry for each."""
MOST_RECORDS = 1_000_000
"""Largest number of recorded rounds."""
_RANGES = {"float32": (1.18e-38, 3.4e38), "float64": (2.23e-308, 1.79e308)}
"""Smallest and largest size of a number that each arithmetic holds with all its digits."""
_SIZES = (
    "global_feature_sq",
    "local_feature_sq",
    "noise_feature_sq",
    "prior_feature_sq",
    "noise_std",
    "signal_offset",
    "noise_offset",
    "init_std",
    "learning_rate",
    "activation_parameter",
)


@dataclasses.dataclass(frozen=True)
class Experiment(FederatedConfiguration):
    """A federated prompt portfolio on synthetic features: model, data, training, recording.

    Construction resolves shorthand (one sample count for all clients, no groups) and validates every
    field, so an `Experiment` that exists is complete and allowed.

    Raises:
        ConfigurationError: naming the first field that is not allowed, its value and what is.

    Example:
        >>> experiment = Experiment(clients=3, samples=(5,), rounds=10)
        >>> experiment.samples, experiment.groups, experiment.rows
        ((5, 5, 5), (0, 1, 2), 2004)
    """

    former_names: ClassVar[Mapping[str, str]] = FIELDS

    clients: int = 4
    """K, the number of clients."""
    samples: tuple[int, ...] = (10,)
    """n_k, training samples per client: one number for all clients, or one each."""
    groups: tuple[int, ...] = ()
    """s(k), the feature group of each client, numbered from 0; empty gives every client its own."""
    global_feature_sq: float = 3.4
    """a = ‖μ_G‖², squared norm of the feature that all clients share."""
    local_feature_sq: float = 7.9
    """b = ‖ν_s‖², squared norm of each group's own feature."""
    noise_feature_sq: float = 1.0
    """e = ‖ξ_l‖², squared norm of each task-irrelevant feature."""
    noise_std: float = 1.0
    """σ_p, standard deviation of the task-irrelevant coordinates of an image feature."""
    noise_dim: int = 2000
    """L, number of task-irrelevant coordinates."""
    label_noise: float = 0.0
    """ε, chance that a TRAINING label is flipped (T26). Features keep the true class, test labels are clean."""
    class_prior: tuple[float, ...] = (0.5,)
    """π_k, chance that a sample of the client has y = +1 (T27): one number for all clients, or one each."""
    prior_feature_sq: float = 0.0
    """‖w_0‖², squared norm of the encoder row of a coordinate that is 1 in every image, by which a prompt can learn
    its data's class prior (T27); 0 leaves the coordinate out, as (T1) does."""
    activation: Activation = "relu"
    """σ of the text encoder (T2)."""
    activation_parameter: float = 0.1
    """Slope of leaky_relu below 0, or the power q of relu_power; the other activations ignore it."""
    signal_offset: float = 1e3
    """c_r, class-name offset of the task-relevant encoder rows: |z_r| < c_r is ReLU's linear band."""
    noise_offset: float = 1e3
    """c_r of the task-irrelevant encoder rows."""
    prompt_dim: int = 0
    """d, dimension of a prompt; 0 means as many as the encoder has rows, the least allowed."""
    init_std: float = 0.0
    """Standard deviation of each entry of the initial prompts."""
    scheme: TrainingScheme = "joint"
    """How the two prompts are trained: through the mixture, apart, with the global one detached, or one after the
    other: finetuned trains the global prompt alone for all rounds, then every local one from it."""
    theta: tuple[float, ...] = (0.5,)
    """θ, mixing coefficients to run: the weight of the LOCAL prompt."""
    rounds: int = 100
    """T, federated rounds."""
    finetune_steps: int = 0
    """s, gradient steps that every client takes from the global prompt after the last round, on its own samples and
    without communication: at least 1 under the finetuned scheme, and 0 under the others."""
    local_steps: int = 1
    """E, gradient steps of each client in a round."""
    participation: float = 1.0
    """Fraction of the clients drawn (without replacement) to take part in each round."""
    optimizer: str = "sgd"
    """Name of an optax optimizer, run by every client on its pair of prompts."""
    optimizer_options: tuple[tuple[str, float], ...] = ()
    """Further numeric arguments of the optimizer, as (name, value) pairs."""
    learning_rate: float = 2.4e-4
    """η, the step size."""
    record: tuple[int, ...] = ()
    """Rounds after which to record, 0 for the start; empty records every round. Under the finetuned scheme the
    numbers above the rounds T are steps of fine-tuning: T + s is after s of them."""
    engine: str = "auto"
    """prompt: literally, in R^d; coefficient: its exact equivalent (T5); gram: the same in the space of samples,
    while the noise rows are in ReLU's linear band; auto: the cheapest that can run the experiment, chosen when a
    run starts. Further names are those given to `simulate.register_engine`."""
    gram: Gram = "features"
    """Where the Gram engine's inner products come from. features: the image features that the other engines draw,
    so that results agree run by run; wishart: their joint law, at a cost that does not depend on noise_dim."""
    precision: Precision = "float64"
    """Arithmetic of the run. Data are the same for both, up to rounding."""
    seed: int = 0
    """Base of all random keys, from 0 to 2³² − 1."""
    replicates: int = 1
    """Number of independent repetitions, each with its own data and initial prompts."""

    def __post_init__(self) -> None:
        require_integer("clients", self.clients, 1, MOST_CLIENTS)
        for field in ("samples", "groups", "class_prior", "theta", "optimizer_options", "record"):
            value = getattr(self, field)
            if not isinstance(value, tuple | list | range):
                raise ConfigurationError(field, value, "a list, even of one entry")
            self._resolve(field, tuple(value))
        for field in ("samples", "class_prior"):
            if len(getattr(self, field)) == 1:
                self._resolve(field, getattr(self, field) * self.clients)
        self._resolve("groups", self.groups or tuple(range(self.clients)))
        self._check_clients()
        self._check_model()
        self._check_training()
        if self.prompt_dim == 0:
            self._resolve("prompt_dim", self.rows)
        require_integer("prompt_dim", self.prompt_dim, self.rows)
        self._check_record()
        self._check_engine()

    def _check_clients(self) -> None:
        for field in ("samples", "groups", "class_prior"):
            value = getattr(self, field)
            if len(value) != self.clients:
                raise ConfigurationError(
                    field, value, f"a list of clients = {self.clients} entries, one per client"
                )
        for count in self.samples:
            require_integer("samples", count, 1)
        for prior in self.class_prior:
            require_number("class_prior", prior, at_least=0, at_most=1)
        for group in self.groups:
            require_integer("groups", group, 0)
        if set(self.groups) != set(range(max(self.groups) + 1)):
            raise ConfigurationError("groups", self.groups, "group numbers 0, 1, 2 … without a gap")

    def _check_model(self) -> None:
        for field in ("global_feature_sq", "local_feature_sq", "prior_feature_sq"):
            require_number(field, getattr(self, field), at_least=0)
        require_number("label_noise", self.label_noise, at_least=0, at_most=1)
        for field in ("noise_feature_sq", "noise_std", "signal_offset", "noise_offset"):
            require_number(field, getattr(self, field), above=0)
        require_integer("noise_dim", self.noise_dim, 1)
        require_choice("activation", self.activation, get_args(Activation))
        if self.activation == "leaky_relu":
            require_number("activation_parameter", self.activation_parameter, at_least=0, at_most=1)
        if self.activation == "relu_power":
            require_number("activation_parameter", self.activation_parameter, at_least=1)

    def _check_training(self) -> None:
        require_choice("scheme", self.scheme, get_args(TrainingScheme))
        if not self.theta:
            raise ConfigurationError("theta", self.theta, "at least one number in [0, 1]")
        for theta in self.theta:
            require_number("theta", theta, at_least=0, at_most=1)
        if len(set(self.theta)) != len(self.theta):
            raise ConfigurationError("theta", self.theta, "a list without repeats")
        self._check_federation()
        self._check_fine_tuning()
        require_choice("precision", self.precision, get_args(Precision))
        self._check_precision()
        require_choice("engine", self.engine, (AUTO, *engine_names()))
        require_choice("gram", self.gram, get_args(Gram))

    def _check_fine_tuning(self) -> None:
        require_integer("finetune_steps", self.finetune_steps, 0, LARGEST_INTEGER - self.rounds)
        if (self.finetune_steps > 0) != (self.scheme == "finetuned"):
            allowed = "at least 1 with scheme = finetuned, and 0 with every other"
            raise ConfigurationError("finetune_steps", self.finetune_steps, allowed)

    def _check_record(self) -> None:
        if len(self.record) > MOST_RECORDS or (not self.record and self.turns >= MOST_RECORDS):
            allowed = f"at most {MOST_RECORDS} of rounds = {self.rounds}; () records all of them"
            raise ConfigurationError("record", self.record, allowed)
        if self.record:
            super()._check_record()
        else:
            self._resolve("record", _every_round(self.turns))

    def _check_precision(self) -> None:
        """Refuse numbers that would be 0 or infinite in the arithmetic of the run."""
        smallest, largest = _RANGES[self.precision]
        for field in _SIZES:
            value = getattr(self, field)
            if value != 0 and not smallest <= abs(value) <= largest:
                allowed = f"between {smallest:g} and {largest:g} with precision = {self.precision}"
                raise ConfigurationError(field, value, allowed)

    def _check_engine(self) -> None:
        """Refuse what the named engine cannot run, or what none can when the choice is left open."""
        if self.engine != AUTO:
            if obstacle := engine_named(self.engine).obstacle(self):
                raise ConfigurationError("engine", self.engine, f"another one, or auto, {obstacle}")
            return
        obstacles = {name: engine_named(name).obstacle(self) for name in engine_names()}
        if all(obstacles.values()):
            reasons = "; ".join(f"not {name} {obstacle}" for name, obstacle in obstacles.items())
            raise ConfigurationError("engine", self.engine, f"one that can run the experiment: {reasons}")

    @property
    def trained_once(self) -> bool:
        """Whether training does not depend on θ, so that one is for all of them."""
        return self.scheme in ("posthoc", "finetuned")

    @property
    def trained_thetas(self) -> tuple[float, ...]:
        """θ of every training; one that stands for all of them where training does not depend on θ."""
        return self.theta[:1] if self.trained_once else self.theta

    @property
    def turns(self) -> int:
        """Rounds, and the steps of fine-tuning after them: what ``record`` counts."""
        return self.rounds + self.finetune_steps

    @property
    def training_rounds(self) -> int:
        """Turns of all trainings of all replicates, up to the last one recorded."""
        return self.replicates * len(self.trained_thetas) * self.record[-1]

    @property
    def training_steps(self) -> int:
        """Gradient steps of a client in all trainings of all replicates, up to the last one recorded."""
        return self.replicates * len(self.trained_thetas) * self.steps_after(self.record[-1])

    def steps_after(self, turn: int) -> int:
        """Gradient steps that a client has taken after so many turns: E in each round, one in each later turn.

        Example:
            >>> experiment = Experiment(scheme="finetuned", rounds=3, local_steps=5, finetune_steps=2)
            >>> [experiment.steps_after(turn) for turn in (1, 3, 5)]
            [5, 15, 17]
        """
        rounds = min(turn, self.rounds)
        return rounds * self.local_steps + turn - rounds

    @property
    def group_count(self) -> int:
        """S, number of feature groups."""
        return max(self.groups) + 1

    @property
    def constant_rows(self) -> int:
        """Rows of the text encoder that read the constant coordinate: one, or none when it is left out."""
        return int(self.prior_feature_sq > 0)

    @property
    def rows(self) -> int:
        """m = 1 + S + L rows of the text encoder, and one more with a constant coordinate."""
        return 1 + self.group_count + self.constant_rows + self.noise_dim


@functools.lru_cache(maxsize=8)
def _every_round(rounds: int) -> tuple[int, ...]:
    """All rounds with the start, one list for all experiments that record them."""
    return tuple(range(rounds + 1))
