"""How many cores and how much memory there are, and how much memory a process takes."""

import os
import pathlib

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files in which Linux says how much memory a container may take."""


def machine_bytes() -> int | None:
    """Bytes of memory that processes may take together, a container's limit included; None where unknown."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    for path in _LIMITS:
        try:
            found = min(found, int(pathlib.Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # there is no such file, or it says "max"
    return found


def resident_bytes(process: int) -> int:
    """Bytes of memory that a process takes; 0 where the operating system has no /proc, or the process has ended."""
    try:
        pages = int(pathlib.Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine_cores() -> int:
    """Number of cores that processes may use together, a container's limit included."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux has it
        cores = os.cpu_count() or 1
    try:
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError, ZeroDivisionError):
        return cores
