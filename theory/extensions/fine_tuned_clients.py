"""Fine-tuning of unequal clients, step by step (T31 with T12 to T15).

Fine-tuning is the last round of T12 with s local steps and no average after it: the margin of client k is that of
the global prompt and κ_k δ_k, with κ_k = 4(a + b + ν̄/n_k) and δ_k ← δ_k + η/(1+e^{M_k}). Its prompt is the mixture
of T15, with odds δ_k, of the global prompt as it is and a local one per unit of τ: the best δ_k is T15's odds.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from theory.dynamics import mean_field
from theory.dynamics.client_margins import kernel
from theory.dynamics.residuals import Accumulated, increasing_rounds
from theory.dynamics.sample_types import Population, with_axes
from theory.extensions.fine_tuning import steps_to
from theory.mixing.tangency import formula as tangency
from theory.model.federation import Federation
from theory.numerics.validation import between
from theory.proof.derivation import as_function


def accumulated(
    federation: Federation | Population,
    rounds: int,
    steps: Sequence[int] | NDArray[Any],
    learning_rate: float,
    local_steps: int = 1,
) -> Accumulated:
    """Return (τ_G, τ_F) of every client after the rounds of the global prompt and s steps of its own (T12, T31).

    Let `federation` describe the clients, t be `rounds`, s `steps` (increasing), η `learning_rate` and E
    `local_steps`, of the rounds before fine-tuning. `predicted_ratio(federation, "finetuned", 1.0, …)` gives the
    clients' ratios. The cost is a Python loop over rounds, local steps and s.

    Returns:
        Two arrays in units of learning rate times steps, of shape (steps, clients) for a `Federation`, whose
        samples must be of one type, and (steps, clients, types) for a `Population`. τ_G is the same at every s.

    Raises:
        ValueError: as `mean_field.accumulated`; steps that are negative, not whole or not increasing.

    >>> federation = Federation(global_feature_sq=1, local_feature_sq=2, noise_dim=40, sample_counts=[5, 20])
    >>> accumulated(federation, 2, [0, 1], 0.1).local_prompt.round(4).tolist()
    [[0.0, 0.0], [0.0267, 0.0206]]
    """
    people, axes = with_axes(federation)
    recorded = increasing_rounds(steps)
    shared = _global_prompt(people, rounds, learning_rate, local_steps)
    average, own = kernel(people)
    start, drift = average @ shared, np.zeros_like(shared)
    position = {int(count): index for index, count in enumerate(recorded)}
    history = np.zeros((recorded.size, shared.size))
    for now in range(int(recorded[-1]) + 1):
        if now in position:
            history[position[now]] = drift
        drift = drift + learning_rate * expit(-(start + own @ drift))
    everywhere = np.broadcast_to(shared, history.shape)
    return Accumulated(everywhere.reshape(-1, *axes), history.reshape(-1, *axes))


def _global_prompt(
    people: Population, rounds: int, learning_rate: float, local_steps: int
) -> NDArray[np.float64]:
    """τ_G of every client and type after the rounds of the global prompt trained alone, in one row."""
    between("rounds", rounds, 0)
    trained = mean_field.accumulated(people, "posthoc", [rounds], 0.0, learning_rate, local_steps)
    return np.asarray(trained.global_prompt).reshape(-1)


class Stopping(NamedTuple):
    """Where every client's fine-tuning passes through its best mixture, arrays of shape (clients,).

    Attributes:
        tau: the best δ_k; 0 where the client should keep the global prompt, infinite where it should leave it.
        continuous: steps that T31 counts, in continuous time.
        step: steps as they are taken, the last one in proportion to τ.
    """

    tau: NDArray[np.float64]
    continuous: NDArray[np.float64]
    step: NDArray[np.float64]


def stopping(federation: Federation, rounds: int, learning_rate: float, local_steps: int = 1) -> Stopping:
    """Return how long every client should fine-tune (T31 for unequal clients: T12 and T15).

    The arguments are those of `accumulated`, with samples of one type. The two counts of steps start from the
    same global prompt and differ by what continuous time costs, a share of up to 0.12 ηκ_k of them. The cost is
    proportional to the rounds and to the largest finite number of steps.

    Raises:
        ValueError: as `accumulated`; no rounds.

    >>> from theory.model.federation import EqualClients
    >>> from theory.dynamics.margin_rate import local_rate
    >>> equal = EqualClients(global_feature_sq=1, local_feature_sq=3, noise_dim=2000, clients=10, samples=20)
    >>> eta, federation = 1 / float(local_rate(equal)), equal.federation()
    >>> [round(float(stopping(federation, rounds, eta).step[0]), 2) for rounds in (10, 20)]
    [5.32, 23.73]
    >>> [round(float(stopping(federation, rounds, eta / 10).step[0]), 2) for rounds in (100, 200)]
    [56.68, 239.83]
    >>> stopping(federation.replace(sample_counts=np.repeat([10, 40], 5)), 20, eta).step.round(1)[[0, -1]].tolist()
    [6.2, 29.9]
    """
    between("rounds", rounds, 1)
    people, _ = with_axes(federation)
    shared = _global_prompt(people, rounds, learning_rate, local_steps)
    average, own = kernel(people)
    start, rate = average @ shared, np.diagonal(own)
    tau = _best_tau(people, shared)
    finite = np.where(np.isinf(tau), 0.0, tau)
    drift, taken, step = np.zeros_like(tau), 0, np.where(np.isinf(tau), np.inf, 0.0)
    while np.any(drift < finite):
        growth = learning_rate * expit(-(start + rate * drift))
        last = (drift < finite) & (drift + growth >= finite)
        step = np.where(last, taken + (finite - drift) / growth, step)
        drift, taken = drift + growth, taken + 1
    return Stopping(tau, np.asarray(steps_to(tau, start, rate, learning_rate)), step)


def _best_tau(people: Population, shared: NDArray[np.float64]) -> NDArray[np.float64]:
    """T15's odds of the global prompt as it is and of a local one per unit of τ; moments as in T14."""
    clients = people.federation
    weights, counts = clients.client_weights, clients.sample_counts
    tau = shared[:, None]
    s_global = people.average_pull(tau) @ people.norms
    s_local = people.own_pull(np.ones_like(tau)) @ people.norms
    noise = (np.sum(weights**2 * shared**2 / counts), 1 / counts, weights * shared / counts)
    symbols, *gains = tangency()
    to_local, to_global = map(np.asarray, as_function(symbols, tuple(gains))(s_global, s_local, *noise))
    inside = to_global > 0
    return np.where(inside, np.maximum(to_local, 0) / np.where(inside, to_global, 1.0), np.inf)
