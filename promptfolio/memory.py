"""How much memory this process may take."""

import os
import pathlib
import resource

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def physical_memory() -> int:
    """Bytes of the machine's memory; 0 where it cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def memory_limit() -> int:
    """Bytes that this process may take at most: the machine's memory, or less where its container or its user has
    set a limit; 0 where none can be told."""
    limits = [physical_memory()]
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(pathlib.Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such controller, or "max"
            continue
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    return min((limit for limit in limits if limit > 0), default=0)
