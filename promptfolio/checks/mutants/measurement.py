"""Faults to plant in what is recorded of a portfolio."""

from typing import Any

import numpy as np

from promptfolio.checks.mutant import Mutant, Replaced

_MEASURE = "simulate.results.measure"


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
)
