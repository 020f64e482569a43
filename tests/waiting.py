"""Wait for what another thread or process does; workers that tests start import this, so that it loads nothing."""

import subprocess
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


def members(session: int) -> list[str]:
    """Command lines of the processes of a session that still run."""
    rows = subprocess.run(["ps", "-eo", "sid=,stat=,args="], capture_output=True, text=True).stdout
    split = [row.split(maxsplit=2) for row in rows.splitlines()]
    return [row[2] for row in split if row[0] == str(session) and not row[1].startswith("Z")]
