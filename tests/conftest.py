"""Shared test set-up: strict array semantics, and run-time shape checks on the modules that hold arrays."""

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook

from tests.support import ROOT

# A suite that was started in the background ignores Ctrl-C, and so would the commands that it sends one to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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

# Tests check arithmetic on small arrays, where compiling costs far more than running; in the processes that they
# start, too.
jax.config.update("jax_disable_most_optimizations", True)
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
if jax.__version_info__ < (0, 11):  # which has no such options any more
    quick = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{quick} {os.environ.get('XLA_FLAGS', '')}"
# The suite compiles for itself: it neither uses the programs that its user keeps nor adds to them.
os.environ["PROMPTFOLIO_COMPILATION_CACHE"] = ""
# What the suite presumes of JAX's settings, whatever the environment says.
jax.config.update("jax_enable_x64", False)
os.environ["JAX_ENABLE_X64"] = "0"
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


_DERIVING = (
    "theory/",
    "tests/theory/test_theory_derivations",
    "tests/theory/test_theory_skeleton",
    "tests/project/",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one process: they share what is computed, compiled and derived for them."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "derivations" if nodeid.startswith(_DERIVING) else nodeid.split("::", 1)[0]

    return ByFile(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture
def calls_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Count a function's calls: give its full name, and get a list that has one entry per call from now on.

    What `jax.jit` traces is called once for each program, so that calls of a traced function count programs.
    """

    def counted(name: str) -> list[str]:
        calls: list[str] = []
        module, _, attribute = name.rpartition(".")
        real = getattr(importlib.import_module(module), attribute)

        def function(*arguments: Any, **named: Any) -> Any:
            calls.append(name)
            return real(*arguments, **named)

        monkeypatch.setattr(name, function)
        return calls

    return counted


@pytest.fixture
def optimised() -> Iterator[None]:
    """Compile at full optimisation, for the few tests whose running time exceeds their compilation."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
