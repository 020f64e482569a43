"""What several test modules share: the repository's place, the checker of array shapes, a setting of JAX."""

import contextlib
import pathlib
from collections.abc import Iterator

import jax
from beartype import BeartypeConf, beartype

ROOT = pathlib.Path(__file__).parents[1]

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""An int is a float, as for static checkers."""


@contextlib.contextmanager
def double_by_default() -> Iterator[None]:
    """Context in which JAX computes in float64 unless told otherwise, in all threads, as with JAX_ENABLE_X64=1."""
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)
