"""Faults to plant in what is drawn: samples, labels and groups."""

from typing import Any

import jax.numpy as jnp

from promptfolio.checks.mutant import Edited, Mutant, Replaced


def _weights_of_the_largest_client(original: Any) -> Any:
    def draw_client_data(program: Any, parameters: Any, *keys: Any) -> Any:
        data = original(program, parameters, *keys)
        present = (data.sample_weights > 0).astype(data.sample_weights.dtype)
        return data._replace(sample_weights=present / parameters.sample_counts.max())

    return draw_client_data


def _group_feature_negated(original: Any) -> Any:
    return lambda label, noise, own_group, constant_rows: original(label, noise, -own_group, constant_rows)


def _all_in_the_first_group(original: Any) -> Any:
    def split(*arguments: Any) -> Any:
        program, parameters = original(*arguments)
        first = jnp.zeros_like(parameters.own_group).at[:, 0].set(1)
        return program, parameters._replace(own_group=first)

    return split


def _unit_noise(original: Any) -> Any:
    return lambda normals, noise_std, threshold: original(normals, jnp.ones_like(noise_std), threshold)


def _no_label_noise(original: Any) -> Any:
    def draw_client_data(program: Any, parameters: Any, *keys: Any) -> Any:
        return original(program, parameters._replace(label_noise=0 * parameters.label_noise), *keys)

    return draw_client_data


def _other_class(original: Any) -> Any:
    return lambda class_prior: original(tuple(1 - prior for prior in class_prior))


MUTANTS: tuple[Mutant, ...] = (
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
    Edited(
        "constant_row_has_the_noise_offset",
        "simulate.model.program",
        "the row of the constant coordinate has the class offset of the noise rows",
        ("tests/simulate/test_model.py::test_every_row_has_its_own_norm_and_offset",),
        "offsets = (*(experiment.signal_offset,) * 3, experiment.noise_offset)",
        "offsets = (*(experiment.signal_offset,) * 2, *(experiment.noise_offset,) * 2)",
    ),
)
