"""A full disk: a small file system of the command's own, or a limit on the size of files."""

import functools
import random
import resource
import shutil
import subprocess

from tests.stress.contents import differences
from tests.stress.faults.aftermath import TO_FINISH, Scene, after, end_of, rerun
from tests.stress.faults.fault import QUICK, Fault, in_turn
from tests.stress.judge import Verdict
from tests.stress.processes import Steps

_BLOCK = 4096
_MOUNTED = 'mount -t tmpfs -o size=$0 none results && { "$@"; s=$?; cp -a results/. ../kept; exit $s; }'
"""What runs in a name space of its own: the file system is gone afterwards, and what it held is copied."""


def draw(rng: random.Random, number: int) -> Fault:
    """A disk, or a file, that is full after a random number of blocks."""
    target = in_turn(QUICK, number)
    size = _BLOCK * rng.choice([1, 2, 3, 5, 8, 13, 21])
    over_results = rng.random() < 0.5
    if number % 2 and _can_mount():
        return Fault(target, f"a disk of {size} bytes", lambda scene: _on_small_disk(scene, size))
    return Fault(target, f"files of at most {size} bytes", lambda scene: _limited(scene, size, over_results))


def _limited(scene: Scene, size: int, over_results: bool) -> Steps:
    if over_results:
        shutil.copytree(scene.reference.folder, scene.site.results)
    process = scene.site.start(
        scene.target.words, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    )
    return (yield from after(scene, process, (0, 1, 2), TO_FINISH))


def _on_small_disk(scene: Scene, size: int) -> Steps:
    site = scene.site
    site.results.mkdir()
    kept = site.base / "kept"
    kept.mkdir()
    process = site.start(scene.target.words, wrapper=("unshare", "-rm", "sh", "-c", _MOUNTED, str(size)))
    verdict = yield from end_of(scene, process, (0, 1, 2), TO_FINISH)
    if verdict is None:
        hidden = [path.name for path in kept.rglob(".*")]
        _, wrong = differences(kept, scene.reference.files)
        if hidden:
            verdict = Verdict("leftover", ", ".join(hidden))
        elif wrong and scene.target.name != "check":  # whose documents say what there is so far
            verdict = Verdict("wrong", "; ".join(wrong)[:300])
    return verdict or (yield from rerun(scene)) or Verdict("survived")


@functools.cache
def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=4096 none /mnt"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0
