"""Run many things that wait, side by side in one process and one thread, from which others can be forked."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.stress.processes import Steps

_POLL = 0.003


def side_by_side(started: Iterable[tuple[str, Callable[[], Steps]]], lanes: int) -> Iterator[tuple[str, Any]]:
    """Run steps, several at a time.

    Args:
        started: names, and what starts each.
        lanes: how many run at a time.

    Yields:
        A name, and what its steps returned, as each ends.
    """
    waiting, running = iter(started), dict[str, Steps]()
    more = True
    while more or running:
        while more and len(running) < lanes:
            found = next(waiting, None)
            more = found is not None
            if found is not None:
                running[found[0]] = found[1]()
        for name, steps in list(running.items()):
            try:
                next(steps)
            except StopIteration as end:
                del running[name]
                yield name, end.value
        time.sleep(_POLL)
