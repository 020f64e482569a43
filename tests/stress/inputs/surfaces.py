"""All surfaces that take input, and how large a part of the inputs each gets."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from tests.stress.case import Case, Draw, Materials
from tests.stress.forked import Job
from tests.stress.inputs import banks, claims, documents, flags, pairs, results, specifications, targets


class Surface(NamedTuple):
    """A generator, and its share of the inputs."""

    draw: Draw
    share: float


SURFACES: dict[str, Surface] = {
    "flags": Surface(flags.draw, 0.34),
    "pairs": Surface(pairs.draw, 0.10),
    "targets": Surface(targets.draw, 0.11),
    "specifications": Surface(specifications.draw, 0.20),
    "banks": Surface(banks.draw, 0.12),
    "claims": Surface(claims.draw, 0.03),
    "documents": Surface(documents.draw, 0.02),
    "results": Surface(results.draw, 0.08),
}
_CONSOLE_SHARE = 0.01
"""Of the inputs that go through the installed program."""


def numbered(seed: int, surface: str, number: int, materials: Materials) -> Case:
    """One input; it depends on the seed, the surface and its number alone."""
    return SURFACES[surface].draw(random.Random(f"{seed}/{surface}/{number}"), materials)


def jobs(seed: int, count: int, materials: Materials) -> Iterator[Job]:
    """As many inputs as asked for, rounded up for every surface."""
    for surface, (_, share) in SURFACES.items():
        for number in range(-int(-count * share // 1)):
            case = numbered(seed, surface, number, materials)
            console = random.Random(f"{seed}/console/{surface}/{number}").random() < _CONSOLE_SHARE
            yield Job(f"{surface}/{number}", case, console and case.call is None and _passable(case))


def _passable(case: Case) -> bool:
    """Whether an operating system passes such words on."""
    return all(len(word) < 100_000 and "\0" not in word for word in case.words)
