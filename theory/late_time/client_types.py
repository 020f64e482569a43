"""Clients that are alike, as one population with a multiplicity (T32).

Two clients are alike when they have as many samples, the same share of every type of sample, and groups made of the
same clients. The cost of a prediction grows with the number of populations, not with K.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics.sample_types import types_of
from theory.model.federation import Federation

Matrix = NDArray[np.float64]


class ClientTypes(NamedTuple):
    """Populations of clients that are alike.

    Attributes:
        of_client: population of every client, shape (clients,).
        counts: m_p, clients in each, shape (populations,).
        samples: n_p, shape (populations,).
        together: number of clients of population q in the group of a client of p, (populations, populations).
        fractions: π_pc, share of a client's samples of type c, shape (populations, types).
        shared_signs, group_signs: σ_cr, shapes (types, shared features) and (types, group features).
        shared_norms, group_norms: squared norms of the features.
    """

    of_client: NDArray[np.intp]
    counts: Matrix
    samples: Matrix
    together: Matrix
    fractions: Matrix
    shared_signs: Matrix
    group_signs: Matrix
    shared_norms: Matrix
    group_norms: Matrix

    @property
    def total(self) -> float:
        """N, all training samples."""
        return float(self.counts @ self.samples)

    @property
    def signs(self) -> Matrix:
        """σ_cr of the shared features, then the groups'; shape (types, features)."""
        return np.concatenate([self.shared_signs, self.group_signs], axis=1)

    @property
    def norms(self) -> Matrix:
        """Squared norms of the shared features, then the groups'; shape (features,)."""
        return np.concatenate([self.shared_norms, self.group_norms])

    def pulls(self, mean: Matrix) -> tuple[Matrix, Matrix]:
        """Return what all clients, averaged by n_k/N, and what a client's own samples do to its features.

        Shapes (populations, types, …) → two of (populations, features, …).
        """
        own = np.einsum("pc,cr,pcs->prs", self.fractions, self.signs, mean)
        shared, share = self.shared_norms.size, self.samples / self.total
        everyone = np.tensordot(self.counts * share, own[:, :shared], 1)
        grouped = np.tensordot(self.together * share, own[:, shared:], 1)
        return np.concatenate([np.broadcast_to(everyone, own[:, :shared].shape), grouped], axis=1), own

    def seen(self, pulls: Matrix) -> Matrix:
        """Return the signal that pulls on features give a sample of each type (T12, T14).

        Shapes (populations, features, …) → (populations, types, …).
        """
        return 4 * np.einsum("cr,r,prs->pcs", self.signs, self.norms, pulls)


def client_types(federation: Federation) -> ClientTypes:
    """Return the populations of a federation.

    >>> federation = Federation(
    ...     global_feature_sq=1, local_feature_sq=2, noise_dim=9, sample_counts=[5, 9, 5, 9, 5],
    ...     groups=[0, 0, 1, 1, 2])
    >>> people = client_types(federation)
    >>> people.of_client.tolist(), people.counts.tolist(), people.together[0].tolist()
    ([1, 2, 1, 2, 0], [1.0, 2.0, 2.0], [1.0, 0.0, 0.0])
    """
    types = types_of(federation)
    fractions = np.asarray(types.fractions, dtype=np.float64)
    kind = _alike(federation.sample_counts, *fractions.T)
    groups = np.unique(federation.groups, return_inverse=True)[1]
    # a group is the sum of its members' labels: 63 random bits for each kind of client tell sums apart
    labels = np.random.default_rng(0).integers(1, 2**62, size=kind.max() + 1, dtype=np.uint64)
    made_of = np.zeros(groups.max() + 1, dtype=np.uint64)
    np.add.at(made_of, groups, labels[kind])
    index = _alike(kind, made_of[groups])
    first = np.unique(index, return_index=True)[1]
    counts = np.bincount(index).astype(np.float64)
    together = np.zeros((counts.size, counts.size))
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(groups.max() + 2))
    for population, client in enumerate(first):
        group = groups[client]
        members = order[bounds[group] : bounds[group + 1]]
        together[population] = np.bincount(index[members], minlength=counts.size)
    return ClientTypes(
        index,
        counts,
        federation.sample_counts[first],
        together,
        fractions[first],
        np.asarray(types.shared_signs, dtype=np.float64),
        np.asarray(types.group_signs, dtype=np.float64),
        np.asarray(types.shared_norms, dtype=np.float64),
        np.asarray(types.group_norms, dtype=np.float64),
    )


def _alike(*columns: NDArray[np.generic]) -> NDArray[np.intp]:
    """One number for each distinct row of columns, from 0."""
    number = np.zeros(columns[0].size, dtype=np.intp)
    for column in columns:
        found = np.unique(column, return_inverse=True)[1].reshape(-1)
        number = np.unique(number * (int(found.max()) + 1) + found, return_inverse=True)[1].reshape(-1)
    return number
