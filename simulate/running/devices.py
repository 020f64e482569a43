"""How a batch is placed on the local devices, and how much of it a device computes at once.

Replicates, and θ where those are few, are divided among all devices. Nothing passes between devices, so a result
does not depend on their number. A processor is several times faster while its operands stay in the cache, so there
a device computes a few replicates and θ at a time. An accelerator computes all at once.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from simulate.validation import ConfigurationError

SEEDS, THETAS = "seeds", "thetas"
WHOLE = PartitionSpec()
BY_SEED = PartitionSpec(SEEDS)
BY_THETA = PartitionSpec(THETAS)
BY_BOTH = PartitionSpec(SEEDS, THETAS)


def local_devices() -> list[jax.Device]:
    """The devices that JAX finds for this process, as `jax.local_devices` gives them.

    Raises:
        ConfigurationError: when it finds none of the platforms that the environment names.
    """
    try:
        return jax.local_devices()
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # JAX only asserts where it knows a platform without a device
        reason = " ".join(str(error).split()) or "it finds no device"
        named = jax_setting("jax_platforms")
        raise ConfigurationError("JAX_PLATFORMS", named, f"platforms that JAX has here ({reason})") from None


def jax_setting(name: str) -> Any:
    """The value of one of JAX's settings; None where this version has no such setting."""
    # Settings that a context can change are attributes; only the others can be read by their name.
    with contextlib.suppress(AttributeError):
        return getattr(jax.config, name)
    with contextlib.suppress(AttributeError):
        return jax.config.read(name)
    return None


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the axes of replicates and of θ are divided; the default is one device that computes all at once.

    Attributes:
        seeds: parts of the axis of replicates, on a device each.
        thetas: parts of the axis of θ, on a device each.
        seeds_at_once: replicates that a device computes at once, 0 for all.
        thetas_at_once: θ that a device computes at once, 0 for all.
        clients_in_turn: whether clients are computed one after another.
        brief: whether the run is so short that optimising its program fully would take longer than it saves.
    """

    seeds: int = 1
    thetas: int = 1
    seeds_at_once: int = 0
    thetas_at_once: int = 0
    clients_in_turn: bool = False
    brief: bool = False

    @property
    def mesh(self) -> Mesh:
        """The first devices, arranged as (seeds, thetas)."""
        devices = local_devices()[: self.seeds * self.thetas]
        return Mesh(np.asarray(devices).reshape(self.seeds, self.thetas), (SEEDS, THETAS))

    @property
    def drawing(self) -> "Layout":
        """The layout with defaults in fields that drawing does not depend on, to share its compilation."""
        return dataclasses.replace(self, thetas_at_once=0, clients_in_turn=False, brief=False)

    def place(self, tree: Any, part: PartitionSpec) -> Any:
        """Place a pytree of arrays on the devices, divided along the axes that ``part`` names."""
        if self.seeds * self.thetas == 1:
            return tree
        return jax.device_put(tree, NamedSharding(self.mesh, part))

    def divided(self, function: Callable[..., Any], given: Any, returned: Any) -> Callable[..., Any]:
        """A function that runs on every device with its own part of the arguments.

        Args:
            function: of arrays.
            given, returned: `PartitionSpec` of each argument and of the result, for all leaves of a pytree.
        """
        if self.seeds * self.thetas == 1:
            return function
        return jax.shard_map(function, mesh=self.mesh, in_specs=given, out_specs=returned)

    def over_seeds(self, function: Callable[[Any], Any], tree: Any) -> Any:
        """Apply a function of one replicate along the leading axis, `seeds_at_once` replicates at a time."""
        if self.seeds_at_once == 1:
            return jax.lax.map(function, tree)
        return _in_groups(jax.vmap(function), tree, self.seeds_at_once)

    def over_thetas(self, function: Callable[[Any], Any], tree: Any) -> Any:
        """Apply a function of several θ along the leading axis, `thetas_at_once` of them at a time."""
        return _in_groups(function, tree, self.thetas_at_once)


ONE_DEVICE = Layout()


def _in_groups(function: Callable[[Any], Any], tree: Any, at_once: int) -> Any:
    """Apply a function of several entries of the leading axis to groups of them, one group after another."""
    length = jax.tree.leaves(tree)[0].shape[0]
    if at_once in (0, length):
        return function(tree)
    groups = jax.tree.map(lambda leaf: leaf.reshape(-1, at_once, *leaf.shape[1:]), tree)
    return jax.tree.map(lambda leaf: leaf.reshape(length, *leaf.shape[2:]), jax.lax.map(function, groups))


def parts(total: int, devices: int) -> tuple[int, int]:
    """Divide devices between two axes; the first, of ``total`` entries, gets as many as it can use.

    Example:
        >>> parts(64, 8), parts(3, 8), parts(1, 8)
        ((8, 1), (4, 2), (1, 8))
    """
    first = next(
        part for part in range(1, devices + 1) if devices % part == 0 and part >= min(total, devices)
    )
    return first, devices // first
