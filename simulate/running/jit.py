"""How functions are compiled: with matrix products in full precision, and optimised less when they run briefly."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from simulate.running.compilation import follow_environment
from simulate.running.devices import Layout

follow_environment()

Function = TypeVar("Function", bound=Callable[..., Any])

QUICK_OPTIONS: dict[str, bool | int] = {"xla_gpu_autotune_level": 0}
"""Compiler options for short runs: compilation takes half of the time, execution up to twice as long."""
if not jax.config.read("jax_disable_most_optimizations"):  # whose lower level an option would override
    QUICK_OPTIONS["xla_backend_optimization_level"] = 1
if jax.__version_info__ < (0, 11):  # later versions have no such options
    QUICK_OPTIONS |= {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def full_precision(function: Function) -> Function:
    """Have a function's matrix products computed in the full precision of their operands.

    Accelerators round operands to fewer digits by default. Apply it under `jax.jit`, since products are given their
    precision when they are traced.
    """

    @functools.wraps(function)
    def traced(*arguments: Any, **named: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return function(*arguments, **named)

    return traced  # type: ignore[return-value]


def quick_jit(*static: str) -> Callable[[Function], Function]:
    """A decorator for functions that run briefly: `jax.jit` with the options `QUICK_OPTIONS` and these static
    arguments."""

    def compiled(function: Function) -> Function:
        jitted: Any = jax.jit(
            full_precision(function), static_argnames=static, compiler_options=QUICK_OPTIONS
        )
        return jitted

    return compiled


class JitByLength:
    """A function of (program, layout, arrays …), compiled with `QUICK_OPTIONS` if ``layout.brief``, else optimised
    fully.

    Args:
        function: what to compile.
        donated: name of the argument whose memory the result may reuse.
    """

    def __init__(self, function: Callable[..., Any], *, donated: str):
        variants: list[Any] = [
            jax.jit(
                full_precision(function),
                static_argnames=("program", "layout"),
                donate_argnames=donated,
                compiler_options=options,
            )
            for options in (QUICK_OPTIONS, None)
        ]
        self._quickly, self._optimised = variants

    def compiled(self, layout: Layout) -> Any:
        """The jitted function that serves a layout."""
        return self._quickly if layout.brief else self._optimised

    def __call__(self, program: Any, layout: Layout, *arrays: Any) -> Any:
        """Call the function that serves the layout."""
        return self.compiled(layout)(program, layout, *arrays)
