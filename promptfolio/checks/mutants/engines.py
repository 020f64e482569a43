"""Faults to plant in the encoder, in the training schemes and in the engines that train every row."""

from typing import Any

import jax.numpy as jnp

from promptfolio.checks.mutant import Edited, Mutant, Replaced

_COEFFICIENT = "simulate.engines.rows.coefficients"


def _weights_swapped(original: Any) -> Any:
    return lambda theta, feature_global, feature_local: original(theta, feature_local, feature_global)


def _unit_norms(original: Any) -> Any:
    def coefficient_model(program: Any, parameters: Any) -> Any:
        return original(program, parameters._replace(squared_norms=jnp.ones_like(parameters.squared_norms)))

    return coefficient_model


def _margin_negated(original: Any) -> Any:
    return lambda feature, batch: original(-feature, batch)


def _doubled(original: Any) -> Any:
    return lambda *arguments: 2 * original(*arguments)


def _divided_by_norms(original: Any) -> Any:
    return lambda weights, offset: original(weights, offset * jnp.linalg.norm(weights, axis=1))


MUTANTS: tuple[Mutant, ...] = (
    Replaced(
        "mixing_swapped",
        "simulate.model.schemes",
        "θ and 1−θ swapped in the mixture",
        ("end_points",),
        "mix",
        _weights_swapped,
    ),
    Edited(
        "training_weights_swapped",
        _COEFFICIENT,
        "θ and 1−θ swapped in the gradients of joint training",
        ("trajectories", "end_points"),
        "pull_global, pull_local = (1 - theta) * pull, theta * pull",
        "pull_global, pull_local = theta * pull, (1 - theta) * pull",
    ),
    Edited(
        "training_weight_missing",
        _COEFFICIENT,
        "the local prompt's gradient lacks its weight θ",
        ("joint_law", "trajectories"),
        "pull_global, pull_local = (1 - theta) * pull, theta * pull",
        "pull_global, pull_local = (1 - theta) * pull, pull",
    ),
    Edited(
        "slope_missing",
        _COEFFICIENT,
        "h′ missing from the gradient",
        ("sandwich", "trajectories"),
        "-norms * encoder.slope(z_global) * pull_global, -norms * encoder.slope(z_local) * pull_local",
        "-norms * pull_global, -norms * pull_local",
    ),
    Replaced(
        "norms_missing",
        _COEFFICIENT,
        "‖w_r‖² missing from the gradient",
        ("sandwich", "leading_order"),
        "coefficient_model",
        _unit_norms,
    ),
    Replaced(
        "residual_flipped",
        _COEFFICIENT,
        "the residual grows with the margin",
        ("sandwich", "training_time"),
        "_pull",
        _margin_negated,
    ),
    Edited(
        "detached_through_mixture",
        _COEFFICIENT,
        "the detached global prompt is trained through the mixture",
        ("detached",),
        "pull_global, pull_local = _pull(feature_global, batch), theta * _pull(mixture, batch)",
        "pull_global, pull_local = _pull(mixture, batch), theta * _pull(mixture, batch)",
    ),
    Edited(
        "posthoc_through_mixture",
        _COEFFICIENT,
        "post-hoc prompts are trained through the mixture",
        ("end_points", "training_time"),
        "pull_global, pull_local = _pull(feature_global, batch), _pull(feature_local, batch)",
        "pull_global, pull_local = _pull(mixture, batch), _pull(mixture, batch)",
    ),
    Edited(
        "gradient_not_stopped",
        "simulate.model.schemes",
        "the detached global prompt also gets the mixture's gradient",
        ("update_rule",),
        "detached = jax.lax.stop_gradient(feature_global)",
        "detached = feature_global",
    ),
    Replaced(
        "encoder_doubled",
        "simulate.model.encoder",
        "a factor 2 in the encoder",
        ("sandwich", "update_rule"),
        "_piecewise_linear",
        _doubled,
    ),
    Replaced(
        "class_offset_wrong",
        "simulate.engines.rows.prompts",
        "class-name offsets are divided by norms instead of squared norms",
        ("update_rule",),
        "class_name_embedding",
        _divided_by_norms,
    ),
)
