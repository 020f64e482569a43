"""Tie a process to the one that started it, so that it is not left behind when that one is killed."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends, where the kernel offers that (Linux).

    It needs no thread of this process that must come to run.

    Args:
        parent: number of the process that started this one; if that has ended by now, this one ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
