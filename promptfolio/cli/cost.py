"""Say what work will cost before it starts, and refuse what the machine cannot hold."""

import shutil
from pathlib import Path

from promptfolio.cli.console import complain
from simulate.validation import ConfigurationError

_LONG = 60.0
"""Seconds from which the time that a command will take is worth saying."""


def require_memory(needed: float, force: bool, less: str) -> None:
    """Refuse work that needs more memory than the machine has.

    Args:
        needed: bytes, estimated.
        force: go on all the same.
        less: what would need less, in words: fields of the command.

    Raises:
        ConfigurationError: with the estimate and the machine's memory.
    """
    from simulate.running.memory import machine_memory

    available = machine_memory()
    if available and needed > available and not force:
        allowed = f"within this machine's {_size(available)}: lower {less}, or --force to go on all the same"
        raise ConfigurationError("estimated memory", f"{_size(needed)}", allowed)


def require_disk(folder: str, needed: float, force: bool, less: str) -> None:
    """Refuse results larger than the free space of the disk that they go to; arguments as of `require_memory`.

    Raises:
        ConfigurationError: with the estimate and the free space.
    """
    nearest = Path(folder).absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    free = shutil.disk_usage(nearest).free
    if needed > free and not force:
        allowed = f"within the disk's free {_size(free)}: lower {less}, or --force to go on all the same"
        raise ConfigurationError("estimated size of results", f"{_size(needed)}", allowed)


def announce(seconds: float) -> None:
    """Say on standard error how long work will take, if that is long."""
    if _LONG < seconds < float("inf"):
        complain(f"this will take roughly {duration(seconds)} on this machine")


def duration(seconds: float) -> str:
    """A duration in the largest unit of which it has more than one and a half.

    Example:
        >>> duration(80), duration(400), duration(9000), duration(1e6)
        ('80 s', '7 min', '2.5 h', '12 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.2g} h"
    return f"{seconds / 86400:,.0f} days"


def _size(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"
