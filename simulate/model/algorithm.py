"""The federated algorithm with the settings of an experiment."""

from simulate.model.federated import AverageLocal, FederatedAlgorithm
from simulate.model.optimizer import build_optimizer
from simulate.model.program import Parameters, Program


def federated_algorithm(
    program: Program,
    parameters: Parameters,
    average_local: AverageLocal | None = None,
    clients_in_turn: bool = False,
) -> FederatedAlgorithm:
    """The federated algorithm of an experiment.

    Args:
        program, parameters: the experiment.
        average_local: averages some of the local prompts within clusters of clients; None averages none.
        clients_in_turn: whether clients are computed one after another.
    """
    return FederatedAlgorithm(
        optimizer=build_optimizer(program.optimizer, program.optimizer_options, parameters.learning_rate),
        client_weights=parameters.client_weights,
        local_steps=program.local_steps,
        participants=program.participants,
        average_local=average_local,
        federated_rounds=parameters.rounds if program.scheme == "finetuned" else None,
        in_turn=clients_in_turn,
    )
