"""The settings of JAX under which everything is computed, whatever else it is set to, and a record of the rest.

A seed means the same draws, and a precision the same digits, in every process. What JAX or XLA is told beyond
that, through the environment, cannot be undone here; `numerics` puts it into the result.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import jax

from simulate.experiment import Precision
from simulate.model.keys import GENERATOR
from simulate.results.provenance import processor_name
from simulate.running.devices import jax_setting, local_devices

_PARTITIONABLE = True
"""Whether the generator numbers an array's entries so that devices can draw parts of it: other draws, if not."""

_PRODUCTS = "highest"
"""Precision of matrix products: that of their operands, which accelerators would round to fewer digits."""

_RECORDED = (
    "jax_disable_jit",
    "jax_disable_most_optimizations",
    "jax_optimization_level",
    "jax_exec_time_optimization_effort",
    "jax_compiler_enable_remat_pass",
    "jax_allow_f16_reductions",
    "jax_softmax_custom_jvp",
    "jax_use_shardy_partitioner",
    "eager_constant_folding",
)
"""Settings of JAX that may change how a program is compiled, and so its rounding."""


@contextlib.contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """Context, of the calling thread only, in which numbers are drawn and computed as results are.

    It sets JAX's default precision, its generator's numbering, the precision of matrix products and its guard
    against transfers, and sets them back at its end. It also serves as a decorator.

    Args:
        precision: float32 or float64.

    Raises:
        ConfigurationError: when JAX finds no device of the platforms that the environment names.

    Example:
        >>> with arithmetic("float64"):
        ...     jax.numpy.zeros(1).dtype
        dtype('float64')
    """
    local_devices()
    with (
        jax.enable_x64(precision == "float64"),
        jax.threefry_partitionable(_PARTITIONABLE),
        jax.default_matmul_precision(_PRODUCTS),
        jax.transfer_guard("allow"),  # which finds needless transfers in code that has a reason to mind them
    ):
        yield


def numerics(precision: Precision | None = None) -> str:
    """What a result's digits depend on, beside its configuration and versions, as one line of JSON.

    Args:
        precision: float32 or float64; None where several may have been used, which leaves x64 out.

    Returns:
        An object: generator, threefry_partitionable, matmul_precision and x64 are set by `arithmetic`; platform,
        device (its kind), devices (their number) and processor are those found; xla_flags is the variable
        ``XLA_FLAGS``, and the other entries are settings of JAX.
    """
    devices = local_devices()
    found: dict[str, Any] = {
        "generator": GENERATOR,
        "threefry_partitionable": _PARTITIONABLE,
        "matmul_precision": _PRODUCTS,
        "platform": devices[0].platform,
        "device": devices[0].device_kind,
        "devices": len(devices),
        "processor": processor_name(),
        "xla_flags": " ".join(sorted(os.environ.get("XLA_FLAGS", "").split())),
    }
    if precision is not None:
        found["x64"] = precision == "float64"
    for name in _RECORDED:
        value = jax_setting(name)
        if value is not None:
            found[name] = value if isinstance(value, bool | int | float) else str(value)
    return json.dumps(found)
