"""The symmetric family of experiments that the closed forms are about, in the theory's own units."""

import dataclasses
from typing import Any

import numpy as np

from simulate.experiment import Experiment
from simulate.validation import ConfigurationError, require_integer, require_number
from theory.dynamics.margin_rate import local_rate
from theory.model.federation import EqualClients

SMALLEST = 1e-100
"""Least energy, signal and step size: their products, and those of the greatest, are still numbers."""


@dataclasses.dataclass(frozen=True)
class SymmetricSetting:
    """Equal clients: n samples each, in groups of equal size.

    Signals are given by what they achieve, so that one setting means the same at every noise dimension: the
    local prompt alone reaches the ratio ``strength`` to leading order, (a+b)√n / (σ_p² e √L) = strength.

    Raises:
        ConfigurationError: naming the first field that is not allowed.
    """

    clients: int = 4
    """K, number of clients."""
    samples: int = 10
    """n, training samples of each client."""
    noise_dim: int = 4000
    """L, number of task-irrelevant coordinates."""
    group_size: int = 1
    """χ, number of clients in a feature group; must divide the number of clients."""
    local_share: float = 0.7
    """b/(a+b), share of the client-specific feature in the signal."""
    strength: float = 0.8
    """Ratio R of the local prompt alone, to leading order."""
    noise_std: float = 1.0
    """σ_p."""
    noise_feature_sq: float = 1.0
    """e = ‖ξ‖²."""
    step_size: float = 0.2
    """ηκ_L, step size in units of the local prompt's rate (T8)."""

    def __post_init__(self) -> None:
        for field in ("clients", "samples", "noise_dim", "group_size"):
            require_integer(field, getattr(self, field), 1)
        if self.clients % self.group_size:
            raise ConfigurationError("group_size", self.group_size, f"a divisor of clients = {self.clients}")
        require_number("local_share", self.local_share, at_least=0, at_most=1)
        for field in ("strength", "noise_std", "noise_feature_sq", "step_size"):
            require_number(field, getattr(self, field), above=0)
        energy = self.noise_std * self.noise_std * self.noise_feature_sq
        for field, name, value in (
            ("noise_std", "noise_std² noise_feature_sq", energy),
            (
                "strength",
                "the signal, strength noise_std² noise_feature_sq √(noise_dim/samples),",
                self.signal,
            ),
        ):
            if not SMALLEST <= value <= 1 / SMALLEST:
                allowed = (
                    f"such that {name} lies between {SMALLEST:g} and {1 / SMALLEST:g} (here {value:.3g})"
                )
                raise ConfigurationError(field, getattr(self, field), allowed)
        if not SMALLEST <= self.learning_rate <= 1 / SMALLEST:
            allowed = f"such that η = step_size/κ_L lies between {SMALLEST:g} and {1 / SMALLEST:g}"
            raise ConfigurationError(
                "step_size", self.step_size, f"{allowed} (here {self.learning_rate:.3g})"
            )

    @property
    def signal(self) -> float:
        """a + b."""
        return (
            self.strength
            * self.noise_std
            * self.noise_std
            * self.noise_feature_sq
            * float(np.sqrt(self.noise_dim / self.samples))
        )

    @property
    def global_feature_sq(self) -> float:
        """a = ‖μ_G‖²."""
        return (1 - self.local_share) * self.signal

    @property
    def local_feature_sq(self) -> float:
        """b = ‖ν‖²."""
        return self.local_share * self.signal

    @property
    def learning_rate(self) -> float:
        """η."""
        return self.step_size / float(local_rate(self.equal_clients))

    @property
    def equal_clients(self) -> EqualClients:
        """The setting in the theory's letters, as its functions for equal clients take it."""
        return EqualClients(
            global_feature_sq=self.global_feature_sq,
            local_feature_sq=self.local_feature_sq,
            noise_feature_sq=self.noise_feature_sq,
            noise_std=self.noise_std,
            noise_dim=self.noise_dim,
            clients=self.clients,
            samples=self.samples,
            group_size=self.group_size,
        )

    def experiment(self, **changes: Any) -> Experiment:
        """The experiment of this setting; ``changes`` are further fields of `Experiment`."""
        fields: dict[str, Any] = {
            "clients": self.clients,
            "samples": (self.samples,),
            "groups": tuple(client // self.group_size for client in range(self.clients)),
            "global_feature_sq": self.global_feature_sq,
            "local_feature_sq": self.local_feature_sq,
            "noise_feature_sq": self.noise_feature_sq,
            "noise_std": self.noise_std,
            "noise_dim": self.noise_dim,
            "learning_rate": self.learning_rate,
        }
        return Experiment(**{**fields, **changes})
