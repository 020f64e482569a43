"""What an end means: the words in which outcomes are counted, and how one is found."""

import json
import math
import pathlib
import re
from typing import NamedTuple

import h5py
import numpy as np

from tests.stress.case import Case
from tests.stress.forked import Ended

GOOD_ENDS = ("refused", "accepted", "failed in one line")
BAD_ENDS = ("traceback", "hang", "silent", "crash", "leftover", "noise", "unnamed", "status")
"""Of inputs: an exception's traceback; no end within the limit; a bad input accepted, or results not finite or
wrong; ended by a signal; a refused command left files; more or less than one line, or an unreadable one; a line
that does not name the field; another exit status."""

LONGEST_LINE = 2000
"""Characters of a message that a person may be asked to read."""
_REFUSED, _FAILED = 2, 1
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")
_ASIDE = re.compile(r"promptfolio: (note: .*|.* \(after [^()]*\))$")
"""A note on a result, or a line of progress, of which a long run without a terminal writes some."""


class Verdict(NamedTuple):
    """A word of `GOOD_ENDS` or `BAD_ENDS`, and why, for people."""

    word: str
    why: str = ""


def judge(case: Case, ended: Ended) -> Verdict:
    """The verdict on how a command took a bad input."""
    status = ended.status
    if status is None:
        return Verdict("hang", f"no end within {ended.seconds:.0f} s")
    if trouble := trouble_in(ended.err, status):
        return trouble
    if status == _REFUSED:
        return _judge_refusal(case, ended)
    if status not in (0, _FAILED):
        return Verdict("status", f"exit status {status}")
    if case.must:
        return Verdict("silent", f"not refused: exit status {status}; {last_line(ended.err)}")
    if ended.complaint:
        return Verdict("silent", ended.complaint)
    if status == _FAILED:
        return _judge_line(ended.err) or Verdict("failed in one line")
    return Verdict("accepted")


def trouble_in(err: str, status: int) -> Verdict | None:
    """A crash or a traceback; None when there is neither."""
    if status < 0 or status > 128 or "Fatal Python error" in err:
        return Verdict("crash", f"exit status {status}: {last_line(err)}")
    if "Traceback (most recent call last)" in err or "Exception ignored" in err:
        return Verdict("traceback", last_line(err))
    return None


def _judge_refusal(case: Case, ended: Ended) -> Verdict:
    if trouble := _judge_line(ended.err):
        return trouble
    if ended.out.strip():
        return Verdict("noise", f"refused, but standard output has {ended.out[:60]!r}")
    if ended.new:
        return Verdict("leftover", ", ".join(ended.new)[:300])
    said = last_line(ended.err, None)
    if not any(name in said for name in case.fields):
        return Verdict("unnamed", f"none of {', '.join(case.fields)} in: {said[:200]}")
    return Verdict("refused")


def _judge_line(err: str) -> Verdict | None:
    """What is wrong with a message that should be one line; notes may stand beside it."""
    lines = messages(err)
    if len(lines) != 1:
        return Verdict("noise", f"{len(lines)} lines: {' | '.join(lines)[:200]}")
    if len(lines[0]) > LONGEST_LINE:
        return Verdict("noise", f"a line of {len(lines[0])} characters: {lines[0][:80]}")
    if found := _CONTROL.search(lines[0]):
        return Verdict("noise", f"a line with the control character {found.group()!r}")
    return None


def messages(err: str) -> list[str]:
    """Lines on standard error that say what went wrong: neither notes nor progress."""
    return [line for line in err.splitlines() if line.strip() and not _ASIDE.match(line)]


def last_line(text: str, width: int | None = 200) -> str:
    """The last line of a text that is not empty, shortened."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:width] if lines else ""


def not_finite(folder: pathlib.Path) -> str:
    """What is not a finite number in the results in a folder; empty when all are."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            if path.suffix == ".json" and (found := _not_finite_json(path)):
                return found
            if path.suffix == ".nc" and (found := _not_finite_dataset(path)):
                return found
    return ""


def _not_finite_json(path: pathlib.Path) -> str:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"{path.name} is no JSON: {error}"
    stack = [content]
    while stack:
        one = stack.pop()
        if isinstance(one, dict | list):
            stack += one.values() if isinstance(one, dict) else one
        elif isinstance(one, float) and not math.isfinite(one):
            return f"{path.name} holds {one}"
    return ""


def _not_finite_dataset(path: pathlib.Path) -> str:
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        return f"{path.name} cannot be read: {error}"
    with file:
        for name, variable in file.items():
            if variable.dtype.kind == "f" and variable.shape and not _MAY_BE_MISSING.match(name):
                values = np.asarray(variable)
                if not np.isfinite(values).all():
                    return f"{name} in {path.name} is not finite everywhere"
    return ""


_MAY_BE_MISSING = re.compile("converted_|chosen_|.*group_")
"""Variables of a study in which NaN says that a scheme, or a group of classes, has no such value."""
