"""How functions are compiled: with all digits of their products, and with as much care as they are worth."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from simulate.running.devices import Layout

Function = TypeVar("Function", bound=Callable[..., Any])

QUICKLY: dict[str, bool | int] = {"xla_gpu_autotune_level": 0}
"""Compiler options for what runs for a moment: it compiles in half of the time, and may run twice as long."""
if not jax.config.read("jax_disable_most_optimizations"):  # whose lower level an option would override
    QUICKLY["xla_backend_optimization_level"] = 1
if jax.__version_info__ < (0, 11):  # which has no such options any more
    QUICKLY |= {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def full_precision(function: Function) -> Function:
    """Have a function's matrix products keep all digits of their numbers, which accelerators do only when asked.

    It goes under `jax.jit`, since products are given their precision when they are traced.
    """

    @functools.wraps(function)
    def traced(*arguments: Any, **named: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return function(*arguments, **named)

    return traced  # type: ignore[return-value]


def compiled_quickly(*static: str) -> Callable[[Function], Function]:
    """A decorator for functions that run for a moment: `jax.jit` with these arguments static."""

    def compiled(function: Function) -> Function:
        jitted: Any = jax.jit(full_precision(function), static_argnames=static, compiler_options=QUICKLY)
        return jitted

    return compiled


class ByLength:
    """A function of (program, layout, arrays …), compiled quickly where ``layout.brief`` says so, else with care.

    Args:
        function: what to compile.
        donated: names of arguments whose memory the result may take.
    """

    def __init__(self, function: Callable[..., Any], *, donated: str):
        variants: list[Any] = [
            jax.jit(
                full_precision(function),
                static_argnames=("program", "layout"),
                donate_argnames=donated,
                compiler_options=options,
            )
            for options in (QUICKLY, None)
        ]
        self._quickly, self._with_care = variants

    def compiled(self, layout: Layout) -> Any:
        """The function as JAX compiles it for a layout."""
        return self._quickly if layout.brief else self._with_care

    def __call__(self, program: Any, layout: Layout, *arrays: Any) -> Any:
        """Call it."""
        return self.compiled(layout)(program, layout, *arrays)
