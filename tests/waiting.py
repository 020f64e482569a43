"""Wait for what another thread or process does; workers that tests start import this, so that it loads nothing."""

import time
from collections.abc import Callable

LIMIT = 120.0
"""Seconds for anything that a test waits for, on a machine that is busy with other things."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return once the condition is true; fail after `LIMIT` seconds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
