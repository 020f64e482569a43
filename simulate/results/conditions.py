"""Properties of the training data as drawn: the overlap of noise vectors, and the shares of labels."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from simulate.model.data import ClientData


class LabelShares(NamedTuple):
    """Shares of labels among the training samples; each of shape (…, clients).

    Attributes:
        flipped: share of the client's samples whose label contradicts their true class.
        positive: share of the client's samples whose true class is +1.
    """

    flipped: np.ndarray
    positive: np.ndarray


class Conditions(NamedTuple):
    """Properties of the drawn data of all replicates of a batch.

    Attributes:
        noise_overlap: max |⟨x_i, x_j⟩| / ‖x_i‖² of each replicate, shape (seeds,).
        label_shares: shares of labels, shape (seeds, clients).
    """

    noise_overlap: np.ndarray
    label_shares: LabelShares


def conditions_of_data(data: ClientData, noise_dim: int) -> Conditions:
    """The conditions of replicates, from their training samples with a leading axis of seeds."""
    arrays: Any = jax.tree.map(np.asarray, data)
    shares = label_shares(arrays.classes, arrays.labels, arrays.sample_weights > 0)
    return Conditions(overlaps(arrays, noise_dim), shares)


def label_shares(
    classes: Float[np.ndarray, "*seeds clients samples"],
    labels: Float[np.ndarray, "*seeds clients samples"],
    present: Bool[np.ndarray, "*seeds clients samples"],
) -> LabelShares:
    """The shares of flipped labels and of positive classes of every client; ``present`` is False for padding."""

    def share(chosen: np.ndarray) -> np.ndarray:
        return (present & chosen).sum(axis=-1) / present.sum(axis=-1)

    return LabelShares(flipped=share(labels != classes), positive=share(classes > 0))


def noise_overlap(
    noise: Float[np.ndarray, "samples noise_dim"], present: Bool[np.ndarray, " samples"]
) -> float:
    """max |⟨x_i, x_j⟩| / ‖x_i‖² over the training samples i ≠ j of all clients; 0 means orthogonal noise.

    The mean-field results (T8, T9, T14, T17–T21) hold as this goes to 0.

    Example:
        >>> noise = np.array([[2.0, 0.0], [-0.5, 1.0], [9.0, 9.0]])
        >>> round(noise_overlap(noise, np.array([True, True, False])), 6)
        0.8
    """
    noise = noise[present]
    noise = noise / np.max(np.abs(noise))  # whose squares fit float32, whatever σ_p
    between = np.abs(noise @ noise.T)
    own = between.diagonal().copy()
    np.fill_diagonal(between, 0)
    return float(np.max(between.max(axis=1) / own))


def overlaps(data: ClientData, noise_dim: int) -> Float[np.ndarray, " seeds"]:
    """`noise_overlap` of every replicate, from data with a leading axis of seeds."""
    features, present = np.asarray(data.features), np.asarray(data.sample_weights) > 0
    noise = features.reshape(len(features), -1, features.shape[-1])[:, :, -noise_dim:]
    pairs = zip(noise, present.reshape(len(present), -1), strict=True)
    return np.asarray([noise_overlap(*replicate) for replicate in pairs])
