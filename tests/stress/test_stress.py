"""A small part of `make stress`, the same every time: no bad input and no fault may have a bad outcome."""

import os
import subprocess
import sys

import pytest

from tests.support import ROOT

_SLOWEST = 600


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="processes are found in /proc")
def test_a_small_attack() -> None:
    words = ("--inputs", "150", "--faults", "4", "--patience", "60", "--lanes", "1")
    command = [sys.executable, "-m", "tests.stress.run", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SLOWEST)
    assert ended.returncode == 0, ended.stdout + ended.stderr
