"""The four ways to train a portfolio, each as ONE objective in both prompts.

Written over any prompt encoder and any loss of text features, so that the synthetic model and the
companion on CLIP features train through the same lines. With h_G and h_L the text features of the global
and the local prompt and ℓ the loss of one client:

- joint:     ℓ((1−θ) h_G + θ h_L), the paper's algorithm (T3);
- posthoc:   ℓ(h_G) + ℓ(h_L): the terms share no prompt, so this trains θ=0 and θ=1 apart, in one run;
- detached:  ℓ(h_G) + ℓ((1−θ) sg(h_G) + θ h_L), sg the stop-gradient (T25);
- finetuned: ℓ(h_L): a client trains one prompt. While rounds last it is the server's, which the server averages;
  after them it is the client's own (T31). `simulate.model.federated` says when.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float

from simulate.experiment import TrainingScheme

Prompt = Any
"""One prompt: any pytree of arrays."""
Batch = Any
"""One client's data: any pytree of arrays."""
TextFeatures = Float[Array, "..."]
Scalar = Float[Array, ""]
Objective = Callable[[Prompt, Prompt, Scalar, Batch], Scalar]
Numbers = TypeVar("Numbers", Array, np.ndarray)


def mix(theta: Numbers, feature_global: Numbers, feature_local: Numbers) -> Numbers:
    """(1−θ) h_G + θ h_L: text features are mixed as they are and not re-normalised (T3)."""
    return (1 - theta) * feature_global + theta * feature_local


def portfolio_objective(
    scheme: TrainingScheme,
    encode: Callable[[Prompt, Batch], TextFeatures],
    loss: Callable[[TextFeatures, Batch], Scalar],
) -> Objective:
    """The objective (global prompt, local prompt, θ, batch) -> scalar of one client under a scheme."""

    def objective(global_prompt: Prompt, local_prompt: Prompt, theta: Scalar, batch: Batch) -> Scalar:
        feature_global, feature_local = encode(global_prompt, batch), encode(local_prompt, batch)
        if scheme == "joint":
            return loss(mix(theta, feature_global, feature_local), batch)
        if scheme == "posthoc":
            return loss(feature_global, batch) + loss(feature_local, batch)
        if scheme == "finetuned":
            return loss(feature_local, batch)
        detached = jax.lax.stop_gradient(feature_global)
        return loss(feature_global, batch) + loss(mix(theta, detached, feature_local), batch)

    return objective
