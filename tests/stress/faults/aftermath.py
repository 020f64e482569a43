"""What must hold after a fault, whichever it was."""

import dataclasses
import re
import signal
from collections.abc import Collection

from tests.stress.contents import content_of, contents, differences
from tests.stress.faults.targets import Reference, Target
from tests.stress.forked import ROOT
from tests.stress.judge import Verdict, last_line, messages
from tests.stress.processes import Process, Site, Steps

SURVIVED = "survived"
BAD = ("lost", "wrong", "traceback", "hang", "segfault", "orphan", "noise", "leftover", "status")
"""Of faults: a finished result is gone, or a rerun does not give it; a file holds other numbers or half of them; an
exception's traceback; no end within the limit; a crash; processes are left; more than one line; temporary files are
left; another exit status than the one that says what happened."""

TO_END = 5.0
"""Seconds in which a command has to end on a signal."""
TO_FINISH = 120.0
"""Seconds in which a command has to finish on a busy machine."""
_CRASHES = {
    128 + number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
}
_OURS = re.compile(re.escape(str(ROOT)) + r"/(promptfolio|simulate|theory|figures)/")


@dataclasses.dataclass(frozen=True)
class Scene:
    """Where a fault is caused: a site with the target's input, the target, what it gives undisturbed, and how many
    seconds more than on an idle machine things may take."""

    site: Site
    target: Target
    reference: Reference
    patience: float = 0.0


def after(
    scene: Scene,
    process: Process,
    allowed: Collection[int],
    limit: float,
    *,
    lines: Collection[int] = (0, 1),
    killed: bool = False,
) -> Steps:
    """Wait for a disturbed command's end, and judge it, then run it again; returns a verdict.

    Args:
        scene: where it runs.
        process: the command.
        allowed: exit statuses with which it may end.
        limit: seconds until then, before the scene's patience.
        lines: how many lines it may write on standard error.
        killed: whether it could not clean up.
    """
    verdict = yield from end_of(scene, process, allowed, limit, lines=lines, killed=killed)
    if verdict is None:
        verdict = damage_in(scene, complete=process.status == 0)
    if verdict is None and scene.target.whole:
        verdict = yield from rerun(scene)
    return verdict or Verdict(SURVIVED)


def end_of(
    scene: Scene,
    process: Process,
    allowed: Collection[int],
    limit: float,
    *,
    lines: Collection[int] = (0, 1),
    killed: bool = False,
) -> Steps:
    """The verdict on how a command ended, as in `after`; None when nothing is wrong."""
    in_time = yield from process.wait(limit + scene.patience)
    left = yield from scene.site.orphans()
    if not in_time:
        return Verdict("hang", f"no end within {limit + scene.patience:.0f} s; {last_line(process.err)}")
    if trouble := _trouble(process, allowed, lines):
        return trouble
    if left:
        return Verdict("orphan", "; ".join(left)[:300])
    if not killed and (found := scene.site.temporary()):
        return Verdict("leftover", ", ".join(path.name for path in found)[:300])
    return None


def _trouble(process: Process, allowed: Collection[int], lines: Collection[int]) -> Verdict | None:
    status, err = process.status, process.err
    assert status is not None
    if status in _CRASHES or "Fatal Python error" in err:
        return Verdict("segfault", f"exit status {status}: {last_line(err)}")
    if "Traceback (most recent call last)" in err or "Exception ignored" in err:
        # Before our first module is loaded, an interrupt is Python's own to report.
        return Verdict("traceback", last_line(err)) if _OURS.search(err) or "ignored" in err else None
    if status not in allowed:
        return Verdict(
            "status", f"exit status {status}, not {' or '.join(map(str, sorted(allowed)))}; {last_line(err)}"
        )
    said = messages(err)
    if status != 0 and len(said) not in lines:
        return Verdict("noise", f"{len(said)} lines: {' | '.join(said)[:300]}")
    return None


def damage_in(scene: Scene, complete: bool = False) -> Verdict | None:
    """The verdict on the files that are there: each has to be whole and right, and all there if that is said."""
    if not scene.target.whole:
        return _half_written(scene)
    missing, wrong = differences(scene.site.results, scene.reference.files)
    # Documents of an interrupted command say what there is so far; they have to be whole, which JSON shows.
    wrong = [each for each in wrong if complete or not _says_what_there_is(scene, each)]
    if wrong:
        return Verdict("wrong", "; ".join(wrong)[:300])
    if complete and missing:
        return Verdict("lost", f"exit status 0 without {', '.join(missing)}"[:300])
    return None


def _says_what_there_is(scene: Scene, complaint: str) -> bool:
    return scene.target.name == "check" and complaint.endswith("(other values)")


def _half_written(scene: Scene) -> Verdict | None:
    try:
        contents(scene.site.results)
    except (OSError, ValueError) as error:
        return Verdict("wrong", f"half a file: {error}"[:300])
    return None


def rerun(scene: Scene) -> Steps:
    """Run the command again, undisturbed; the verdict on what it gives, None when that is right."""
    scene.site.age_temporary()
    process = scene.site.fork(scene.target.again or scene.target.words)
    verdict = yield from end_of(scene, process, (0,), TO_FINISH)
    if verdict is not None:
        return verdict._replace(why=f"in the rerun: {verdict.why}")
    verdict = damage_in(scene, complete=True)
    return verdict and verdict._replace(why=f"after the rerun: {verdict.why}")


def finished(scene: Scene) -> set[str]:
    """Results that are complete now, by their paths."""
    found = set()
    for name, content in scene.reference.files.items():
        try:
            if content_of(scene.site.results / name) == content:
                found.add(name)
        except (OSError, ValueError, KeyError):
            continue
    return found


def lost(scene: Scene, before: set[str]) -> Verdict | None:
    """The verdict on results that were complete before the fault, and are not there any more."""
    gone = sorted(name for name in before if not (scene.site.results / name).exists())
    return Verdict("lost", f"gone: {', '.join(gone)}"[:300]) if gone else None
