"""Run one experiment in a process of its own: what it costs from the start, and at its peak.

    python -m promptfolio.bench.fresh_run < request.json

The request is {"experiment": …, "repetitions": …}; the answer, on standard output, is a `FreshRun` as JSON.
"""

import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

from simulate.experiment import Experiment

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_DEVICES = "--xla_force_host_platform_device_count"


@dataclasses.dataclass(frozen=True)
class FreshRun:
    """What a fresh process measured.

    Attributes:
        first_seconds: of the first run, which compiles.
        later_seconds: of the further ones.
        peak_bytes: largest resident memory of the process.
        imported_bytes: the same before the first run, libraries loaded.
        devices: number of JAX's local devices.
        device_bytes: largest memory in use on all of them, 0 where they are the processor.
    """

    first_seconds: float
    later_seconds: tuple[float, ...]
    peak_bytes: int
    imported_bytes: int
    devices: int
    device_bytes: int


def fresh_run(
    experiment: Experiment, *, repetitions: int = 1, virtual_devices: int | None = None
) -> FreshRun:
    """Run an experiment in a fresh process.

    Args:
        experiment: what to run.
        repetitions: how often, the first included.
        virtual_devices: make the processor look like so many JAX devices; None leaves the environment as it is.

    Raises:
        RuntimeError: when the process fails, with its last words.
    """
    environment = dict(os.environ)
    if virtual_devices is not None:
        flags = [flag for flag in environment.get("XLA_FLAGS", "").split() if not flag.startswith(_DEVICES)]
        environment["XLA_FLAGS"] = " ".join([*flags, f"{_DEVICES}={virtual_devices}"])
    request = json.dumps({"experiment": experiment.to_json(), "repetitions": repetitions})
    answer = subprocess.run(
        [sys.executable, "-m", "promptfolio.bench.fresh_run"],
        input=request,
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if answer.returncode:
        words = answer.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"a fresh process failed with status {answer.returncode}: {words[-1]}")
    fields = json.loads(answer.stdout.splitlines()[-1])
    return FreshRun(**{**fields, "later_seconds": tuple(fields["later_seconds"])})


def peak_bytes() -> int:
    """Largest resident memory that this process has had.

    Linux hands a parent's peak on to the processes it starts, as part of ``ru_maxrss``; the kernel's own record
    of the present program does not have that flaw.
    """
    try:
        for line in pathlib.Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    experiment = Experiment.from_json(request["experiment"])
    from simulate.running.runner import run

    imported = peak_bytes()
    seconds = []
    for _ in range(request["repetitions"]):
        started = time.perf_counter()
        run(experiment)
        seconds.append(time.perf_counter() - started)
    import jax

    statistics = [device.memory_stats() or {} for device in jax.local_devices()]
    on_devices = sum(each.get("peak_bytes_in_use", 0) for each in statistics)
    answer = FreshRun(seconds[0], tuple(seconds[1:]), peak_bytes(), imported, len(statistics), on_devices)
    print(json.dumps(dataclasses.asdict(answer)))


if __name__ == "__main__":
    main()
