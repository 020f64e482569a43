"""One description of a federation: its features, its clients and their data, validated at construction.

Every result takes one of two descriptions. `Federation` lists the clients one by one. `EqualClients` is the
symmetric case, in which all clients have as many samples and groups of one size; there every letter may be an
array, and letters broadcast with each other, so that one call covers a range of settings.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from theory.model.aggregation import client_group_sizes
from theory.numerics.validation import Values, between, checked_group_size, nonnegative, positive, result

Letter: TypeAlias = Any
"""A number or an array when given; float64 once the description is built."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """What images are made of: two kinds of task-relevant features, and noise (T1, T2).

    Raises:
        ValueError: naming the first field that is out of range, its value and what is allowed.
    """

    global_feature_sq: Letter
    """a = ‖μ_G‖², squared norm of the feature that all clients share; at least 0."""
    local_feature_sq: Letter
    """b = ‖ν_s‖², squared norm of each group's own feature; at least 0."""
    noise_dim: Letter
    """L, number of task-irrelevant coordinates; at least 1."""
    noise_feature_sq: Letter = 1.0
    """e = ‖ξ_l‖², squared norm of each task-irrelevant row; positive."""
    noise_std: Letter = 1.0
    """σ_p, standard deviation of the task-irrelevant coordinates; positive."""

    def __post_init__(self) -> None:
        for name in ("global_feature_sq", "local_feature_sq"):
            self._set(name, nonnegative(name, getattr(self, name)))
        self._set("noise_dim", between("noise_dim", self.noise_dim, 1))
        for name in ("noise_feature_sq", "noise_std"):
            self._set(name, positive(name, getattr(self, name)))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, result(value))

    @property
    def noise_energy(self) -> Values:
        """ν̄ = L σ_p² e, what a sample's noise adds to the rate of its own margin."""
        return result(self.noise_dim * self.noise_std**2 * self.noise_feature_sq)

    def replace(self, **changes: Letter) -> Self:
        """Return the same description with some fields changed, validated anew."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Federation(Features):
    """K clients, one by one: who holds how many samples, of which group, and what their labels are like.

    The letters of `Features` are scalars here. Fields of clients have shape (clients,); a single number stands for
    all clients.

    Raises:
        ValueError: naming the first field that is out of range or of another shape than (clients,).

    Example:
        >>> federation = Federation(
        ...     global_feature_sq=1, local_feature_sq=2, noise_dim=400, sample_counts=[10, 30], groups=[0, 1]
        ... )
        >>> federation.clients, federation.client_weights.tolist(), federation.group_sizes.tolist()
        (2, [0.25, 0.75], [1.0, 1.0])
    """

    sample_counts: Letter
    """n_k, training samples of each client; at least 1. Its length is the number of clients."""
    groups: Letter = None
    """s(k), the feature group of each client, whole numbers from 0; None gives every client its own."""
    label_noise: Letter = 0.0
    """ε_k, share of the client's training labels that are flipped (T26); from 0 to 1."""
    class_prior: Letter = 0.5
    """π_k, share of the client's samples with y = +1 (T27); from 0 to 1."""
    prior_feature_sq: float = 0.0
    """c_0 = ‖w_0‖², squared norm of a coordinate that is 1 in every image (T27); 0 leaves it out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in dataclasses.fields(Features):
            if np.ndim(getattr(self, field.name)):
                raise ValueError(f"`{field.name}` is {getattr(self, field.name)}; allowed: one number")
        self._set("prior_feature_sq", nonnegative("prior_feature_sq", self.prior_feature_sq))
        counts = between("sample_counts", self.sample_counts, 1)
        if counts.ndim != 1 or counts.size == 0:
            raise ValueError(f"`sample_counts` has shape {counts.shape}; allowed: (clients,)")
        self._set("sample_counts", counts)
        groups = np.arange(counts.size) if self.groups is None else np.asarray(self.groups)
        client_group_sizes(groups)  # validates them
        if groups.shape != counts.shape:
            raise ValueError(
                f"`groups` has shape {groups.shape}; allowed: that of `sample_counts`, {counts.shape}"
            )
        object.__setattr__(self, "groups", groups)
        for name in ("label_noise", "class_prior"):
            share = between(name, getattr(self, name), 0, 1)
            if share.shape not in ((), counts.shape):
                raise ValueError(f"`{name}` has shape {share.shape}; allowed: one number, or {counts.shape}")
            self._set(name, np.broadcast_to(share, counts.shape).copy())

    @property
    def clients(self) -> int:
        """K, number of clients."""
        return int(self.sample_counts.size)

    @property
    def client_weights(self) -> NDArray[np.float64]:
        """p_k = n_k/N, weights of the clients in the average; shape (clients,)."""
        weights: NDArray[np.float64] = self.sample_counts / self.sample_counts.sum()
        return weights

    @property
    def same_group(self) -> NDArray[np.bool_]:
        """Whether two clients belong to one group; shape (clients, clients)."""
        same: NDArray[np.bool_] = self.groups[:, None] == self.groups[None, :]
        return same

    @property
    def group_sizes(self) -> NDArray[np.float64]:
        """χ_k, number of clients in k's group; shape (clients,)."""
        return client_group_sizes(self.groups)

    def equal_clients(self) -> "EqualClients":
        """Return the symmetric description of a federation whose clients are alike.

        Raises:
            ValueError: clients that differ in their number of samples or the size of their group.
        """
        for name, values in (("sample_counts", self.sample_counts), ("group_sizes", self.group_sizes)):
            if np.any(values != values[0]):
                raise ValueError(f"`{name}` is {values}; allowed: the same for all clients")
        features = {field.name: getattr(self, field.name) for field in dataclasses.fields(Features)}
        return EqualClients(
            clients=self.clients, samples=self.sample_counts[0], group_size=self.group_sizes[0], **features
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class EqualClients(Features):
    """K clients alike: n samples each, in groups of χ. Every field is a number or an array, and they broadcast.

    Raises:
        ValueError: naming the first field that is out of range.

    Example:
        >>> equal = EqualClients(
        ...     global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=[2, 4, 8], samples=10, group_size=1
        ... )
        >>> float(equal.noise_energy), equal.clients.tolist()
        (400.0, [2.0, 4.0, 8.0])
    """

    clients: Letter
    """K, number of clients; at least 1."""
    samples: Letter
    """n, training samples of each client; at least 1."""
    group_size: Letter = 1
    """χ, number of clients in a feature group (T6); from 0 to K, at least 1 where group features are orthogonal."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("clients", "samples"):
            self._set(name, between(name, getattr(self, name), 1))
        self._set("group_size", checked_group_size(self.group_size, self.clients, symmetric=True))

    def federation(self) -> Federation:
        """Return the clients one by one; for scalar fields, and groups that divide the clients evenly.

        Raises:
            ValueError: an array, or a group size that does not divide the number of clients.

        >>> equal = EqualClients(
        ...     global_feature_sq=1, local_feature_sq=2, noise_dim=9, clients=4, samples=5, group_size=2
        ... )
        >>> equal.federation().groups.tolist()
        [0, 0, 1, 1]
        """
        size = float(self.group_size) if np.ndim(self.group_size) == 0 else 0.0
        if size < 1 or size != round(size) or float(self.clients) % size:
            raise ValueError(
                f"`group_size` is {self.group_size}; allowed: a divisor of `clients`, {self.clients}"
            )
        features = {field.name: getattr(self, field.name) for field in dataclasses.fields(Features)}
        count = int(self.clients)
        return Federation(
            sample_counts=np.full(count, self.samples), groups=np.arange(count) // int(size), **features
        )
