"""Claims of many comparisons can fail at each of them (see `test_claims_can_fail`)."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.checks.made_up import (
    CONDITIONS,
    Change,
    added,
    assert_changes_fail,
    assert_conditions_count,
    both,
    dataset,
    plus,
    put,
    scaled,
    times,
)

GRID = np.linspace(0, 1, 21)


def _aggregation() -> tuple[xr.Dataset, list[Change]]:
    """The mean energy of the averaged prompt varies by a thousandth over seeds: a hundredth is too much."""
    shape, global_only = (4, 2, 2), np.array([1.0, 0.0])
    gamma = np.where(global_only, [[0.5], [0.25]], 1.0) * np.ones(shape)
    energy = np.where(global_only, 0.25, 1.0) * (
        1 + 1e-3 * global_only * np.array([1.0, -1.0, 0.5, -0.5])[:, None, None]
    )
    data = dataset(
        beta=("seed client prompt", np.ones(shape)),
        gamma_own=("seed client prompt", gamma),
        phi_norm=("seed client prompt", np.sqrt(energy * np.ones(shape))),
        gamma_factor=("client", [0.5, 0.25]),
        energy_factor=("client", [0.25, 0.25]),
    ).assign_coords(prompt=["global", "local"])
    only_global = xr.DataArray(global_only, dims="prompt")
    # twice as much of β, since it ends in rounding near 1; χ/K is a half and a quarter of a client's γ
    changes: list[Change] = [
        (name, scaled(1 + sign * by * only_global))
        for name, by in (("beta", 2e-12), ("gamma_own", 4.1e-12))
        for sign in (1, -1)
    ]
    return data, changes + plus("energy_factor", *both(0.05))


def _mean_field() -> tuple[xr.Dataset, list[Change]]:
    """Three standard errors √(max(2, N/n − 1)/(6L)) of the four clients with n = (6, 10, 20, 40); errors at the
    smallest L of twice as much, so that those at the largest alone are judged."""
    spread = np.sqrt(np.maximum(2, 76 / np.array([6, 10, 20, 40]) - 1))
    allowed, small = 3 * spread / np.sqrt(6 * 10_000), 0.2
    off = np.array([1 + small, 1.0])[:, None] * np.ones(4)
    axes, names = "noise_dim step theta predictor client", ["global", "local", "mixture"]
    margin = np.ones((2, 1, 1, 3, 4)) * off[:, None, None, None, :]
    tau = np.ones((2, 1, 1, 4)) * off[:, None, None, :]
    data = dataset(
        margin=(axes, margin),
        margin_predicted=(axes, np.ones((2, 1, 1, 3, 4))),
        tau_local=("noise_dim step theta client", tau),
        tau_predicted=("noise_dim step theta client prompt", np.ones((2, 1, 1, 4, 2))),
    ).assign_coords(noise_dim=[100, 10_000], predictor=names, prompt=["global", "local"])
    for condition in CONDITIONS:
        data[condition] = data[condition].expand_dims(noise_dim=data.noise_dim)
    changes: list[Change] = []
    for place in range(4):
        for predictor in names:
            for sign in (1, -1):
                by = xr.DataArray(
                    np.where(np.arange(4) == place, sign * 1.001 * allowed, 0), dims="client"
                ) * xr.DataArray([0, 1], dims="noise_dim", coords={"noise_dim": data.noise_dim})
                at = (data.predictor == predictor).astype(float)
                changes.append(("margin", scaled(1 + by * at)))
    large = xr.DataArray([0, 1], dims="noise_dim", coords={"noise_dim": data.noise_dim})
    least = float(allowed.min())
    for sign in (1, -1):
        changes.append(("tau_local", scaled(1 + sign * 0.501 * least * large)))
    # closer at the largest L than at the smallest
    growing = xr.DataArray([1.001, 1.002], dims="noise_dim")
    return data, changes + [(name, lambda old: old * 0 + growing) for name in ("margin", "tau_local")]


def _many_assets() -> tuple[xr.Dataset, list[Change]]:
    weights = ("level", [0.5, 0.3, 0.2])
    formula = np.array([[0.5, 0.3, 0.2], *3 * [[0.6, 0.4 - 5e-6, 5e-6]]])
    same = {
        "ratio_simulated": ("ratio_of_moments", ("trained mixture", [[1.0, 2.0]])),
        "searched": ("formula", ("point level", formula)),
        "ratio_searched": ("ratio_formula", ("point", [1.0, 2.0, 2.0, 2.0])),
        "weights": ("weights_predicted", weights),
        "client_weights": ("client_weights_predicted", ("client level", [[0.5, 0.3, 0.2]])),
        "accuracy": ("accuracy_predicted", ("clustering portfolio", [[0.9, 0.8985, 0.87, 0.86, 0.8]])),
        "joint_ratio": ("joint_ratio_predicted", ("near", [1.0, 1.1])),
        "joint_best": ("joint_predicted", weights),
    }
    parts = {name: values for measured, (predicted, values) in same.items() for name in (measured, predicted)}
    data = dataset(
        **parts,
        signal=("seed client level", np.ones((1, 1, 3))),
        gram=("level other_level", np.ones((3, 3))),
        band_left=("", 2.0),
    ).assign_coords(clustering=["mixed"])
    changes = times("ratio_simulated", 1 + 1.01e-5, 1 - 1.01e-5) + plus("searched", *both(1.01e-5))
    changes += times("ratio_searched", 1 + 1.01e-10, 1 - 1.01e-10) + times("signal", 1 + 1.01e-5, 1 - 1.01e-5)
    changes += times("gram", 1.0201, 0.9799) + plus("weights", *both(0.0201))
    changes += plus("client_weights", *both(0.0601)) + plus("accuracy", *both(0.00201))
    changes += plus("joint_best", *both(0.0101)) + times("joint_ratio", 1.0101, 0.9899)
    # beyond the allowed deviation, and less than half of the 0.0015 predicted
    for gain in (0.00101, -0.00101, -0.0008):
        changes += plus("accuracy", gain * np.array([1.0, 0, 0, 0, 0]))  # type: ignore[arg-type]
    changes += put("band_left", 0.99) + put("formula", np.where(formula < 1e-3, 0, formula))
    return data, changes


def _label_noise() -> tuple[xr.Dataset, list[Change]]:
    """No wrong labels, 15 % and 30 %; a local prompt keeps 1 − 2ε of its ratio at first and 0.9 of that later."""
    rates, kept = np.array([0.0, 0.15, 0.3]), np.array([1.0, 0.7, 0.4])
    later = np.array([1.0, 0.9, 0.9])
    factor = np.stack([kept, kept * later], axis=-1)[:, None, None, :]
    ratio = factor[..., None] * np.ones(4)
    data = dataset(
        {"labels": 100_000},
        flipped_share=("rate seed client", rates[:, None, None]),
        ratio=("rate seed client step theta", ratio),
        ratio_predicted=("rate seed client step theta", ratio),
        joint_ratio=("seed client step trained", [[[[1.0], [1.0]]]]),
        joint_predicted=("seed client step trained", [[[[1.0], [1.0]]]]),
        factor=("rate seed client step", factor),
        factor_lower=("rate seed client", (0.85 * kept)[:, None, None]),
        factor_upper=("rate seed client", kept[:, None, None]),
        theta_pooled=("rate", [0.4, 0.4, 0.4]),
        theta_leading=("", 0.4),
        theta_empirical=("rate seed client", np.full((3, 1, 1), 0.4)),
        theta_predicted=("rate seed client", np.full((3, 1, 1), 0.4)),
        noise_dim=("", 1_000_000),
    ).assign_coords(rate=rates, theta=[0.0, 0.3, 0.6, 1.0])
    # five standard errors of a share of 100 000 labels
    changes = plus("flipped_share", *both(0.0073)) + times("ratio joint_ratio", 1.0301, 0.9699)
    changes += plus("theta_pooled", *both(0.0201)) + plus("theta_empirical", *both(0.0601))
    # four standard errors of the norm of a vector of 10⁶ coordinates
    changes += plus("factor_upper", -0.0029) + plus("factor_lower", *(0.0029 + 0.06,))
    at_first = np.array([[0, 0], [0.0201, 0.0201], [0.0201, 0.0201]])[:, None, None, :]
    changes += [("factor", added(sign * at_first)) for sign in (1, -1)]
    at_last = np.array([[0, 0], [0, 0.0301 * 0.7], [0, 0.0301 * 0.4]])[:, None, None, :]
    return data, changes + [("factor", added(sign * at_last)) for sign in (1, -1)]


def _curves(places: np.ndarray) -> np.ndarray:
    """Flat parabolas along θ with their tops at the places."""
    return 2 - 0.3 * (GRID - places[..., None]) ** 2


def _class_priors() -> tuple[xr.Dataset, list[Change]]:
    """θ* of accuracy is 0.1 above that of the ratio under an own skew of client 0, 0.1 below under a common one."""
    shape = "skew step client theta"
    ratio = _curves(np.full((2, 1, 2), 0.5))
    places = np.array([[[0.6, 0.5]], [[0.4, 0.4]]])
    errors = -_curves(places)
    same = {"ratio": ratio, "log_error": errors, "accuracy": 1 - np.exp(errors)}
    parts: dict[str, Any] = {}
    for name, values in same.items():
        parts[name] = parts[f"{name}_predicted"] = (shape, values)
    data = dataset(
        {"law_seeds": 400, "fresh_samples": 1_000_000, "labels": 10_000},
        law_even=("moment", [1.0, 2.0]),
        law_skewed=("moment", [1.0, 2.0]),
        law_even_error=("moment", [0.01, 0.01]),
        law_skewed_error=("moment", [0.01, 0.01]),
        mirrored_negative=("law case", [[1.0, 2.0]]),
        mirrored_positive=("law case", [[1.0, 2.0]]),
        counted=("counted_theta counted_client", [[0.5]]),
        accuracy_exact=("counted_theta counted_client", [[0.5]]),
        accuracy_recorded=("counted_theta counted_client", [[0.5]]),
        positive_share=("skew client", [[0.9, 0.5], [0.7, 0.7]]),
        class_prior=("skew client", [[0.9, 0.5], [0.7, 0.7]]),
        bias=("skew step client prompt", np.ones((2, 1, 2, 2))),
        bias_predicted=("skew step client prompt", np.ones((2, 1, 2, 2))),
        **parts,
    ).assign_coords(theta=GRID, skew=["own", "common"])
    changes = plus("law_skewed", *both(0.08)) + times("mirrored_negative", 1 + 1.01e-9, 1 - 1.01e-9)
    changes += plus("counted", *both(0.0027)) + plus("accuracy_recorded", *both(1.01e-12))
    changes += plus("positive_share", *both(0.026)) + plus("ratio", *both(0.0301))
    changes += plus("bias", *both(0.01501)) + plus("accuracy", *both(0.0101))
    for by in both(0.0401):
        changes += put("log_error", -_curves(places + by))
    # within 0.04 of its prediction, and less than half of the way
    changes += [("ratio", lambda old: old.copy(data=_curves(np.full((2, 1, 2), 0.5) + _towards("own"))))]
    changes += [("ratio", lambda old: old.copy(data=_curves(np.full((2, 1, 2), 0.5) + _towards("common"))))]
    return data, changes


def _towards(skew: str) -> np.ndarray:
    """By how much θ* of the ratio moves towards that of accuracy under one of the skews: 0.06 of 0.1."""
    return np.array([0.06, 0.0] if skew == "own" else [0.0, -0.06])[:, None, None] * np.ones((2, 1, 2))


CASES = {
    "aggregation": _aggregation,
    "class_priors": _class_priors,
    "label_noise": _label_noise,
    "many_assets": _many_assets,
    "mean_field": _mean_field,
}

NEEDED: dict[str, tuple[str, float | None]] = {
    "aggregation": ("band", 0.1),
    "class_priors": ("band overlap groups", None),
    "label_noise": ("band overlap groups", None),
    "many_assets": ("band overlap groups", 0.2),
    "mean_field": ("band overlap", None),
}
"""Conditions that a claim needs, and the largest ηκ it allows."""


@pytest.mark.parametrize("name", CASES)
def test_a_little_more_than_is_allowed_fails(name: str) -> None:
    assert_changes_fail(name, *CASES[name]())


@pytest.mark.parametrize("name", NEEDED)
def test_a_violated_condition_leaves_a_claim_unjudged(name: str) -> None:
    assert_conditions_count(name, CASES[name]()[0], *NEEDED[name])
