"""The study: one frozen, validated description of a prompt portfolio on CLIP features.

It imports nothing heavy, so a command line can build and reject studies at once.
"""

import dataclasses
import math
from typing import Literal, get_args

from simulate.configuration import FederatedConfiguration
from simulate.experiment import MixingScheme
from simulate.validation import (
    ConfigurationError,
    require_choice,
    require_integer,
    require_number,
    require_seed,
)

Split = Literal["disjoint", "pooled"]

_SMALLEST, _LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127
"""Of float32, the smallest at full precision."""
_LARGEST_BETA = 1e6
"""With it, shares of the clients differ by a thousandth, far less than one image."""
_CLOSEST = 1e-6
"""Least distance of two θ that float32 tells apart."""


@dataclasses.dataclass(frozen=True)
class ClipStudy(FederatedConfiguration):
    """Prompts on a feature bank: how images are divided over clients, training, mixing, recording.

    Construction validates every field and resolves shorthand, so a `ClipStudy` that exists is complete and
    allowed.

    Raises:
        ConfigurationError: naming the first field that is not allowed, its value and what is.

    Example:
        >>> study = ClipStudy(rounds=20, theta_step=0.25, trained_theta=(0.1, 0.5))
        >>> study.theta, study.record
        ((0.0, 0.1, 0.25, 0.5, 0.75, 1.0), (1, 2, 5, 10, 20))
    """

    clients: int = 10
    """K, the number of clients; of a bank that names each image's client, as many as it names."""
    beta: float = 0.3
    """β of the Dirichlet label skew: small is heterogeneous. Not used with a bank that names the clients."""
    validation_fraction: float = 1 / 3
    """Share of each client's held-out images, class by class, used to choose θ; the rest is for testing. Not used
    where a split of the bank serves for validation, or with a pooled split."""
    min_rows: int = 5
    """Fewest training, validation and test images that each client must have."""
    anchor_images: int = 1
    """Public images per class whose mean feature replaces the class text feature, in banks without texts."""
    train_split: str = ""
    """Split of the bank to train on; empty takes "train", else "val", else the first one that is not held out."""
    validation_split: str = ""
    """Split of the bank to choose θ on; empty takes "val" where that is neither trained nor tested on, else a share
    of the held-out split, as does the held-out split's own name."""
    heldout_split: str = "test"
    """Split of the bank with the test images."""
    split: Split = "disjoint"
    """disjoint: no image is used for two of training, validation and test. pooled: as in the authors' released
    code, for `promptfolio audit`: both splits are pooled, each client trains on a part of its pool and is
    tested on ALL of it."""
    partition_seed: int | None = None
    """Seed of ONE partition, and its anchors, for all replicates; None draws them anew for each, as error bars
    over replicates need."""
    schemes: tuple[MixingScheme, ...] = ("posthoc", "joint", "detached")
    """Training schemes to run; each trains prompts of its own."""
    theta_step: float = 0.02
    """Step of the grid of θ, the weight of the LOCAL prompt, at which post-hoc mixtures are tested."""
    trained_theta: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.6, 1.0)
    """θ at which the joint and detached schemes train a pair each."""
    rounds: int = 150
    """T, federated rounds."""
    record: tuple[int, ...] = ()
    """Rounds after which to record, 0 for the start; empty takes 1, 2, 5, 10, 20, 50, … and the last."""
    local_steps: int = 1
    """E, gradient steps of each client in a round."""
    participation: float = 1.0
    """Fraction of the clients drawn (without replacement) to take part in each round."""
    optimizer: str = "sgd"
    """Name of an optax optimizer, run by every client on its pair of prompts."""
    optimizer_options: tuple[tuple[str, float], ...] = ()
    """Further numeric arguments of the optimizer, as (name, value) pairs."""
    learning_rate: float = 0.01
    """η, the step size."""
    logit_scale: float = 100.0
    """Factor from cosine similarity to logit; CLIP's own is 100."""
    init_std: float = 0.0
    """Standard deviation of each entry of the initial prompts; 0 starts at zero-shot classification."""
    prior_samples: float = 8.0
    """ν, weight of the pooled margin covariance in (T24), in degrees of freedom."""
    seed: int = 0
    """Base of all random keys, from 0 to 2³² − 1."""
    replicates: int = 5
    """Number of independent repetitions, each with its own initial prompts, partition and anchors."""

    def __post_init__(self) -> None:
        require_integer("clients", self.clients, 2)
        require_number("beta", self.beta, above=0, at_most=_LARGEST_BETA)
        require_number("validation_fraction", self.validation_fraction, above=0, at_most=0.9)
        require_integer("min_rows", self.min_rows, 1)
        require_integer("anchor_images", self.anchor_images, 1)
        for field in ("train_split", "validation_split", "heldout_split", "optimizer"):
            if not isinstance(getattr(self, field), str):
                raise ConfigurationError(field, getattr(self, field), "a name")
        for field in ("schemes", "trained_theta", "record", "optimizer_options"):
            if not isinstance(getattr(self, field), tuple):
                raise ConfigurationError(field, getattr(self, field), "a tuple")
        if self.train_split == self.heldout_split:
            raise ConfigurationError("train_split", self.train_split, "another split than heldout_split")
        if self.validation_split and self.validation_split == self.train_split:
            raise ConfigurationError(
                "validation_split", self.validation_split, "another split than train_split"
            )
        require_choice("split", self.split, get_args(Split))
        if self.validation_split and self.split == "pooled":
            raise ConfigurationError("validation_split", self.validation_split, "empty with a pooled split")
        if self.partition_seed is not None:
            require_seed("partition_seed", self.partition_seed)
        self._check_schemes()
        self._check_federation()
        require_number("logit_scale", self.logit_scale, above=0)
        self._check_single_precision()
        require_number("prior_samples", self.prior_samples, above=0)
        if not self.record:
            self._resolve("record", _one_two_five(self.rounds))
        self._check_record()

    def _check_single_precision(self) -> None:
        """Refuse what would be zero or infinite in float32, in which studies run."""
        named = {name: getattr(self, name) for name in ("learning_rate", "logit_scale", "init_std")}
        named |= {f"optimizer_options[{name}]": value for name, value in self.optimizer_options}
        for field, value in named.items():
            if value != 0 and not _SMALLEST <= abs(value) <= _LARGEST:
                raise ConfigurationError(
                    field, value, f"of a size that float32 holds, from {_SMALLEST:.4g} to {_LARGEST:.4g}"
                )

    def _check_schemes(self) -> None:
        if not self.schemes or len(set(self.schemes)) != len(self.schemes):
            raise ConfigurationError("schemes", self.schemes, "a list of at least one, without repeats")
        for scheme in self.schemes:
            require_choice("schemes", scheme, get_args(MixingScheme))
        require_number("theta_step", self.theta_step, at_least=1e-4, at_most=1)
        if not math.isclose(1 / self.theta_step, round(1 / self.theta_step)):
            raise ConfigurationError("theta_step", self.theta_step, "1 divided by an integer")
        for theta in self.trained_theta:
            require_number("trained_theta", theta, at_least=0, at_most=1)
        if not self.trained_theta or list(self.trained_theta) != sorted(set(self.trained_theta)):
            raise ConfigurationError(
                "trained_theta", self.trained_theta, "strictly increasing numbers in [0, 1]"
            )
        gaps = zip(self.trained_theta, self.trained_theta[1:], strict=False)
        if any(after - before < _CLOSEST for before, after in gaps):
            raise ConfigurationError("trained_theta", self.trained_theta, f"at least {_CLOSEST:g} apart")

    @property
    def theta(self) -> tuple[float, ...]:
        """All θ of a result: the grid of post-hoc mixing and the trained ones, in order."""
        count = round(1 / self.theta_step)
        grid = {round(index / count, 12) for index in range(count + 1)}
        # A trained θ that is a grid point but for rounding must not appear twice.
        extra = {theta for theta in self.trained_theta if min(abs(theta - each) for each in grid) > 1e-9}
        return tuple(sorted(grid | extra))


def _one_two_five(rounds: int) -> tuple[int, ...]:
    powers = range(len(str(rounds)))
    return tuple(
        sorted({step for p in powers for step in (10**p, 2 * 10**p, 5 * 10**p) if step < rounds} | {rounds})
    )
