"""Folders that vanish, move or are replaced by a file while a command writes into them."""

import contextlib
import random
import shutil

from tests.stress.faults.aftermath import TO_FINISH, Scene, end_of, rerun
from tests.stress.faults.fault import QUICK, Fault, at, draw_moment, in_turn
from tests.stress.judge import Verdict
from tests.stress.processes import Steps

_KINDS = ("removed", "moved away", "replaced by a file")


def draw(rng: random.Random, number: int) -> Fault:
    """The folder of the results is not what it was."""
    kind = in_turn(_KINDS, number + number // len(QUICK))
    moment = draw_moment(rng)

    def cause(scene: Scene) -> Steps:
        site = scene.site
        site.results.mkdir()
        process = site.start(scene.target.words)
        yield from at(moment, scene, process)
        with contextlib.suppress(OSError):
            if kind == "moved away":
                site.results.rename(site.base / "elsewhere")
            else:
                shutil.rmtree(site.results)
                if kind == "replaced by a file":
                    site.results.write_text("in the way\n")
        verdict = yield from end_of(scene, process, (0, 1, 2), TO_FINISH)
        if verdict is None:
            if site.results.is_file():
                site.results.unlink()
            verdict = yield from rerun(scene)
        return verdict or Verdict("survived")

    return Fault(in_turn(QUICK, number), f"the folder is {kind} {moment}", cause)
