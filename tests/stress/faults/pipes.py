"""Streams that nobody reads: a pipe closed at some time, standard output or error closed from the start."""

import os
import random
import signal

from tests.stress.faults.aftermath import TO_FINISH, Scene, after
from tests.stress.faults.fault import QUICK, Fault, Moment, at, draw_moment, in_turn
from tests.stress.processes import Steps


def draw(rng: random.Random, number: int) -> Fault:
    """A closed stream."""
    target = in_turn(QUICK, number)
    moment = draw_moment(rng)
    kind = ("pipe", "closed output", "closed error", "full device")[number // len(QUICK) % 4]
    if kind == "pipe":
        return Fault(target, f"its output's reader leaves {moment}", lambda scene: _leave(scene, moment))
    redirection = {"closed output": ">&-", "closed error": "2>&-", "full device": ">/dev/full"}[kind]
    return Fault(target, f"runs with {redirection}", lambda scene: _redirected(scene, redirection))


def _leave(scene: Scene, moment: Moment) -> Steps:
    reading, writing = os.pipe()
    try:
        process = scene.site.start(scene.target.words, stdout=writing)
    finally:
        os.close(writing)
    yield from at(moment, scene, process)
    os.close(reading)
    return (yield from after(scene, process, (0, 128 + signal.SIGPIPE), TO_FINISH))


def _redirected(scene: Scene, redirection: str) -> Steps:
    process = scene.site.start(scene.target.words, wrapper=("sh", "-c", f'exec "$@" {redirection}', "sh"))
    allowed = (0,) if redirection == "2>&-" else (0, 1, 2, 128 + signal.SIGPIPE)
    return (yield from after(scene, process, allowed, TO_FINISH))
