"""Timing of several tasks in turns, so that other load on the machine affects all of them alike."""

import time
from collections.abc import Callable, Mapping
from functools import partial

Task = Callable[[], object]
Describe = Callable[[str], None]
"""Called with a description of what is being measured."""


def seconds_of(task: Task) -> float:
    """Wall-clock seconds of one call, which must not return before its work is done."""
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def in_turns(
    tasks: Mapping[str, Task], turns: int, describe: Describe | None = None
) -> dict[str, list[float]]:
    """Time all tasks one after another, ``turns`` times over.

    Returns:
        The seconds of every call, by the task's name.

    Example:
        >>> calls = []
        >>> times = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, turns=2)
        >>> "".join(calls), len(times["a"])
        ('abab', 2)
    """
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(turns):
        for name, task in tasks.items():
            if describe is not None:
                describe(f"{name}, turn {turn + 1} of {turns}")
            times[name].append(seconds_of(task))
    return times


def units_for(run: Callable[[int], object], seconds: float) -> int:
    """Number of units of work, at least one, that take about ``seconds``; call it after a warm-up.

    Args:
        run: performs a given number of units.
        seconds: wall-clock time that the units should take.
    """
    units = 1
    while (taken := seconds_of(partial(run, units))) < seconds / 4:
        units *= 2
    return max(1, round(units * seconds / taken))
