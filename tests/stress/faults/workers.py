"""Dead workers: a process that a command has started is killed, or crashes."""

import contextlib
import os
import random
import signal

from tests.stress.faults.aftermath import TO_FINISH, Scene, after
from tests.stress.faults.fault import Fault, at, draw_moment, in_turn, name_of
from tests.stress.processes import Process, Steps

_TARGETS = ("sweep with workers", "sweep with workers", "check")


def draw(rng: random.Random, number: int) -> Fault:
    """A worker that dies."""
    target = in_turn(_TARGETS, number)
    moment = draw_moment(rng)
    sent = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
    choice = rng.random()
    # A cell is computed again by another worker. A check is not: it is reported as not made.
    allowed = (0,) if target.startswith("sweep") else (0, 1)

    def cause(scene: Scene) -> Steps:
        process = scene.site.start(scene.target.words)
        yield from at(moment, scene, process)
        yield from process.until(scene.reference.seconds * 2, lambda: bool(_workers(scene, process)))
        if found := _workers(scene, process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[int(choice * len(found))], sent)
        return (yield from after(scene, process, allowed, TO_FINISH, killed=True))

    return Fault(target, f"a worker gets {name_of(sent)} {moment}", cause)


def _workers(scene: Scene, process: Process) -> list[int]:
    """Processes that work for the command; the one in which Python counts shared resources does not."""
    return sorted(
        number
        for number, words in scene.site.processes().items()
        if number != process.number and "resource_tracker" not in words and "spawn_main" in words
    )
