"""What the federated loop needs to know of a synthetic model, whichever coordinates it trains in."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

from simulate.model.federated import FederatedAlgorithm, Gradient, ShareHome
from simulate.model.optimizer import build_optimizer
from simulate.model.program import Parameters, Program
from simulate.model.schemes import Prompt


class SyntheticEngine(NamedTuple):
    """A synthetic model in some coordinates of the prompt.

    Attributes:
        gradient: gradient of one client's objective in both prompts.
        pre_activations: prompt -> z of every encoder row, shape (rows,).
    """

    gradient: Gradient
    pre_activations: Callable[[Prompt], Float[Array, " rows"]]


def federation_of(
    program: Program,
    parameters: Parameters,
    share_home: ShareHome | None = None,
    clients_in_turn: bool = False,
) -> FederatedAlgorithm:
    """The federated algorithm of an experiment."""
    return FederatedAlgorithm(
        optimizer=build_optimizer(program.optimizer, program.optimizer_options, parameters.learning_rate),
        client_weights=parameters.client_weights,
        local_steps=program.local_steps,
        participants=program.participants,
        share_home=share_home,
        in_turn=clients_in_turn,
    )
