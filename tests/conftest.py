"""Shared test set-up: strict array semantics, and run-time shape checks on the modules that hold arrays."""

import pathlib
from collections.abc import Iterator

import jax
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

ROOT = pathlib.Path(__file__).parent.parent

# Configurations are left out: they report bad types themselves, as errors a user can read.
_UNCHECKED = {
    "simulate.configuration",
    "simulate.engines.choice",
    "simulate.engines.coefficient",
    "simulate.engines.engine",
    "simulate.engines.gram.engine",
    "simulate.engines.prompt",
    "simulate.engines.registry",
    "simulate.engines.rows.engine",
    "simulate.experiment",
    "simulate.hierarchy.config",
    "simulate.validation",
    "promptfolio.companion.study_config",
}

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as for static checkers

install_import_hook(
    [
        name
        for package in ("simulate", "promptfolio/companion")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.stem != "__init__"
        and (name := ".".join(path.relative_to(ROOT).with_suffix("").parts)) not in _UNCHECKED
    ],
    "conftest.checked",
)

# Tests check arithmetic on small arrays, where compiling costs far more than running.
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def optimised() -> Iterator[None]:
    """Compile at full optimisation, for the few tests whose running time exceeds their compilation."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
