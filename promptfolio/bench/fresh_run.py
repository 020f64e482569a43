"""Run one experiment in a process of its own, and measure the time of its first run and its peak memory.

    python -m promptfolio.bench.fresh_run < request.json

The request is {"experiment": …, "repetitions": …}; the answer, on standard output, is a `FreshRun` as JSON.
"""

import dataclasses
import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable

from promptfolio.processes.children import answer_of, how_it_ended
from simulate.experiment import Experiment

_DEVICES = "--xla_force_host_platform_device_count"


@dataclasses.dataclass(frozen=True)
class FreshRun:
    """Measurements of a fresh process.

    Attributes:
        first_seconds: wall-clock seconds of the first run, compilation included.
        later_seconds: seconds of each further run.
        peak_bytes: largest resident memory of the process.
        imported_bytes: the same before the first run, with libraries loaded.
        devices: number of JAX's local devices.
        device_bytes: largest memory in use, summed over the devices; 0 where the processor is the device.
    """

    first_seconds: float
    later_seconds: tuple[float, ...]
    peak_bytes: int
    imported_bytes: int
    devices: int
    device_bytes: int


class FreshRunError(RuntimeError):
    """A fresh process did not give its measurements; the message says how it ended."""


Lose = Callable[[str, str], None]
"""Called with the name of a measurement whose fresh process failed, and the reason; the others go on."""


def fresh_run(
    experiment: Experiment, *, repetitions: int = 1, virtual_devices: int | None = None
) -> FreshRun:
    """Run an experiment in a fresh process.

    Args:
        experiment: what to run.
        repetitions: number of runs, the first included.
        virtual_devices: number of JAX devices that the processor is divided into; None leaves the environment
            as it is.

    Raises:
        FreshRunError: when the process fails or is killed, with the last line of its error output.
    """
    environment = dict(os.environ)
    if virtual_devices is not None:
        flags = [flag for flag in environment.get("XLA_FLAGS", "").split() if not flag.startswith(_DEVICES)]
        environment["XLA_FLAGS"] = " ".join([*flags, f"{_DEVICES}={virtual_devices}"])
    request = json.dumps({"experiment": experiment.to_json(), "repetitions": repetitions})
    answer = answer_of("promptfolio.bench.fresh_run", request.encode(), environment=environment)
    if answer.returncode:
        said = "" if answer.returncode < 0 else answer.stderr.decode(errors="replace").strip()
        reason = f": {said.splitlines()[-1]}" if said else ""
        raise FreshRunError(f"a fresh process {how_it_ended(answer.returncode)}{reason}")
    fields = json.loads(answer.stdout.splitlines()[-1])
    return FreshRun(**{**fields, "later_seconds": tuple(fields["later_seconds"])})


def peak_bytes() -> int:
    """Largest resident memory that this process has had.

    On Linux ``ru_maxrss`` includes the peak of the parent process; VmHWM is that of this program alone.
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
    """Read the request from standard input, and write the answer to standard output."""
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
