"""Training loops as a first implementation would write them: over seeds, θ, rounds, clients and local steps.

Each trains the same model from the same draws as the simulator, and tests compare the results. None is made slow on
purpose: simple optimisations are made.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import NamedTuple

from promptfolio.bench.peers.problem import Problem, Prompts

Train = Callable[[Problem, float, int], Prompts]
"""(problem, θ, rounds) -> prompts after that many rounds of joint training."""


class Peer(NamedTuple):
    """One plain training loop.

    Attributes:
        name: its name in results.
        title: its name in words.
        module: the module with ``variants()``.
        needs: the package it needs.
        extra: how to install that package, if the toolkit does not need it by itself.
    """

    name: str
    title: str
    module: str
    needs: str
    extra: str = ""

    @property
    def missing(self) -> str:
        """Why the loop cannot run; empty if it can."""
        if importlib.util.find_spec(self.needs) is not None:
            return ""
        return f"{self.needs} is not installed (pip install '{self.extra}')"

    def variants(self) -> Mapping[str, Train]:
        """The loop's variants, any of which may be the fastest on a machine, by a short description."""
        found: Mapping[str, Train] = importlib.import_module(self.module).variants()
        return found


PEERS = (
    Peer("torch", "PyTorch loop", "promptfolio.bench.peers.torch_loop", "torch", "promptfolio[reference]"),
    Peer("numpy", "NumPy loop", "promptfolio.bench.peers.numpy_loop", "numpy"),
    Peer("jax_clients", "JAX, client by client", "promptfolio.bench.peers.jax_clients", "jax"),
)
