"""The machine and software that a benchmark ran on."""

import dataclasses
import importlib.metadata
import json
import platform

import jax

from simulate.results.provenance import processor_name, provenance
from simulate.running.memory import machine_memory
from simulate.running.parallel import processor_cores


@dataclasses.dataclass(frozen=True)
class Machine:
    """A machine and its software.

    Attributes:
        processor: model of the processor, as the operating system names it.
        architecture: such as x86_64.
        cores: cores that this process may use.
        memory: bytes of main memory, 0 where unknown.
        backend: JAX's backend, such as cpu or gpu.
        devices: JAX's local devices, by kind.
        versions: of Python and the packages that matter.
        commit: git commit of this code.
    """

    processor: str
    architecture: str
    cores: int
    memory: int
    backend: str
    devices: tuple[str, ...]
    versions: dict[str, str]
    commit: str

    @property
    def sentence(self) -> str:
        """The machine in one line."""
        memory = f", {self.memory / 2**30:.0f} GiB" if self.memory else ""
        kinds = sorted(set(self.devices))
        devices = ", ".join(f"{self.devices.count(kind)} × {kind}" for kind in kinds)
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.processor} ({self.architecture}), {self.cores} cores{memory};"
            f" JAX devices: {devices} ({self.backend}); {versions}"
        )


def this_machine() -> Machine:
    """Describe the present machine; this initialises JAX's backend."""
    known = json.loads(provenance()["versions"])
    versions = {name: known[name] for name in ("python", "jax", "numpy")}
    try:
        versions["torch"] = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        versions["torch"] = "not installed"
    return Machine(
        processor=processor_name(),
        architecture=platform.machine(),
        cores=processor_cores(),
        memory=machine_memory(),
        backend=jax.default_backend(),
        devices=tuple(device.device_kind for device in jax.local_devices()),
        versions=versions,
        commit=provenance()["git_commit"],
    )
