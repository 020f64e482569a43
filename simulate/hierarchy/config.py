"""A portfolio of more than two prompts: an experiment, partitions of its clients into clusters, and weights.

It imports nothing heavy, like `simulate.experiment`.
"""

import dataclasses
import json
import math

from simulate.experiment import Experiment
from simulate.validation import ConfigurationError, require_choice, require_integer, require_number

# Weights are typed or computed by people; this much is rounding.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class Hierarchy:
    """Prompts on several levels: one averaged over all clients, one per cluster, one of each client alone.

    The levels are global, one for each partition in ``clusters``, and local. A client mixes the text features of
    its prompts of all levels, H_k = Σ_i w_i h(p_i), with weights w that are not negative and sum to one (T23).

    Raises:
        ConfigurationError: naming the first field that is not allowed, its value and what is.

    Example:
        >>> hierarchy = Hierarchy(Experiment(clients=4), ((0, 0, 1, 1),), ((0.5, 0.3, 0.2), (1.0, 0.0, 0.0)))
        >>> hierarchy.levels
        ('global', 'cluster', 'local')
    """

    experiment: Experiment
    """Model, data, training and recording; its θ is not used and must have its default: ``weights`` replace it."""
    clusters: tuple[tuple[int, ...], ...]
    """One partition of the clients per level between global and local: the cluster of every client, from 0."""
    weights: tuple[tuple[float, ...], ...]
    """w, portfolios to run: one weight per level, in the order of ``levels``."""

    def __post_init__(self) -> None:
        self._check_experiment()
        for partition in self.clusters:
            if len(partition) != self.experiment.clients:
                allowed = f"partitions with clients = {self.experiment.clients} entries, one per client"
                raise ConfigurationError("clusters", partition, allowed)
            for cluster in partition:
                require_integer("clusters", cluster, 0)
            if set(partition) != set(range(max(partition) + 1)):
                raise ConfigurationError("clusters", partition, "cluster numbers 0, 1, 2 … without a gap")
        if not self.weights:
            raise ConfigurationError("weights", self.weights, "at least one portfolio")
        for portfolio in self.weights:
            if len(portfolio) != len(self.levels):
                raise ConfigurationError(
                    "weights", portfolio, "one weight for each of " + ", ".join(self.levels)
                )
            for weight in portfolio:
                require_number("weights", weight, at_least=0, at_most=1)
            if abs(math.fsum(portfolio) - 1) > _ROUNDING:
                raise ConfigurationError("weights", portfolio, "numbers that sum to 1")

    def _check_experiment(self) -> None:
        default = next(field.default for field in dataclasses.fields(Experiment) if field.name == "theta")
        if self.experiment.theta != default:
            allowed = f"left at its default {default}: the weights take its place"
            raise ConfigurationError("experiment.theta", self.experiment.theta, allowed)
        require_choice("experiment.scheme", self.experiment.scheme, ("joint", "posthoc"))
        if self.experiment.prior_feature_sq > 0:
            raise ConfigurationError(
                "experiment.prior_feature_sq",
                self.experiment.prior_feature_sq,
                "0: the accuracy Φ(R) holds without a constant coordinate",
            )
        require_choice("experiment.engine", self.experiment.engine, ("auto", "coefficient", "gram"))
        # All levels are trained by pre-activations, as by the coefficient engine, and need what it needs.
        require_choice("experiment.optimizer", self.experiment.optimizer, ("sgd",))
        require_choice("experiment.gram", self.experiment.gram, ("features",))

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels, from the prompt that all clients share to the client's own."""
        several = len(self.clusters) > 1
        middle = (
            f"cluster {number}" if several else "cluster" for number in range(1, len(self.clusters) + 1)
        )
        return ("global", *middle, "local")

    def to_json(self) -> str:
        """The configuration as one line of JSON; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Hierarchy":
        """Rebuild a configuration from `to_json`.

        Raises:
            ConfigurationError: when the text is not such an object, or a field is not allowed.
        """
        try:
            fields = json.loads(text)
            experiment = Experiment.from_json(json.dumps(fields["experiment"]))
            clusters, weights = (tuple(map(tuple, fields[name])) for name in ("clusters", "weights"))
        except ConfigurationError:
            raise
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            allowed = f"a JSON object with fields experiment, clusters, weights ({error!r})"
            raise ConfigurationError(cls.__name__, text, allowed) from None
        return cls(experiment, clusters, weights)
