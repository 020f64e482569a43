"""The federated algorithm with the settings of an experiment."""

from simulate.model.federated import FederatedAlgorithm, ShareHome
from simulate.model.optimizer import build_optimizer
from simulate.model.program import Parameters, Program


def federated_algorithm(
    program: Program,
    parameters: Parameters,
    share_home: ShareHome | None = None,
    clients_in_turn: bool = False,
) -> FederatedAlgorithm:
    """The federated algorithm of an experiment.

    Args:
        program, parameters: the experiment.
        share_home: averages parts of what clients keep; None for none.
        clients_in_turn: whether clients are computed one after another.
    """
    return FederatedAlgorithm(
        optimizer=build_optimizer(program.optimizer, program.optimizer_options, parameters.learning_rate),
        client_weights=parameters.client_weights,
        local_steps=program.local_steps,
        participants=program.participants,
        share_home=share_home,
        in_turn=clients_in_turn,
    )
