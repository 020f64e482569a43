"""How much main memory there is."""

import os
import pathlib

_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files in which Linux says how much memory a container may take."""


def container_memory() -> int:
    """Bytes of main memory that processes may take together, a container's limit included; 0 where unknown."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system has it
        return 0
    for path in _GROUP_LIMITS:
        try:
            found = min(found, int(pathlib.Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # there is no such file, or it says "max"
            continue
    return found


def machine_memory() -> int:
    """Bytes of main memory that this process may take: `container_memory`, or less where its own limits say so."""
    found = container_memory()
    try:
        import resource
    except ImportError:  # not every system has it
        return found
    own = resource.getrlimit(resource.RLIMIT_AS)[0]
    return found if own == resource.RLIM_INFINITY else min(found, own)
