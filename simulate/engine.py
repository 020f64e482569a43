"""What the federated loop needs to know of a synthetic model, whichever coordinates it trains in."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

from simulate.federated import Gradient
from simulate.protocols import Prompt


class SyntheticEngine(NamedTuple):
    """A synthetic model in some coordinates of the prompt.

    Attributes:
        gradient: gradient of one client's objective in both prompts.
        pre_activations: prompt -> z of every encoder row, shape (rows,).
    """

    gradient: Gradient
    pre_activations: Callable[[Prompt], Float[Array, " rows"]]
