"""The general mean field: unequal clients, groups, local steps, any mixing, any scheme (T12).

The margins M_k are those of `theory.dynamics.client_margins`, with its assumptions: linear band, zero start,
near-orthogonal noise (number of samples ≪ L). A round takes E times δ_k ← δ_k + η/(1+e^{M_k}), then
τ_k ← τ_k + δ_k and δ_k ← 0.

Schemes: *joint* trains both prompts on the mixture's margin, with weights 1−θ and θ in training and output.
*Post-hoc*: every prompt is trained on its own margin, at full weight. *Detached* (T25): the global prompt is
trained on its own margin, the local one on the mixture's, with weights 1−θ and θ².
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from theory.dynamics.client_margins import kernel
from theory.dynamics.residuals import Accumulated, increasing_rounds
from theory.dynamics.sample_types import Population, with_axes
from theory.model.federation import Federation
from theory.model.schemes import TrainingScheme
from theory.numerics.validation import ArrayLike, between, positive, unit_interval


class Margins(NamedTuple):
    """Margins of training samples through the global prompt alone, the local one alone, and the mixture.

    Without unit; the prompts are as trained, so in the joint scheme each carries its training weight.
    """

    global_prompt: NDArray[np.float64]
    local_prompt: NDArray[np.float64]
    mixture: NDArray[np.float64]


class _Weights(NamedTuple):
    """Weights of the prompts, shape (thetas, 1): in the mixture, and in their own training."""

    mixing: tuple[NDArray[np.float64], NDArray[np.float64]]
    training: tuple[NDArray[np.float64], NDArray[np.float64]]


def _weights(theta: NDArray[np.float64], scheme: TrainingScheme) -> _Weights:
    local = theta[:, None]
    shared, full = 1 - local, np.ones_like(local)
    training = {"joint": (shared, local), "posthoc": (full, full), "detached": (full, local)}
    if scheme not in training:
        raise ValueError(f"`scheme` is {scheme!r}; allowed: 'joint', 'posthoc', 'detached'")
    return _Weights((shared, local), training[scheme])


def _read(weights: _Weights, full_global: Any, full_local: Any) -> Margins:
    """Margins through prompts as trained, from those through prompts trained with full weight."""
    alone = (weights.training[0] * full_global, weights.training[1] * full_local)
    return Margins(*alone, weights.mixing[0] * alone[0] + weights.mixing[1] * alone[1])


def accumulated(
    federation: Federation | Population,
    scheme: TrainingScheme,
    rounds: Sequence[int] | NDArray[Any],
    theta: ArrayLike,
    learning_rate: float,
    local_steps: int = 1,
) -> Accumulated:
    """Return the accumulated residuals (τ_G, τ_L) of every client at the recorded rounds (T12).

    Let `federation` describe the clients, `rounds` be increasing whole numbers of rounds, θ `theta` (scalar or
    shape (thetas,)), η `learning_rate` and E `local_steps`. The cost is a Python loop over rounds and local steps,
    vectorised over θ, clients and types.

    Returns:
        Two arrays in units of learning rate times steps, of shape (rounds, thetas, clients) for a `Federation`,
        whose samples must be of one type, and (rounds, thetas, clients, types) for a `Population`. Under
        `posthoc` they do not depend on θ.

    Raises:
        ValueError: an argument outside its range; a federation with several types of samples.

    >>> federation = Federation(global_feature_sq=1, local_feature_sq=2, noise_dim=40, sample_counts=[5, 20])
    >>> accumulated(federation, "joint", [0, 2], 0.5, 0.1).local_prompt.round(4).tolist()
    [[[0.0, 0.0]], [[0.0832, 0.0887]]]
    """
    people, axes = with_axes(federation)
    recorded = increasing_rounds(rounds)
    mixing = np.atleast_1d(unit_interval("theta", theta))
    if mixing.ndim != 1 or mixing.size == 0:
        raise ValueError(f"`theta` has shape {mixing.shape}; allowed: a number or (thetas,)")
    eta, steps = positive("learning_rate", learning_rate), int(between("local_steps", local_steps, 1))
    if steps != local_steps:
        raise ValueError(f"`local_steps` is {local_steps}; allowed: whole numbers")
    average, own = kernel(people)
    weights = _weights(mixing, scheme)
    shape = (mixing.size, people.fractions.size)
    tau_global, tau_local = np.zeros(shape), np.zeros(shape)
    position = {int(count): index for index, count in enumerate(recorded)}
    history = np.zeros((2, recorded.size, *shape))
    for now in range(int(recorded[-1]) + 1):
        if now in position:
            history[:, position[now]] = tau_global, tau_local
        drift_global, drift_local = np.zeros(shape), np.zeros(shape)
        before_global, before_local = tau_global @ average.T, tau_local @ own.T
        for _ in range(steps):
            full = before_global + drift_global @ own.T, before_local + drift_local @ own.T
            seen = _read(weights, *full)
            # both increments use the prompts of the step's start
            drift_global = drift_global + eta * expit(-_seen_by_global(seen, scheme))
            drift_local = drift_local + eta * expit(-_seen_by_local(seen, scheme))
        tau_global, tau_local = tau_global + drift_global, tau_local + drift_local
    return Accumulated(*history.reshape(2, recorded.size, mixing.size, *axes))


def _seen_by_global(margins: Margins, scheme: TrainingScheme) -> NDArray[np.float64]:
    return margins.mixture if scheme == "joint" else margins.global_prompt


def _seen_by_local(margins: Margins, scheme: TrainingScheme) -> NDArray[np.float64]:
    return margins.local_prompt if scheme == "posthoc" else margins.mixture


def margins(
    federation: Federation | Population, scheme: TrainingScheme, theta: ArrayLike, tau: Accumulated
) -> Margins:
    """Return the margins of the training samples after the rounds of `accumulated` (T12 with δ = 0).

    Let τ be `tau`, as `accumulated` returns it for the same federation, scheme and θ.

    Returns:
        Margins through the prompts alone, as trained, and through the mixture; each of the shape of τ.

    Raises:
        ValueError: as `accumulated`; a τ that does not fit the federation.

    >>> federation = Federation(global_feature_sq=1, local_feature_sq=2, noise_dim=40, sample_counts=[5, 20])
    >>> tau = accumulated(federation, "posthoc", [1], 0.5, 0.1)
    >>> margins(federation, "posthoc", 0.5, tau).local_prompt.round(2).tolist()
    [[[2.2, 1.0]]]
    """
    people, axes = with_axes(federation)
    mixing = np.atleast_1d(unit_interval("theta", theta))
    shapes = [np.shape(part) for part in tau]
    if any(shape[1:] != (mixing.size, *axes) for shape in shapes):
        raise ValueError(f"`tau` has shapes {shapes}; allowed: (rounds, {mixing.size}, {axes})")
    average, own = kernel(people)
    flat = [np.reshape(part, (shapes[0][0], mixing.size, -1)) for part in tau]
    read = _read(_weights(mixing, scheme), flat[0] @ average.T, flat[1] @ own.T)
    return Margins(*(part.reshape(shapes[0]) for part in read))
