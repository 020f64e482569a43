"""Sizes in bytes of what an engine keeps, and how much of an experiment it computes at a time."""

import dataclasses
import math
from typing import NamedTuple


class Arrays(NamedTuple):
    """How many numbers an engine's arrays hold.

    Attributes:
        replicate: of one replicate, whatever its number of θ, while it is drawn and kept.
        state: of the prompts and optimizer states of one replicate at one θ.
        working: read and written in every step of one replicate at one θ.
    """

    replicate: float
    state: float
    working: float


class Unit(NamedTuple):
    """What a processor computes at once; fields as in `simulate.running.devices.Layout`."""

    seeds_at_once: int
    thetas_at_once: int
    clients_in_turn: bool


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Bytes of an experiment's arrays.

    Attributes:
        trainings: number of θ that each replicate is trained at.
        replicate: bytes of one replicate, whatever its number of θ.
        theta: bytes of each θ of a replicate.
        working: bytes that a step of one θ reads and writes.
    """

    trainings: int
    replicate: float
    theta: float
    working: float

    def of(self, seeds: int, thetas: int) -> float:
        """Bytes of a batch of so many replicates at so many θ."""
        return seeds * (self.replicate + thetas * self.theta)

    def thetas_within(self, budget: float) -> int:
        """Number of θ of one replicate that fit so many bytes."""
        return int((budget - self.replicate) // self.theta)

    def seeds_within(self, cache: float, budget: float, thetas: int) -> int:
        """Number of replicates at so many θ whose steps fit the cache and arrays the budget; at least 1."""
        return max(1, int(min(cache // (thetas * self.working), budget // self.of(1, thetas))))


def share(total: int, among: int) -> int:
    """The largest of ``among`` shares of ``total``, as equal as can be."""
    return math.ceil(total / among)


def even(total: int, at_most: int) -> int:
    """The size of equal pieces of ``total``, none above ``at_most``.

    Example:
        >>> even(10, 4), even(3, 100)
        (4, 3)
    """
    return share(total, share(total, min(total, at_most)))
