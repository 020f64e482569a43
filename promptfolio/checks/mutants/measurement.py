"""Faults to plant in what is recorded of a portfolio."""

from typing import Any

import numpy as np

from promptfolio.checks.mutant import Edited, Mutant, Replaced

_MEASURE = "simulate.results.measure"
_BY_HAND = "tests/simulate/test_measure.py::"
_FINITE = "simulate.results.finite_records"
_NUMBERS = "tests/simulate/test_finite_numbers.py::"


def _risk_without_noise_std(original: Any) -> Any:
    def predictor_record(experiment: Any, *arguments: Any, **options: Any) -> Any:
        return original(experiment.replace(noise_std=1.0), *arguments, **options)

    return predictor_record


def _no_covariance(original: Any) -> Any:
    def measure(experiment: Any, snapshot: Any, trained: Any) -> Any:
        noise = snapshot.noise._replace(inner=0 * snapshot.noise.inner)
        measured = original(experiment, snapshot._replace(noise=noise), trained)
        return measured._replace(noise_inner=original(experiment, snapshot, trained).noise_inner)

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


MUTANTS: tuple[Mutant, ...] = (
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
    Edited(
        "other_groups_miscounted",
        _MEASURE,
        "γ of the other groups is divided by the number of all groups",
        (f"{_BY_HAND}test_coefficients_of_the_own_and_of_the_other_groups",),
        "gamma @ (1 - own) / (groups - 1)",
        "gamma @ (1 - own) / groups",
    ),
    Edited(
        "smallest_margin_of_padding",
        _MEASURE,
        "the smallest margin is also looked for in padding",
        (f"{_BY_HAND}test_padding_has_no_part_in_margins_and_losses",),
        "smallest = np.min(np.where(present, margins, np.inf), axis=-1)",
        "smallest = np.min(margins, axis=-1)",
    ),
    Edited(
        "bias_helps_both_classes",
        _MEASURE,
        "the bias raises the accuracy of both classes",
        ("tests/simulate/test_beyond.py::test_bias_and_accuracy_read_from_the_text_feature", "class_priors"),
        "for side in (1, -1))",
        "for side in (1, 1))",
    ),
    Edited(
        "loss_of_largest_client",
        _MEASURE,
        "recorded losses are divided by the largest client's number of samples",
        (f"{_BY_HAND}test_padding_has_no_part_in_margins_and_losses",),
        "by_client(1 / counts[:, None])",
        "by_client(1 / counts.max() + 0 * counts[:, None])",
    ),
    Edited(
        "positive_labels_counted",
        "simulate.results.conditions",
        "the share of positive samples is read from labels, not from true classes",
        ("tests/simulate/test_beyond.py::test_shares_of_labels_are_those_of_the_data",),
        "positive=share(classes > 0)",
        "positive=share(labels > 0)",
    ),
    Edited(
        "margin_rate_slope_doubled",
        _FINITE,
        "the margin rate has each row's slope twice instead of squared",
        (f"{_NUMBERS}test_the_margin_rate_is_how_fast_margins_grow_at_first",),
        "slope_at_start(one, offset) ** 2 for",
        "2 * slope_at_start(one, offset) for",
    ),
    Edited(
        "margin_rate_offsets_swapped",
        _FINITE,
        "the margin rate takes the slopes of noise rows for the task-relevant ones, and the other way round",
        (f"{_NUMBERS}test_the_margin_rate_is_how_fast_margins_grow_at_first",),
        "(one.signal_offset, one.noise_offset)",
        "(one.noise_offset, one.signal_offset)",
    ),
    Edited(
        "slope_of_power_without_factor",
        _FINITE,
        "the slope of a power at the start lacks the power as its factor",
        (f"{_NUMBERS}test_slopes_at_the_start_are_the_encoders",),
        "2 * power * np.float64(offset)",
        "2 * np.float64(offset)",
    ),
    Edited(
        "momentum_called_safe",
        _FINITE,
        "the rate that is called safe grows with momentum instead of shrinking",
        (f"{_NUMBERS}test_the_margin_rate_is_that_of_the_theory",),
        "4 * (1 - abs(momentum)) / rate",
        "4 * (1 + abs(momentum)) / rate",
    ),
)
