"""All kinds of faults, and how large a part of the faults each gets."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.stress.faults import damage, disk, folders, pipes, rivals, signals, workers
from tests.stress.faults.fault import Draw, Fault


class Kind(NamedTuple):
    """A kind of faults, and its share."""

    draw: Draw
    share: float


KINDS: dict[str, Kind] = {
    "signals": Kind(signals.draw, 0.44),
    "pipes": Kind(pipes.draw, 0.10),
    "workers": Kind(workers.draw, 0.08),
    "disk": Kind(disk.draw, 0.12),
    "damage": Kind(damage.draw, 0.14),
    "folders": Kind(folders.draw, 0.07),
    "rivals": Kind(rivals.draw, 0.05),
}


def numbered(seed: int, kind: str, number: int) -> Fault:
    """One fault; what it does depends on the seed, the kind and its number alone, and when, on the machine."""
    return KINDS[kind].draw(random.Random(f"{seed}/{kind}/{number}"), number)


def faults(seed: int, count: int) -> Iterator[tuple[str, Fault]]:
    """As many faults as asked for, with their names: kinds as often as their shares say."""
    numbers = dict.fromkeys(KINDS, 0)
    for so_far in range(1, count + 1):
        kind = max(KINDS, key=lambda kind: KINDS[kind].share * so_far - numbers[kind])
        yield f"{kind}/{numbers[kind]}", numbered(seed, kind, numbers[kind])
        numbers[kind] += 1
