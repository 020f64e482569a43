"""Shared test set-up: strict array semantics, and run-time shape checks on the modules that hold arrays."""

import os
from collections.abc import Iterator

import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook

from tests.support import ROOT

# Configurations are left out: they report bad types themselves, as errors a user can read.
_UNCHECKED = {
    "simulate.configuration",
    "simulate.engines.choice",
    "simulate.experiment",
    "simulate.hierarchy.config",
    "simulate.validation",
    "promptfolio.companion.study_config",
}

install_import_hook(
    [
        name
        for package in ("simulate", "promptfolio/companion")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.stem != "__init__"
        and (name := ".".join(path.relative_to(ROOT).with_suffix("").parts)) not in _UNCHECKED
    ],
    "tests.support.checked",
)

# Compiling makes first examples slow, so that no example has a deadline. In continuous integration examples are the
# same every time, and a failure prints what reproduces it.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True, max_examples=200)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")

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
