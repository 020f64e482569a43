"""Who trains on what: clients, groups and types of training samples (the setting of T12 and T14).

A type of sample is a vector of signs, one for each task-relevant feature: what the sample's label times the
feature is, 1, −1, or 0 where the feature is missing. In the plain model (T1) all samples are of one type with
signs 1 on the shared feature and on the group's. A wrong label turns both signs; a constant coordinate, whose
product with the label is the label, splits the samples into two types.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.model.federation import Federation
from theory.numerics.validation import ArrayLike, between, nonnegative

ROW_SUM_SLACK = 1e-9
"""How far the fractions of a client's types may be from adding up to one."""


class SampleTypes(NamedTuple):
    """Types of training samples, and how each client's samples divide among them.

    Attributes:
        fractions: π_kc, share of client k's samples that are of type c; shape (clients, types), rows add up to 1.
        shared_signs: σ_cr of the features that all clients share; shape (types, shared features).
        group_signs: σ_cr of the features that only clients of the same group share, one feature of each kind
            per group; shape (types, group features).
        shared_norms: s_r, squared norms of the shared features; shape (shared features,).
        group_norms: s_r, squared norms of the groups' features; shape (group features,).

    Signs are −1, 0 or 1.
    """

    fractions: ArrayLike
    shared_signs: ArrayLike
    group_signs: ArrayLike
    shared_norms: ArrayLike
    group_norms: ArrayLike


def types_of(federation: Federation) -> SampleTypes:
    """Return the types of a federation's samples: one, or two for each of label noise and a constant coordinate.

    With ε_k > 0 somewhere there are correct and wrong labels (T26); with c_0 > 0 there are the classes y = +1
    and y = −1, which the constant coordinate tells apart (T27). Types of correct labels come first, and of these
    y = +1.

    >>> noisy = Federation(
    ...     global_feature_sq=1, local_feature_sq=2, noise_dim=9, sample_counts=[5, 5], label_noise=[0.1, 0.3])
    >>> types_of(noisy).fractions.round(1).tolist()
    [[0.9, 0.1], [0.7, 0.3]]
    >>> types_of(noisy.replace(label_noise=0, prior_feature_sq=2)).shared_signs.tolist()
    [[1.0, 1.0], [1.0, -1.0]]
    """
    wrong, constant = bool(np.any(federation.label_noise > 0)), bool(federation.prior_feature_sq > 0)
    by_label, by_class = np.ones((2, federation.clients, 1))
    if wrong:
        by_label = np.stack([1 - federation.label_noise, federation.label_noise], axis=1)
    if constant:
        by_class = np.stack([federation.class_prior, 1 - federation.class_prior], axis=1)
    fractions = (by_label[:, :, None] * by_class[:, None, :]).reshape(federation.clients, -1)
    # what a sample's label is to its class, and its class
    correct = np.repeat([1.0, -1.0][: by_label.shape[1]], by_class.shape[1])[:, None]
    label = correct * np.tile([1.0, -1.0][: by_class.shape[1]], by_label.shape[1])[:, None]
    a, b = federation.global_feature_sq, federation.local_feature_sq
    if not constant:
        return SampleTypes(fractions, correct, correct, [a], [b])
    shared = np.concatenate([correct, label], axis=1)
    return SampleTypes(fractions, shared, correct, [a, federation.prior_feature_sq], [b])


class Population(NamedTuple):
    """A federation with the types of its samples, validated; features are the shared ones, then the groups'.

    Attributes:
        federation: n_k, p_k and the noise.
        fractions: π_kc, shape (clients, types).
        signs: σ_cr, shape (types, features).
        norms: s_r, squared norms, shape (features,).
        shares: 1 where clients k and j have feature r in common, else 0; shape (features, clients, clients).
    """

    federation: Federation
    fractions: NDArray[np.float64]
    signs: NDArray[np.float64]
    norms: NDArray[np.float64]
    shares: NDArray[np.float64]

    def own_pull(self, tau: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ_c π_kc σ_cr τ_kc: what client k's own data did to its feature r.

        Shapes (…, clients, types) → (…, clients, features).
        """
        return (self.fractions * tau) @ self.signs

    def average_pull(self, tau: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ_j p_j Σ_c π_jc σ_cr τ_jc over the clients j that have feature r in common with k.

        Shapes (…, clients, types) → (…, clients, features).
        """
        weights = self.federation.client_weights
        return np.einsum("rkj,j,...jr->...kr", self.shares, weights, self.own_pull(tau))


def population(federation: Federation, types: SampleTypes | None = None) -> Population:
    """Return a federation with the types of its samples, by default those of `types_of`.

    Raises:
        ValueError: types whose arrays are out of range, or do not fit each other or the number of clients.

    >>> plain = Federation(global_feature_sq=1, local_feature_sq=2, noise_dim=9, sample_counts=[10, 30])
    >>> population(plain).signs.tolist()
    [[1.0, 1.0]]
    """
    chosen, clients = types_of(federation) if types is None else types, federation.clients
    fractions = nonnegative("fractions", chosen.fractions)
    if fractions.ndim != 2 or fractions.shape[0] != clients or fractions.shape[1] == 0:
        raise ValueError(f"`fractions` has shape {fractions.shape}; allowed: ({clients}, types)")
    if np.any(np.abs(fractions.sum(axis=1) - 1) > ROW_SUM_SLACK):
        raise ValueError(f"`fractions` has row sums {fractions.sum(axis=1)}; allowed: rows that add up to 1")
    shared = _signs("shared_signs", chosen.shared_signs, fractions.shape[1])
    grouped = _signs("group_signs", chosen.group_signs, fractions.shape[1])
    norms = (
        _norms("shared_norms", chosen.shared_norms, shared.shape[1]),
        _norms("group_norms", chosen.group_norms, grouped.shape[1]),
    )
    everyone = np.ones((shared.shape[1], clients, clients))
    same_group = np.broadcast_to(federation.same_group, (grouped.shape[1], clients, clients))
    return Population(
        federation,
        fractions,
        signs=np.concatenate([shared, grouped], axis=1),
        norms=np.concatenate(norms),
        shares=np.concatenate([everyone, same_group.astype(np.float64)]),
    )


def with_axes(described: Federation | Population) -> tuple[Population, tuple[int, ...]]:
    """Return the population, and the last axes of arrays over its clients.

    They are (clients,) for a `Federation`, whose samples must all be of one type, and (clients, types) for a
    `Population`, however many its types are.

    Raises:
        ValueError: a federation with several types of samples.

    >>> plain = Federation(global_feature_sq=1, local_feature_sq=2, noise_dim=9, sample_counts=[10, 30])
    >>> with_axes(plain)[1], with_axes(population(plain))[1]
    ((2,), (2, 1))
    """
    if isinstance(described, Population):
        return described, described.fractions.shape
    people = population(described)
    if people.fractions.shape[1] > 1:
        raise ValueError(
            f"`federation` has label_noise = {described.label_noise} and prior_feature_sq ="
            f" {described.prior_feature_sq}, several types of samples; allowed: 0 for both, or a `Population`"
        )
    return people, people.fractions.shape[:1]


def _signs(name: str, value: ArrayLike, types: int) -> NDArray[np.float64]:
    signs = between(name, value, -1, 1)
    if signs.ndim != 2 or signs.shape[0] != types:
        raise ValueError(f"`{name}` has shape {signs.shape}; allowed: ({types}, features), one row per type")
    if np.any(signs != np.round(signs)):
        raise ValueError(f"`{name}` is {signs[signs != np.round(signs)][0]}; allowed: -1, 0 and 1")
    return signs


def _norms(name: str, value: ArrayLike, features: int) -> NDArray[np.float64]:
    norms = nonnegative(name, value)
    if norms.shape != (features,):
        raise ValueError(
            f"`{name}` has shape {norms.shape}; allowed: ({features},), one squared norm per feature"
        )
    return norms
