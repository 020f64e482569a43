"""Results that are damaged between two runs: read again, and computed again over them."""

import pathlib
import random
import shutil
from collections.abc import Callable

from tests.stress.case import Case
from tests.stress.faults.aftermath import TO_FINISH, Scene, after, damage_in, end_of, rerun
from tests.stress.faults.fault import Fault, in_turn
from tests.stress.forked import Job, Running
from tests.stress.judge import Verdict, judge
from tests.stress.processes import Steps

_TARGETS = ("sweep", "sweep", "sweep", "sweep with workers", "simulate", "mixing", "clip")
_TO_READ = 60.0


def draw(rng: random.Random, number: int) -> Fault:
    """One or two damaged files."""
    target = in_turn(_TARGETS, number)
    seed = rng.getrandbits(64)
    kind = in_turn(tuple(_DAMAGE), number + number // len(_TARGETS))

    def cause(scene: Scene) -> Steps:
        site, chosen = scene.site, random.Random(seed)
        shutil.copytree(scene.reference.folder, site.results)
        files = sorted(site.results.glob("*.nc"))
        for path in chosen.sample(files, min(len(files), chosen.randint(1, 2))):
            _DAMAGE[kind](chosen, path, files)
        if target.startswith("sweep"):
            verdict = yield from _read(scene)
            if verdict is not None:
                return verdict
        process = site.start(scene.target.words)
        # What is no file, or has another experiment than its name says, is for its owner to move away.
        foreign = kind == "folder" or (target.startswith("sweep") and kind == "swapped")
        if not foreign:
            return (yield from after(scene, process, (0,), TO_FINISH))
        verdict = yield from end_of(scene, process, (0, 1, 2), TO_FINISH)
        if verdict is None and process.status == 0:
            verdict = damage_in(scene, complete=True)
        elif verdict is None:
            shutil.rmtree(site.results)
            verdict = yield from rerun(scene)
        return verdict or Verdict("survived")

    return Fault(target, f"results {kind} between two runs", cause)


def _read(scene: Scene) -> Steps:
    """The verdict on reading the damaged sweep; None when it is refused, or gives the right numbers."""
    results, good, spec = scene.site.results, scene.reference.folder, scene.site.here / "spec.toml"

    def call() -> None:
        from promptfolio.sweep import load_sweep

        read, right = load_sweep(spec, results), load_sweep(spec, good)
        if not all(right[name].identical(read[name]) for name in right.variables):
            raise AssertionError("read without a word, though numbers differ")

    case = Case("load_sweep", "damaged", (), ("",), False, None, call)
    running = Running(Job("damaged", case), scene.site.base, lambda folder: "")
    while (ended := running.poll(_TO_READ)) is None:
        yield
    word, why = judge(case, ended)
    if word in ("refused", "accepted"):
        return None
    if "numbers differ" in why:
        return Verdict("wrong", why)
    return Verdict({"hang": "hang", "crash": "segfault"}.get(word, "traceback"), f"load_sweep: {why}")


Damage = Callable[[random.Random, pathlib.Path, list[pathlib.Path]], object]


def _flip(rng: random.Random, path: pathlib.Path, files: list[pathlib.Path]) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 64)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _cut(rng: random.Random, path: pathlib.Path, files: list[pathlib.Path]) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def _zero(rng: random.Random, path: pathlib.Path, files: list[pathlib.Path]) -> None:
    content = bytearray(path.read_bytes())
    start = rng.randrange(max(1, len(content) - 4096))
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    path.write_bytes(content)


def _swap(rng: random.Random, path: pathlib.Path, files: list[pathlib.Path]) -> None:
    other = rng.choice([each for each in files if each != path] or [path])
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)


def _empty(rng: random.Random, path: pathlib.Path, files: list[pathlib.Path]) -> None:
    path.write_bytes(b"")


def _remove(rng: random.Random, path: pathlib.Path, files: list[pathlib.Path]) -> None:
    path.unlink()


def _folder(rng: random.Random, path: pathlib.Path, files: list[pathlib.Path]) -> None:
    path.unlink()
    path.mkdir()


_DAMAGE: dict[str, Damage] = {
    "with flipped bits": _flip,
    "cut short": _cut,
    "with a block of zeros": _zero,
    "swapped": _swap,
    "emptied": _empty,
    "removed": _remove,
    "folder": _folder,
}
"""By kind."""
