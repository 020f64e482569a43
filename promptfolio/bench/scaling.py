"""Time of the toolkit against each size of a sweep, and against the number of devices."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import numpy as np

from promptfolio.bench.cases import sweep
from promptfolio.bench.fresh_run import FreshRunError, Lose, fresh_run
from promptfolio.bench.timing import Describe, in_turns
from simulate.experiment import Experiment
from simulate.running.runner import run

BASE = {"clients": 10, "samples": 20, "noise_dim": 2000, "thetas": 41, "seeds": 8, "rounds": 500}
"""The sweep that every curve goes through."""
_QUICK_BASE = {"clients": 2, "samples": 3, "noise_dim": 30, "thetas": 2, "seeds": 2, "rounds": 5}
# Each curve's values in multiples of the base; five, since most of the time goes into compilation.
_FACTORS: dict[str, tuple[float, ...]] = {
    "seeds": (1, 2, 4, 8, 16),
    "thetas": (0.25, 0.5, 1, 2, 4),
    "clients": (0.25, 0.5, 1, 2, 4),
    "samples": (0.25, 0.5, 1, 2, 4),
    "noise_dim": (0.25, 0.5, 1, 2, 4),
    "rounds": (0.25, 0.5, 1, 2, 4),
}
_DEVICES = (1, 2, 4, 8)
TITLES = {
    "seeds": "seeds",
    "thetas": "θ points",
    "clients": "clients K",
    "samples": "samples n",
    "noise_dim": "noise dim. L",
    "rounds": "rounds T",
    "devices": "devices",
}
"""Each size in words."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """Seconds of whole runs against one size, all others at the base.

    Attributes:
        size: name of the size, a key of `TITLES`.
        values: its values, increasing.
        seconds: of the fastest of several runs at each value, compilation excluded.
        base: its value in all other curves; 1 for devices.
    """

    size: str
    values: tuple[int, ...]
    seconds: tuple[float, ...]
    base: int = 1

    @property
    def title(self) -> str:
        """The size in words."""
        return TITLES[self.size]

    @property
    def exponent(self) -> float:
        """Slope of log seconds against log value, by least squares.

        Example:
            >>> Curve("rounds", (1, 2, 4), (3.0, 12.0, 48.0)).exponent
            2.0
        """
        return round(float(np.polyfit(np.log(self.values), np.log(self.seconds), 1)[0]), 12)

    @property
    def last_exponent(self) -> float:
        """The exponent between the last two points, where fixed costs matter least."""
        last = Curve(self.size, self.values[-2:], self.seconds[-2:])
        return last.exponent

    @property
    def line(self) -> tuple[float, float]:
        """(fixed seconds, seconds per unit) of the straight line with the least relative error."""
        seconds = np.asarray(self.seconds)
        terms = np.stack([1 / seconds, np.asarray(self.values) / seconds], axis=1)
        fixed, slope = np.linalg.lstsq(terms, np.ones(seconds.size), rcond=None)[0]
        return float(fixed), float(slope)

    @property
    def deviation_from_line(self) -> float:
        """Largest relative deviation of a point from that line.

        Example:
            >>> round(Curve("seeds", (1, 2, 4, 8), (3.0, 5.0, 9.0, 17.0)).deviation_from_line, 9)
            0.0
        """
        fixed, slope = self.line
        predicted = fixed + slope * np.asarray(self.values)
        return float(np.max(np.abs(predicted / np.asarray(self.seconds) - 1)))

    @property
    def deviation_from_proportion(self) -> float:
        """Largest relative deviation from seconds ∝ value, among the larger half of the values."""
        half = len(self.values) // 2
        per_unit = np.asarray(self.seconds[half:]) / np.asarray(self.values[half:])
        return float(np.max(np.abs(per_unit / per_unit[-1] - 1)))


def measure_scaling(*, turns: int, quick: bool, describe: Describe, lose: Lose) -> tuple[Curve, ...]:
    """Measure all curves.

    All are run by the Gram engine, so that the engine is the same at all points of a curve. Numbers of devices
    are virtual ones that share a processor, each in a process of its own; on an accelerator that curve is left
    out. It is left out, too, when a process of it fails: then ``lose`` is called with its title and the reason.
    """
    base = _QUICK_BASE if quick else BASE
    values = sizes_of(base)
    curves = []
    if jax.default_backend() == "cpu":
        try:
            curves.append(_over_devices(base, turns, quick, describe))
        except FreshRunError as error:
            lose(f"scaling with {TITLES['devices']}", str(error))
    experiments = {
        (name, value): gram_sweep(base, **{name: value})
        for name, several in values.items()
        for value in several
    }
    tasks: dict[Experiment, Callable[[], object]] = {}
    for experiment in experiments.values():
        # Curves share their base, and equal experiments are equal keys.
        tasks[experiment] = partial(run, experiment)
    for experiment in tasks:
        describe(f"scaling: warming up {experiment.clients} clients, {experiment.replicates} seeds")
        run(experiment)
    best = best_by_experiment(tasks, turns, describe)
    return (
        *(
            Curve(name, several, tuple(best[experiments[name, value]] for value in several), base[name])
            for name, several in values.items()
        ),
        *curves,
    )


def gram_sweep(base: Mapping[str, int], **sizes: int) -> Experiment:
    """The base sweep with some sizes changed, by the Gram engine."""
    return sweep(**{**base, **sizes}, engine="gram")


def sizes_of(base: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The values of every curve, increasing and without repeats; two θ at least.

    Example:
        >>> sizes_of(BASE)["clients"], sizes_of(BASE)["thetas"]
        ((2, 5, 10, 20, 40), (10, 20, 41, 82, 164))
    """
    least = {"thetas": 2}
    return {
        name: tuple(sorted({max(least.get(name, 1), int(base[name] * factor)) for factor in factors}))
        for name, factors in _FACTORS.items()
    }


def best_by_experiment(
    tasks: Mapping[Experiment, Callable[[], object]], turns: int, describe: Describe
) -> dict[Experiment, float]:
    """Best seconds of every task, timed in turns."""
    names = {f"scaling {number + 1} of {len(tasks)}": key for number, key in enumerate(tasks)}
    times = in_turns({name: tasks[key] for name, key in names.items()}, turns, describe)
    return {names[name]: min(seconds) for name, seconds in times.items()}


def _over_devices(base: Mapping[str, int], turns: int, quick: bool, describe: Describe) -> Curve:
    counts: Sequence[int] = _DEVICES[:2] if quick else _DEVICES
    experiment, best = gram_sweep({**base, "seeds": 4 * base["seeds"]}), []
    for count in counts:
        describe(f"scaling: {count} virtual device(s)")
        fresh = fresh_run(experiment, repetitions=1 + turns, virtual_devices=count)
        best.append(min(fresh.later_seconds))
    return Curve("devices", tuple(counts), tuple(best))
