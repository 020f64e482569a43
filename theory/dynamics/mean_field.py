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

from theory.dynamics.client_margins import derivation, formula, kernel
from theory.dynamics.sample_types import SampleTypes, population
from theory.mixing.tangency import TrainingScheme
from theory.numerics.validation import ArrayLike, between, nonnegative, positive, unit_interval

__all__ = ["Accumulated", "Margins", "SampleTypes", "accumulated", "derivation", "formula", "margins"]


class Accumulated(NamedTuple):
    """Accumulated residuals τ of the global and the local prompt, in units of learning rate times steps."""

    global_prompt: NDArray[np.float64]
    local_prompt: NDArray[np.float64]


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
    rounds: Sequence[int] | NDArray[Any],
    theta: ArrayLike,
    learning_rate: float,
    *,
    scheme: TrainingScheme,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_energy: float,
    sample_counts: ArrayLike,
    groups: ArrayLike,
    local_steps: int = 1,
    types: SampleTypes | None = None,
) -> Accumulated:
    """Return the accumulated residuals (τ_G, τ_L) of every client at the recorded rounds (T12).

    Let `rounds` be increasing whole numbers of rounds, θ `theta` (scalar or shape (thetas,)), η
    `learning_rate`, a `global_feature_sq`, b `local_feature_sq`, ν̄ = L σ_p² e `noise_energy`, n_k
    `sample_counts`, s(k) `groups` and E `local_steps`. With `types` the samples are of several types, and
    `global_feature_sq` and `local_feature_sq` may hold one squared norm per feature
    (`theory.dynamics.sample_types`).

    The cost is a Python loop over rounds and local steps, vectorised over θ, clients and types.

    Returns:
        Two arrays of shape (rounds, thetas, clients), with a last axis of types if `types` is given, in units
        of learning rate times steps. Under `posthoc` they do not depend on θ.

    Raises:
        ValueError: an argument outside its range or of another shape than the others ask for.

    >>> tau = accumulated([0, 2], 0.5, 0.1, scheme="joint", global_feature_sq=1, local_feature_sq=2,
    ...                   noise_energy=40, sample_counts=[5, 20], groups=[0, 1])
    >>> tau.local_prompt.round(4).tolist()
    [[[0.0, 0.0]], [[0.0832, 0.0887]]]
    """
    recorded = _recorded(rounds)
    mixing = np.atleast_1d(unit_interval("theta", theta))
    if mixing.ndim != 1 or mixing.size == 0:
        raise ValueError(f"`theta` has shape {mixing.shape}; allowed: a number or (thetas,)")
    eta, steps = positive("learning_rate", learning_rate), int(between("local_steps", local_steps, 1))
    if steps != local_steps:
        raise ValueError(f"`local_steps` is {local_steps}; allowed: whole numbers")
    people = population(
        global_feature_sq=global_feature_sq,
        local_feature_sq=local_feature_sq,
        sample_counts=sample_counts,
        groups=groups,
        types=types,
    )
    average, own = kernel(people, noise_energy)
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
    per_type = people.fractions.shape if types is not None else people.fractions.shape[:1]
    return Accumulated(*history.reshape(2, recorded.size, mixing.size, *per_type))


def _seen_by_global(margins: Margins, scheme: TrainingScheme) -> NDArray[np.float64]:
    return margins.mixture if scheme == "joint" else margins.global_prompt


def _seen_by_local(margins: Margins, scheme: TrainingScheme) -> NDArray[np.float64]:
    return margins.local_prompt if scheme == "posthoc" else margins.mixture


def _recorded(rounds: Sequence[int] | NDArray[Any]) -> NDArray[np.float64]:
    values = nonnegative("rounds", rounds)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"`rounds` has shape {values.shape}; allowed: (rounds,), at least one")
    if np.any(values != np.round(values)) or np.any(np.diff(values) <= 0):
        raise ValueError(f"`rounds` is {values}; allowed: increasing whole numbers")
    return values


def margins(
    tau: Accumulated,
    theta: ArrayLike,
    *,
    scheme: TrainingScheme,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_energy: float,
    sample_counts: ArrayLike,
    groups: ArrayLike,
    types: SampleTypes | None = None,
) -> Margins:
    """Return the margins of the training samples after the rounds of `accumulated` (T12 with δ = 0).

    Let τ be `tau`, as `accumulated` returns it; the other arguments are those of `accumulated`.

    Returns:
        Margins through the prompts alone, as trained, and through the mixture; each of the shape of τ.

    Raises:
        ValueError: as `accumulated`; a τ that does not fit the federation.

    >>> setting = dict(scheme="posthoc", global_feature_sq=1, local_feature_sq=2, noise_energy=40,
    ...                sample_counts=[5, 20], groups=[0, 1])
    >>> tau = accumulated([1], 0.5, 0.1, **setting)
    >>> margins(tau, 0.5, **setting).local_prompt.round(2).tolist()
    [[[2.2, 1.0]]]
    """
    people = population(
        global_feature_sq=global_feature_sq,
        local_feature_sq=local_feature_sq,
        sample_counts=sample_counts,
        groups=groups,
        types=types,
    )
    mixing = np.atleast_1d(unit_interval("theta", theta))
    shapes = [np.shape(part) for part in tau]
    per_type = people.fractions.shape if types is not None else people.fractions.shape[:1]
    if any(shape[1:] != (mixing.size, *per_type) for shape in shapes):
        raise ValueError(f"`tau` has shapes {shapes}; allowed: (rounds, {mixing.size}, {per_type})")
    average, own = kernel(people, noise_energy)
    flat = [np.asarray(part).reshape(len(part), mixing.size, -1) for part in tau]
    read = _read(_weights(mixing, scheme), flat[0] @ average.T, flat[1] @ own.T)
    return Margins(*(part.reshape(shapes[0]) for part in read))
