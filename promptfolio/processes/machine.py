"""How many cores there are, and how much memory a process takes."""

import os
import pathlib


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
