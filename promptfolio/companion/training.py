"""Train pairs of residual prompts on every replicate and θ at once, through the simulator's own federated
loop.

The algorithm is `simulate.model.federated.train` with `simulate.model.schemes.portfolio_objective`; only the prompt
encoder and the loss are this package's. Nothing is measured on training images.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from promptfolio.companion.prompts import ImageBatch, class_logits, cross_entropy, residual_encoder
from promptfolio.companion.study_config import ClipStudy
from simulate.experiment import MixingScheme
from simulate.model.federated import FederatedAlgorithm, TrainState, autodiff, initial_state, train
from simulate.model.keys import fold_purpose
from simulate.model.optimizer import build_optimizer
from simulate.model.schemes import mix, portfolio_objective
from simulate.running.jit import full_precision, quick_jit

Clients = Float[Array, "clients classes dim"]


@dataclasses.dataclass(frozen=True)
class TrainingProgram:
    """The static part of a study, on which compiled code depends. Fields as in `ClipStudy`, for one scheme."""

    scheme: MixingScheme
    local_steps: int
    participants: int
    optimizer: str
    optimizer_options: tuple[tuple[str, float], ...]


def training_program(study: ClipStudy, scheme: MixingScheme) -> TrainingProgram:
    """Return the static part of a study for one of its schemes."""
    return TrainingProgram(
        scheme, study.local_steps, study.participants, study.optimizer, study.optimizer_options
    )


class Hyperparameters(NamedTuple):
    """The traced part of a study, which may change without recompilation: η, the logit scale and the standard
    deviation of initial prompts; scalars."""

    learning_rate: Float[Array, ""]
    logit_scale: Float[Array, ""]
    init_std: Float[Array, ""]


class Replicate(NamedTuple):
    """One replicate's data; in this module a leading axis of seeds stands before every shape.

    Attributes:
        anchors: t_c; shape (classes, dim).
        train: training images, with axes (clients, samples).
        held_out: validation and then test images of each client, padded; shape (clients, samples, dim).
        held_out_labels: their classes; shape (clients, samples).
        client_weights: p_k = n_k/N; shape (clients,).
    """

    anchors: Float[Array, "*seeds classes dim"]
    train: ImageBatch
    held_out: Float[Array, "*seeds clients samples dim"]
    held_out_labels: Int[Array, "*seeds clients samples"]
    client_weights: Float[Array, "*seeds clients"]


class HeldOutMargins(NamedTuple):
    """Logit of the true class minus the largest other logit, positive where the image is classified correctly.

    Attributes:
        global_prompt, local_prompt: of each prompt by itself; shape (clients, samples).
        mixture: of the pair at its own θ; shape (clients, samples).
        longest: largest length of an anchor plus prompt, before it is divided by it; NaN where one is; scalar.
    """

    global_prompt: Float[Array, "*batch clients samples"]
    local_prompt: Float[Array, "*batch clients samples"]
    mixture: Float[Array, "*batch clients samples"]
    longest: Float[Array, "*batch"]


class HeldOutLogits(NamedTuple):
    """Logits of the held-out images under each prompt by itself.

    Attributes:
        global_prompt, local_prompt: of each client's images, the latter under its own prompt; shape (clients,
            samples, classes).
        elsewhere: whether each client's local prompt classifies the held-out images of each client correctly, a tie
            counting as an error; shape (prompts, clients, samples).
        longest: largest length of an anchor plus prompt, before it is divided by it; NaN where one is; scalar.
    """

    global_prompt: Float[Array, "*batch clients samples classes"]
    local_prompt: Float[Array, "*batch clients samples classes"]
    elsewhere: Bool[Array, "*batch prompts clients samples"]
    longest: Float[Array, "*batch"]


@quick_jit("program")
def start(
    program: TrainingProgram,
    hyperparameters: Hyperparameters,
    replicates: Replicate,
    keys: Key[Array, " seeds"],
    theta: Float[Array, " thetas"],
) -> TrainState:
    """Return the state before training, with leading axes (seeds, thetas). All clients start from the same
    initial prompts p^(0)."""
    optimizer = build_optimizer(program.optimizer, program.optimizer_options, hyperparameters.learning_rate)

    def replicate(replicate: Replicate, key: Key[Array, ""]) -> TrainState:
        shape, dtype = replicate.anchors.shape, replicate.anchors.dtype
        stream = jax.random.split(fold_purpose(key, "initialisation"))
        initial_global, initial_local = (
            hyperparameters.init_std * jax.random.normal(part, shape, dtype) for part in stream
        )
        clients = replicate.client_weights.shape[0]
        state = initial_state(initial_global, jnp.broadcast_to(initial_local, (clients, *shape)), optimizer)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (theta.size, *leaf.shape)), state)

    return jax.vmap(replicate)(replicates, keys)


@functools.partial(jax.jit, static_argnames="program", donate_argnames="states")
@full_precision
def advance(
    program: TrainingProgram,
    hyperparameters: Hyperparameters,
    replicates: Replicate,
    keys: Key[Array, " seeds"],
    theta: Float[Array, " thetas"],
    states: TrainState,
    gap: Int[Array, ""],
) -> tuple[TrainState, HeldOutMargins | HeldOutLogits]:
    """Train all replicates at all θ for ``gap`` further rounds, then measure.

    Returns:
        The new states, and a measurement on held-out images: logits under the posthoc scheme, from which every
        mixture can be computed, and margins of the trained pairs under the others. Leading axes (seeds, thetas).
    """
    optimizer = build_optimizer(program.optimizer, program.optimizer_options, hyperparameters.learning_rate)

    def one(
        replicate: Replicate, key: Key[Array, ""], theta: Array, state: TrainState
    ) -> tuple[TrainState, HeldOutMargins | HeldOutLogits]:
        encode = residual_encoder(replicate.anchors)
        objective = portfolio_objective(program.scheme, encode, cross_entropy(hyperparameters.logit_scale))
        federation = FederatedAlgorithm(
            optimizer, replicate.client_weights, program.local_steps, program.participants
        )

        def measure(state: TrainState) -> HeldOutMargins | HeldOutLogits:
            feature_global = encode(state.global_prompt, None)
            features_local = jax.vmap(encode, (0, None))(state.local_prompts, None)

            def length(prompt: Array) -> Array:
                return jnp.linalg.norm(replicate.anchors + prompt, axis=-1).max()

            longest = jnp.maximum(length(state.global_prompt), jax.vmap(length)(state.local_prompts).max())
            scale = hyperparameters.logit_scale

            def logits_everywhere(features: Array) -> Array:
                return jax.vmap(class_logits, (None, None, 0))(scale, features, replicate.held_out)

            logits_global = logits_everywhere(feature_global)
            logits_local = jax.vmap(class_logits, (None, 0, 0))(scale, features_local, replicate.held_out)
            labels = replicate.held_out_labels
            if program.scheme == "posthoc":

                def classifies(features: Array) -> Array:
                    return smallest_margins(logits_everywhere(features), labels) > 0

                # One prompt at a time: all at once would need memory for clients × images × classes.
                elsewhere = jax.lax.map(classifies, features_local)
                return HeldOutLogits(logits_global, logits_local, elsewhere, longest)
            # Logits are linear in text features, so mixing them is mixing the features.
            return HeldOutMargins(
                smallest_margins(logits_global, labels),
                smallest_margins(logits_local, labels),
                smallest_margins(mix(theta, logits_global, logits_local), labels),
                longest,
            )

        state, measured = train(
            federation,
            autodiff(objective),
            measure,
            replicate.train,
            theta,
            fold_purpose(key, "participation"),
            state,
            gap[None],
        )
        return state, jax.tree.map(lambda leaf: leaf[0], measured)

    over_thetas = jax.vmap(one, (None, None, 0, 0))
    return jax.vmap(over_thetas, (0, 0, None, 0))(replicates, keys, theta, states)


def smallest_margins(
    logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Logit of the true class minus the largest logit of the other classes; shape of ``labels``.

    Example:
        >>> smallest_margins(jnp.array([[3.0, 1.0, 0.5]]), jnp.array([0])).tolist()
        [2.0]
    """
    own = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    true = jnp.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]
    return true - jnp.max(logits, axis=-1, where=~own, initial=-jnp.inf)
