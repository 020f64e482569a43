"""Two commands that write into one folder at the same time, one of which may be ended."""

import random
import signal

from tests.stress.faults.aftermath import TO_END, TO_FINISH, Scene, after, end_of
from tests.stress.faults.fault import Fault, in_turn, name_of
from tests.stress.processes import Steps

_TARGETS = ("sweep", "sweep with workers", "sweep", "simulate")


def draw(rng: random.Random, number: int) -> Fault:
    """A second run of the same command, started a little later."""
    delay = rng.uniform(0.0, 0.8)
    sent = rng.choice([None, signal.SIGKILL, signal.SIGTERM])
    share = rng.uniform(0.5, 1.5)

    def cause(scene: Scene) -> Steps:
        first = scene.site.start(scene.target.words)
        yield from first.until(delay * scene.reference.seconds)
        second = scene.site.start(scene.target.words)
        if sent is not None:
            yield from first.until(share * scene.reference.seconds)
            first.send(sent)
        allowed = (0,) if sent is None else (0, 128 + sent)
        patience = 2 * scene.reference.seconds
        limit = TO_FINISH if sent is None else TO_END + patience
        # The other goes on, so that its temporary files and processes are there.
        in_time = yield from first.wait(limit + scene.patience)
        verdict = yield from after(scene, second, (0,), TO_FINISH, killed=sent == signal.SIGKILL)
        if not in_time:
            return verdict._replace(word="hang", why="the first command has no end")
        ended = yield from end_of(scene, first, allowed, limit, killed=sent == signal.SIGKILL)
        return ended or verdict

    what = "" if sent is None else f", which gets {name_of(sent)}"
    return Fault(in_turn(_TARGETS, number), f"a second run beside the first{what}", cause)
