"""Faults to plant in the simulator: in the federated loop, the engines of all rows, data and measurement."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from promptfolio.checks.mutant import Edited, Mutant, Replaced

_FEDERATED = "simulate.model.federated"
_COEFFICIENT = "simulate.engines.coefficient"
_MEASURE = "simulate.results.measure"


def _sums_clients(original: Any) -> Any:
    def participants_of_round(federation: Any, key: Any, completed_rounds: Any) -> Any:
        weights, participating = original(federation, key, completed_rounds)
        return jnp.ones_like(weights), participating

    return participants_of_round


def _equal_weights(original: Any) -> Any:
    return property(lambda self: jnp.ones_like(self.sample_counts) / self.sample_counts.size)


def _one_round_more(original: Any) -> Any:
    def train(*arguments: Any) -> Any:
        return original(*arguments[:-1], arguments[-1] + 1)

    return train


def _one_local_step_more(original: Any) -> Any:
    def federated_round(federation: Any, *others: Any) -> Any:
        more = federation.local_steps + (federation.local_steps > 1)
        return original(federation._replace(local_steps=more), *others)

    return federated_round


def _half_the_prompt_in_odd_rounds(original: Any) -> Any:
    def federated_round(*arguments: Any) -> Any:
        state, odd = arguments[-1], arguments[-1].round % 2 == 1
        older = jax.tree.map(lambda leaf: jnp.where(odd, 0.5 * leaf, leaf), state.global_prompt)
        return original(*arguments[:-1], state._replace(global_prompt=older))

    return federated_round


def _local_prompts_averaged(original: Any) -> Any:
    def federated_round(*arguments: Any) -> Any:
        state = original(*arguments)
        averaged = jax.tree.map(
            lambda leaf: jnp.broadcast_to(jnp.mean(leaf, axis=0), leaf.shape), state.local_prompts
        )
        return state._replace(local_prompts=averaged)

    return federated_round


def _absent_clients_keep_what_is_new(original: Any) -> Any:
    return lambda clients, new, old: new


def _weights_of_all_clients(original: Any) -> Any:
    def participants_of_round(federation: Any, key: Any, completed_rounds: Any) -> Any:
        _, participating = original(federation, key, completed_rounds)
        return jnp.where(participating, federation.client_weights, 0), participating

    return participants_of_round


def _always_the_first_round(original: Any) -> Any:
    return lambda federation, key, completed_rounds: original(federation, key, 0 * completed_rounds)


def _weights_swapped(original: Any) -> Any:
    return lambda theta, feature_global, feature_local: original(theta, feature_local, feature_global)


def _slope_one(original: Any) -> Any:
    return lambda self, z: jnp.ones_like(z)


def _unit_norms(original: Any) -> Any:
    def coefficient_engine(program: Any, parameters: Any) -> Any:
        return original(program, parameters._replace(squared_norms=jnp.ones_like(parameters.squared_norms)))

    return coefficient_engine


def _margin_negated(original: Any) -> Any:
    return lambda feature, batch: original(-feature, batch)


def _doubled(original: Any) -> Any:
    return lambda *arguments: 2 * original(*arguments)


def _divided_by_norms(original: Any) -> Any:
    return lambda weights, offset: original(weights, offset * jnp.linalg.norm(weights, axis=1))


def _weights_of_the_largest_client(original: Any) -> Any:
    def draw_client_data(program: Any, parameters: Any, *keys: Any) -> Any:
        data = original(program, parameters, *keys)
        present = (data.sample_weights > 0).astype(data.sample_weights.dtype)
        return data._replace(sample_weights=present / parameters.sample_counts.max())

    return draw_client_data


def _group_feature_negated(original: Any) -> Any:
    return lambda label, noise, own_group, constant_rows: original(label, noise, -own_group, constant_rows)


def _all_in_the_first_group(original: Any) -> Any:
    def split(experiment: Any) -> Any:
        program, parameters = original(experiment)
        first = jnp.zeros_like(parameters.own_group).at[:, 0].set(1)
        return program, parameters._replace(own_group=first)

    return split


def _unit_noise(original: Any) -> Any:
    return lambda normals, noise_std, threshold: original(normals, jnp.ones_like(noise_std), threshold)


def _risk_without_noise_std(original: Any) -> Any:
    def predictor_record(experiment: Any, *arguments: Any, **options: Any) -> Any:
        return original(experiment.replace(noise_std=1.0), *arguments, **options)

    return predictor_record


def _no_covariance(original: Any) -> Any:
    def measure(experiment: Any, snapshot: Any, trained: Any) -> Any:
        noise = snapshot.noise._replace(inner=0 * snapshot.noise.inner)
        measured = original(experiment, snapshot._replace(noise=noise), trained)
        return measured._replace(noise_inner=snapshot.noise.inner)

    return measure


def _logistic(original: Any) -> Any:
    return lambda ratio: 1 / (1 + np.exp(-1.702 * ratio))


def _first_group_for_all(original: Any) -> Any:
    def prompt_record(experiment: Any, snapshot: Any) -> Any:
        first = snapshot.moved[..., 1]
        everywhere = np.broadcast_to(first[..., :1], first[..., 1:].shape)
        return original(experiment, snapshot)._replace(
            gamma_own=np.stack([everywhere, first[..., 1:]], axis=-1)
        )

    return prompt_record


def _start_at_zero(original: Any) -> Any:
    def take_snapshot(*arguments: Any, initial: Any, present: Any) -> Any:
        return original(*arguments, initial=0 * initial, present=present)

    return take_snapshot


def _no_label_noise(original: Any) -> Any:
    def draw_client_data(program: Any, parameters: Any, *keys: Any) -> Any:
        return original(program, parameters._replace(label_noise=0 * parameters.label_noise), *keys)

    return draw_client_data


def _other_class(original: Any) -> Any:
    return lambda class_prior: original(tuple(1 - prior for prior in class_prior))


MUTANTS: tuple[Mutant, ...] = (
    # --- the federated loop ---
    Replaced(
        "fedavg_sums",
        _FEDERATED,
        "FedAvg sums the clients' prompts instead of averaging them",
        ("aggregation", "update_rule"),
        "participants_of_round",
        _sums_clients,
    ),
    Replaced(
        "client_weights_dropped",
        "simulate.model.program",
        "FedAvg ignores the clients' numbers of samples",
        ("update_rule", "per_client"),
        "Parameters.client_weights",
        _equal_weights,
    ),
    Replaced(
        "round_too_many",
        _FEDERATED,
        "one round too many before each record",
        ("sandwich", "update_rule"),
        "train",
        _one_round_more,
    ),
    Replaced(
        "local_step_too_many",
        _FEDERATED,
        "one local step too many in a round of several",
        ("round_recursion",),
        "federated_round",
        _one_local_step_more,
    ),
    Replaced(
        "stale_global_prompt",
        _FEDERATED,
        "clients start every second round from an older global prompt",
        ("trajectories",),
        "federated_round",
        _half_the_prompt_in_odd_rounds,
    ),
    Replaced(
        "local_prompts_averaged",
        _FEDERATED,
        "the local prompts are averaged too",
        ("trajectories", "aggregation"),
        "federated_round",
        _local_prompts_averaged,
    ),
    Replaced(
        "absent_clients_train",
        _FEDERATED,
        "absent clients train their local prompts",
        ("participation",),
        "_where",
        _absent_clients_keep_what_is_new,
    ),
    # --- the engines ---
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
        "coefficient_engine",
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
        "simulate.engines.prompt",
        "class-name offsets are divided by norms instead of squared norms",
        ("update_rule",),
        "class_name_embedding",
        _divided_by_norms,
    ),
    # --- data and measurement ---
    Replaced(
        "padding_counted",
        "simulate.model.data",
        "the loss of a small client is divided by the largest client's number of samples",
        ("update_rule", "per_client"),
        "draw_client_data",
        _weights_of_the_largest_client,
    ),
    Replaced(
        "group_feature_negated",
        "simulate.model.data",
        "the group feature has the wrong sign in the images",
        ("trajectories", "accuracy"),
        "image_features",
        _group_feature_negated,
    ),
    Replaced(
        "groups_merged",
        "simulate.model.program",
        "all clients are put into the first group",
        ("monotonicity", "aggregation"),
        "split",
        _all_in_the_first_group,
    ),
    Replaced(
        "noise_not_scaled",
        "simulate.model.data",
        "noise coordinates are drawn with unit variance",
        ("accuracy",),
        "label_and_noise",
        _unit_noise,
    ),
    Replaced(
        "risk_not_scaled",
        _MEASURE,
        "the ratio lacks σ_p",
        ("accuracy",),
        "_predictor_record",
        _risk_without_noise_std,
    ),
    Replaced(
        "covariance_dropped",
        _MEASURE,
        "the covariance C of the two prompts' noise is taken as 0",
        ("accuracy", "leading_order"),
        "measure",
        _no_covariance,
    ),
    Replaced(
        "logistic_for_normal",
        _MEASURE,
        "Φ replaced by a logistic curve",
        ("accuracy",),
        "ndtr",
        _logistic,
    ),
    Replaced(
        "group_coefficient_misread",
        _MEASURE,
        "γ is read from the first group, not the client's own",
        ("aggregation", "trajectories"),
        "_prompt_record",
        _first_group_for_all,
    ),
    Replaced(
        "initialisation_kept",
        "simulate.results.snapshot",
        "coefficients count the initial prompt as learned",
        ("end_points",),
        "take_snapshot",
        _start_at_zero,
    ),
    # --- beyond the paper's setting ---
    Replaced(
        "flips_forgotten",
        "simulate.model.data",
        "no training label is ever flipped",
        ("label_noise",),
        "draw_client_data",
        _no_label_noise,
    ),
    Replaced(
        "prior_inverted",
        "simulate.model.program",
        "class priors are drawn the wrong way round",
        ("class_priors",),
        "label_thresholds",
        _other_class,
    ),
    Replaced(
        "participants_not_renormalised",
        _FEDERATED,
        "the average over participants is not divided by their weight",
        ("participation",),
        "participants_of_round",
        _weights_of_all_clients,
    ),
    Replaced(
        "same_clients_every_round",
        _FEDERATED,
        "the same clients take part in every round",
        ("participation",),
        "participants_of_round",
        _always_the_first_round,
    ),
    Edited(
        "cluster_average_diluted",
        "simulate.hierarchy.run",
        "a cluster's average counts every client's own prompt half",
        ("many_assets",),
        "shares = together * weights[None, :]",
        "shares = (together - 0.5 * jnp.eye(together.shape[0], dtype=together.dtype)) * weights[None, :]",
    ),
)
