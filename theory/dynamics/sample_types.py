"""Who trains on what: clients, groups and types of training samples (the setting of T12 and T14).

A type of sample is a vector of signs, one for each task-relevant feature: what the sample's label times the
feature is, 1, −1, or 0 where the feature is missing. In the plain model (T1) all samples are of one type with
signs 1 on the shared feature and on the group's. A wrong label turns both signs; a constant coordinate, whose
product with the label is the label, splits the samples into two types.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.model.aggregation import client_group_sizes
from theory.numerics.validation import ArrayLike, between, nonnegative

ROW_SUM_SLACK = 1e-9
"""How far the fractions of a client's types may be from adding up to one."""


class SampleTypes(NamedTuple):
    """Types of training samples and how each client's samples divide among them.

    Attributes:
        fractions: π_kc, share of client k's samples that are of type c; shape (clients, types), rows add up to 1.
        shared_signs: σ_cr of the features that all clients share; shape (types, shared features).
        group_signs: σ_cr of the features that only clients of the same group share, one feature of each kind
            per group; shape (types, group features).

    Signs are −1, 0 or 1. The squared norms of the features are given apart, as `global_feature_sq` (one number, or
    one for each shared feature) and `local_feature_sq` (for the group features).
    """

    fractions: ArrayLike
    shared_signs: ArrayLike
    group_signs: ArrayLike

    @classmethod
    def plain(cls, clients: int) -> "SampleTypes":
        """The plain model T1: one type, with sign 1 on the shared feature and on the group's.

        >>> SampleTypes.plain(3).fractions.tolist()
        [[1.0], [1.0], [1.0]]
        """
        return cls(np.ones((clients, 1)), np.ones((1, 1)), np.ones((1, 1)))


class Population(NamedTuple):
    """A validated federation; features are the shared ones, then the groups'.

    Attributes:
        sample_counts: n_k, shape (clients,).
        weights: p_k = n_k/N, shape (clients,).
        fractions: π_kc, shape (clients, types).
        signs: σ_cr, shape (types, features).
        norms: s_r, squared norms, shape (features,).
        shares: 1 where clients k and j have feature r in common, else 0; shape (features, clients, clients).
    """

    sample_counts: NDArray[np.float64]
    weights: NDArray[np.float64]
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
        return np.einsum("rkj,j,...jr->...kr", self.shares, self.weights, self.own_pull(tau))


def population(
    *,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    sample_counts: ArrayLike,
    groups: ArrayLike,
    types: SampleTypes | None = None,
) -> Population:
    """Validate a federation; without `types` it is the plain one.

    Let s_r be `global_feature_sq` (a number, or shape (shared features,)) and `local_feature_sq` (a number, or
    shape (group features,)), n_k `sample_counts` and s(k) `groups` (integers), both of shape (clients,).

    Raises:
        ValueError: naming the argument that is out of range or of another shape than the others ask for.

    >>> population(global_feature_sq=1, local_feature_sq=2, sample_counts=[10, 30], groups=[0, 1]).weights.tolist()
    [0.25, 0.75]
    """
    labels = np.asarray(groups)
    client_group_sizes(labels)  # validates the groups
    counts = between("sample_counts", sample_counts, 1)
    if counts.shape != labels.shape:
        raise ValueError(
            f"`sample_counts` has shape {counts.shape}; allowed: that of `groups`, {labels.shape}"
        )
    chosen = SampleTypes.plain(counts.size) if types is None else types
    fractions = nonnegative("fractions", chosen.fractions)
    if fractions.ndim != 2 or fractions.shape[0] != counts.size or fractions.shape[1] == 0:
        raise ValueError(f"`fractions` has shape {fractions.shape}; allowed: ({counts.size}, types)")
    if np.any(np.abs(fractions.sum(axis=1) - 1) > ROW_SUM_SLACK):
        raise ValueError(f"`fractions` has row sums {fractions.sum(axis=1)}; allowed: rows that add up to 1")
    shared = _signs("shared_signs", chosen.shared_signs, fractions.shape[1])
    grouped = _signs("group_signs", chosen.group_signs, fractions.shape[1])
    norms = np.concatenate(
        [
            _norms("global_feature_sq", global_feature_sq, shared.shape[1]),
            _norms("local_feature_sq", local_feature_sq, grouped.shape[1]),
        ]
    )
    everyone = np.ones((shared.shape[1], counts.size, counts.size))
    same_group = np.broadcast_to(
        labels[:, None] == labels[None, :], (grouped.shape[1], counts.size, counts.size)
    )
    return Population(
        sample_counts=counts,
        weights=counts / counts.sum(),
        fractions=fractions,
        signs=np.concatenate([shared, grouped], axis=1),
        norms=norms,
        shares=np.concatenate([everyone, same_group.astype(np.float64)]),
    )


def _signs(name: str, value: ArrayLike, types: int) -> NDArray[np.float64]:
    signs = between(name, value, -1, 1)
    if signs.ndim != 2 or signs.shape[0] != types:
        raise ValueError(f"`{name}` has shape {signs.shape}; allowed: ({types}, features), one row per type")
    if np.any(signs != np.round(signs)):
        raise ValueError(f"`{name}` is {signs[signs != np.round(signs)][0]}; allowed: -1, 0 and 1")
    return signs


def _norms(name: str, value: ArrayLike, features: int) -> NDArray[np.float64]:
    norms = np.atleast_1d(nonnegative(name, value))
    if norms.shape != (features,):
        raise ValueError(
            f"`{name}` has shape {norms.shape}; allowed: ({features},), one squared norm per feature"
        )
    return norms
