"""The sweeps that are timed.

All of them train jointly at 41 values of θ from 0 to 1 in float32 and record the last round only. They leave the
choice of the engine to the toolkit, as a user would; they differ in which rows leave the linear band and in size.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.experiment import Experiment

CaseName = Literal["S1", "S2", "S2b", "S3"]
CASES: tuple[CaseName, ...] = get_args(CaseName)

FAR, NEAR = 1e3, 0.05
"""Class offsets: one far above all |z_r| that training reaches, and one that the signal rows exceed."""
AMID_NOISE = 0.01
"""A class offset that the largest noise rows exceed."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One sweep to time.

    Attributes:
        name: short name.
        meaning: what distinguishes it, in a few words.
        experiment: the sweep.
    """

    name: str
    meaning: str
    experiment: Experiment

    @property
    def run_steps(self) -> int:
        """Rounds times seeds times θ: the work of the sweep."""
        return self.experiment.rounds * self.experiment.replicates * len(self.experiment.theta)

    @property
    def size(self) -> str:
        """The sweep's sizes in one line."""
        one = self.experiment
        return (
            f"K={one.clients}, n={one.samples[0]}, L={one.noise_dim},"
            f" {len(one.theta)} θ × {one.replicates} seeds × {one.rounds} rounds"
        )


def sweep(
    *, clients: int, samples: int, noise_dim: int, thetas: int, seeds: int, rounds: int, **fields: Any
) -> Experiment:
    """A sweep in the symmetric setting, recorded once at its end.

    Args:
        clients, samples, noise_dim: K, n and L.
        thetas: number of equidistant θ, both ends included; at least 2.
        seeds: replicates.
        rounds: T.
        fields: further fields of `Experiment`.

    Example:
        >>> one = sweep(clients=2, samples=3, noise_dim=40, thetas=3, seeds=2, rounds=5)
        >>> one.theta, one.record
        ((0.0, 0.5, 1.0), (5,))
    """
    setting = SymmetricSetting(clients=clients, samples=samples, noise_dim=noise_dim)
    return setting.experiment(
        theta=tuple(index / (thetas - 1) for index in range(thetas)),
        replicates=seeds,
        rounds=rounds,
        record=(rounds,),
        **{"precision": "float32", **fields},
    )


def cases(names: Sequence[CaseName] = CASES, *, quick: bool = False) -> tuple[Case, ...]:
    """The cases of these names; with ``quick``, the same on a small scale, to see that everything works.

    S2b has fewer seeds than S1, since the engine that it needs takes dozens of times longer for each.

    Example:
        >>> [(case.name, case.size) for case in cases(["S3"])]
        [('S3', 'K=100, n=20, L=5000, 41 θ × 8 seeds × 500 rounds')]
    """
    size: dict[str, Any] = {"clients": 10, "samples": 20, "noise_dim": 2000, "thetas": 41, "rounds": 500}
    seeds, few, large = 64, 8, {"clients": 100, "noise_dim": 5000}
    if quick:
        # So small a sweep would not get the Gram engine by itself.
        size |= {"clients": 3, "samples": 4, "noise_dim": 60, "thetas": 3, "rounds": 100, "engine": "gram"}
        seeds, few, large = 2, 1, {"clients": 6, "noise_dim": 90}
    all_cases: dict[CaseName, Case] = {
        "S1": Case("S1", "class offsets out of reach", sweep(**size, seeds=seeds)),
        "S2": Case(
            "S2",
            "signal rows leave the linear band",
            sweep(**size, seeds=seeds, signal_offset=NEAR, noise_offset=FAR),
        ),
        "S2b": Case(
            "S2b",
            "noise rows leave it too",
            sweep(**size, seeds=few, signal_offset=NEAR, noise_offset=AMID_NOISE),
        ),
        "S3": Case("S3", "many clients", sweep(**{**size, **large}, seeds=few)),
    }
    return tuple(all_cases[name] for name in names)
