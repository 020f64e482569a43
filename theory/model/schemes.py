"""Training schemes, and the weights that each gives the two prompts of a mixture (section 5)."""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from theory.numerics.validation import ArrayLike, Values, result, unit_interval

TrainingScheme: TypeAlias = Literal["joint", "posthoc", "detached", "finetuned"]
"""How the prompts are trained: through the mixture, each alone, the local one through the mixture, or one after the
other, the local one from the global one."""


class Weights(NamedTuple):
    """Effective weights of the global and the local prompt in a mixture."""

    global_prompt: Values
    local_prompt: Values


def effective_weights(theta: ArrayLike, scheme: TrainingScheme) -> Weights:
    """Return the weights (w_G, w_L) that a mixing coefficient θ gives the two prompts under a scheme.

    Let θ be `theta`, the weight of the local prompt, of any shape. The weights multiply the signals and noise
    vectors of prompts *trained with full weight*, per unit of τ:

    - `posthoc`: (1−θ, θ), the prompts are trained alone and mixed afterwards;
    - `joint`: ((1−θ)², θ²), because a jointly trained prompt also grows in proportion to its own weight
      (T21);
    - `detached`: (1−θ, θ²), because only the local prompt is trained through the mixture (T25);
    - `finetuned`: (1, θ), because a fine-tuned prompt is the global one and what its own steps add (T31), to which
      alone τ of the local prompt refers.

    For the outputs of prompts that have been trained already, under any scheme, the mixture is `posthoc`.

    Raises:
        ValueError: θ outside [0, 1], or an unknown scheme.

    >>> weights = effective_weights(0.25, "joint")
    >>> float(weights.global_prompt), float(weights.local_prompt)
    (0.5625, 0.0625)
    """
    local = unit_interval("theta", theta)
    shared = 1 - local
    weights = {
        "posthoc": (shared, local),
        "joint": (shared**2, local**2),
        "detached": (shared, local**2),
        "finetuned": (np.ones_like(local), local),
    }
    if scheme not in weights:
        raise ValueError(f"`scheme` is {scheme!r}; allowed: {', '.join(map(repr, weights))}")
    return Weights(*map(result, weights[scheme]))
