"""Images that occur more than once in a bank."""

import numpy as np
from jaxtyping import Float, Int


def first_occurrences(features: Float[np.ndarray, "rows dim"]) -> Int[np.ndarray, " rows"]:
    """For each row the index of the first row that equals it; its own where there is none before it."""
    _, first, inverse = np.unique(features, axis=0, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]
