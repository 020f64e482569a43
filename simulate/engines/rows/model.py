"""The model of one replicate in some coordinates of a prompt: what the federated loop needs of it."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

from simulate.model.federated import Gradient
from simulate.model.schemes import Prompt


class RowModel(NamedTuple):
    """The synthetic model in some coordinates of a prompt.

    Attributes:
        gradient: gradient of one client's objective in both prompts.
        pre_activations: prompt -> z of every encoder row, shape (rows,).
    """

    gradient: Gradient
    pre_activations: Callable[[Prompt], Float[Array, " rows"]]
