"""Signals: Ctrl-C, an end asked for, a closed terminal, a kill."""

import random
import shutil
import signal

from tests.stress.faults.aftermath import TO_END, Scene, after, finished, lost
from tests.stress.faults.fault import EVERYTHING, Fault, at, draw_moment, in_turn, name_of
from tests.stress.processes import Steps

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


def draw(rng: random.Random, number: int) -> Fault:
    """A signal at a random moment, to the command alone or, as a terminal does it, to all of its processes."""
    # So that every command gets every signal in turn, and the first few faults have all signals.
    sent = _SIGNALS[(number // len(EVERYTHING) + number % len(EVERYTHING)) % len(_SIGNALS)]
    everybody = sent in (signal.SIGINT, signal.SIGHUP) and rng.random() < 0.5
    moment, over_results = draw_moment(rng), rng.random() < 0.3
    killed = sent == signal.SIGKILL

    def cause(scene: Scene) -> Steps:
        if over_results and scene.target.whole:
            shutil.copytree(scene.reference.folder, scene.site.results)
        process = scene.site.start(scene.target.words)
        yield from at(moment, scene, process)
        before = finished(scene)
        process.send(sent, everybody)
        allowed = (0, 128 + sent)
        verdict = yield from after(scene, process, allowed, TO_END, killed=killed)
        return lost(scene, before) or verdict

    to = " to all its processes" if everybody else ""
    over = ", over finished results" if over_results else ""
    return Fault(in_turn(EVERYTHING, number), f"{name_of(sent)}{to} {moment}{over}", cause)
