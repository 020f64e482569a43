"""One fault: what happens, to which command, and when."""

import dataclasses
import os
import random
import signal
from collections.abc import Callable

from tests.stress.faults.aftermath import Scene
from tests.stress.faults.targets import TARGETS
from tests.stress.processes import Process, Steps


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        target: name of the command in `TARGETS`.
        what: what happens, in words.
        cause: starts the command in a scene, makes it happen, and returns the verdict.
    """

    target: str
    what: str
    cause: Callable[[Scene], Steps]


Draw = Callable[[random.Random, int], Fault]
"""A kind of faults: draws one, given its number."""


def in_turn(names: tuple[str, ...], number: int) -> str:
    """The name whose turn it is, so that few faults meet many commands."""
    return names[number % len(names)]


EVERYTHING = tuple(TARGETS)
QUICK = tuple(name for name, target in TARGETS.items() if target.whole)


@dataclasses.dataclass(frozen=True)
class Moment:
    """When a fault happens: after a share of the time that the command takes, or while it writes its n-th file."""

    share: float
    writing: int

    def __str__(self) -> str:
        return f"while file {self.writing} is written" if self.writing else f"at {self.share:.0%} of the time"


def draw_moment(rng: random.Random) -> Moment:
    """A random moment; half of them are in the short time in which a result is written."""
    return Moment(rng.uniform(0.1, 1.0), rng.randint(1, 3) if rng.random() < 0.5 else 0)


def at(moment: Moment, scene: Scene, process: Process) -> Steps:
    """Wait for the moment, or for the end of the command if that is sooner."""
    seen: set[str] = set()

    def writing() -> bool:
        try:
            with os.scandir(scene.site.results) as entries:
                seen.update(entry.name for entry in entries if entry.name.startswith("."))
        except OSError:
            return False
        return len(seen) >= moment.writing

    # Where files are too few or too quick to be seen, the end of the usual time will do.
    share, reached = (1.5, writing) if moment.writing else (moment.share, lambda: False)
    yield from process.until(share * scene.reference.seconds, reached)


def name_of(number: int) -> str:
    """A signal's name, such as SIGTERM."""
    return signal.Signals(number).name
