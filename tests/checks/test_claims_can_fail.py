"""Every comparison of a claim can fail: data as predicted hold, and a little more than is allowed does not.

The data are made up: what is measured equals what is predicted. What is changed, and by how much, is written here
a second time: a tolerance that is widened, a side that is exchanged or a comparison that is left out is noticed.
"""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from tests.checks.made_up import (
    CONDITIONS,
    Change,
    assert_changes_fail,
    assert_conditions_count,
    both,
    dataset,
    plus,
    put,
    scaled,
    times,
)


def _joint_law() -> tuple[xr.Dataset, list[Change]]:
    theta, accuracies = [[0.4, 0.41]], [[[0.7, 0.8, 0.75], [0.8, 0.9, 0.85]]]
    data = dataset(
        theta_empirical=("setting step", theta),
        theta_predicted=("setting step", theta),
        accuracy=("setting step theta", accuracies),
        accuracy_predicted=("setting step theta", accuracies),
    )
    return data, [*plus("theta_empirical", *both(0.0201)), *plus("accuracy", *both(0.00501))]


def _leading_order() -> tuple[xr.Dataset, list[Change]]:
    data = dataset(
        theta_empirical=("setting", [0.4, 0.5, 1.0]),
        theta_predicted=("setting", [0.4, 0.5, 1.0]),
        ratio_best=("setting", [1.0, 2.0, 3.0]),
        ratio_best_predicted=("setting", [1.0, 2.0, 3.0]),
        advantage=("setting", [2e-4, 3e-4, 0.0]),
        advantage_predicted=("setting", [True, True, False]),
    )
    changes = [*plus("theta_empirical", *both(0.0201)), *times("ratio_best", 1.0201, 0.9799)]
    changes += put("advantage", [0.99e-4, 3e-4, 0.0]) + put("advantage", [2e-4, 3e-4, 5.01e-4])
    return data, changes + put("advantage_predicted", True) + put("advantage_predicted", False)


def _monotonicity() -> tuple[xr.Dataset, list[Change]]:
    signs = {"clients": -1, "local_share": 1, "group_size": -1}
    theta = np.array([0.5 + 0.05 * sign * place for sign in signs.values() for place in range(3)])
    seeds = theta[:, None] + 1e-3 * np.array([-1.0, 0.0, 1.0, 0.5])
    data = dataset(theta_predicted=("setting", theta), theta_by_seed=("setting seed", seeds))
    data = data.assign_coords(sweep=("setting", np.repeat(list(signs), 3)), theta=np.linspace(0, 1, 201))
    changes: list[Change] = []
    for first in (0, 3, 6):
        turned = seeds.copy()
        turned[first : first + 3] = seeds[first : first + 3][::-1]
        still = seeds.copy()
        still[first + 1] = still[first] + 0.004 * np.sign(theta[first + 1] - theta[first])
        changes += put("theta_by_seed", turned) + put("theta_by_seed", still)
    return data, changes + put("theta_by_seed", theta[:, None] + [-0.1, 0.1, -0.1, 0.1])


def _tangency() -> tuple[xr.Dataset, list[Change]]:
    data = dataset(
        theta_searched=("pair", [0.2, 0.7]), theta_formula=("pair", [0.2, 0.7]), interior=("", 0.8)
    )
    return data, [*plus("theta_searched", *both(1.01e-5)), *put("interior", 0.29)]


def _training_time() -> tuple[xr.Dataset, list[Change]]:
    theta, accuracies = [0.3, 0.32, 0.34], [[0.7, 0.8], [0.75, 0.85], [0.8, 0.9]]
    data = dataset(
        theta_empirical=("step", theta),
        theta_predicted=("step", theta),
        accuracy=("seed step theta", [accuracies, accuracies]),
        accuracy_predicted=("step theta", accuracies),
    )
    changes = [*plus("theta_empirical", *both(0.0201)), *plus("accuracy", *both(0.00501))]
    return data, changes + put("theta_empirical", [0.311, 0.32, 0.33])


def _trajectories() -> tuple[xr.Dataset, list[Change]]:
    """Errors of 5 % at the smallest L; what is changed is the largest."""
    error = np.array([1.05, 1.0])
    names, parts = ("beta", "gamma_own", "phi_norm"), {}
    for name in names:
        values = np.multiply.outer(np.ones((2, 2, 2)), np.multiply.outer([1.0, 2.0, 3.0], error))
        parts[name] = ("seed client prompt step noise_dim", values)
        parts[f"{name}_predicted"] = ("step", [1.0, 2.0, 3.0])
    data = dataset(**parts).assign_coords(noise_dim=[100, 1000])
    for condition in CONDITIONS:
        data[condition] = data[condition].expand_dims(noise_dim=data.noise_dim)
    changes: list[Change] = []
    for large in ([1.0, 1.0201], [1.0, 0.9799], [1.01 / 1.05, 1.015]):
        changes += [(name, scaled(xr.DataArray(large, dims="noise_dim"))) for name in names]
    return data, changes


def _round_recursion() -> tuple[xr.Dataset, list[Change]]:
    tau, every = [[1.0, 2.0], [0.8, 1.7]], [[1.0, 2.0], [1.0, 2.0]]
    data = dataset(
        tau=("local_steps round", tau),
        tau_predicted=("local_steps round", tau),
        tau_averaging_every_step=("local_steps round", every),
    )
    changes = times("tau", 1.0201, 0.9799)
    return data, changes + put("tau_averaging_every_step", [[3.0, 6.0], [0.88, 4.0]])


def _per_client() -> tuple[xr.Dataset, list[Change]]:
    theta = [0.3, 0.33, 0.4]
    data = dataset(theta_empirical=("client", theta), theta_predicted=("client", theta))
    return data, [*plus("theta_empirical", *both(0.0301)), *put("theta_empirical", [0.31, 0.32, 0.4])]


def _participation() -> tuple[xr.Dataset, list[Change]]:
    schemes = ("posthoc", "joint", "detached")
    parts: dict[str, Any] = {}
    for name in schemes:
        for end in ("ratio", "ratio_predicted"):
            parts[f"{name}_{end}"] = ("share step theta", [[[1.0, 1.2, 1.1], [1.1, 1.3, 1.2]]])
    for name in schemes[:2]:
        for end in ("empirical", "predicted"):
            parts[f"{name}_theta_{end}"] = ("share step", [[0.5, 0.52]])
    for end in ("tau", "tau_predicted"):
        parts[f"posthoc_{end}"] = ("share step prompt", [[[1.0, 0.5], [2.0, 1.0]]])
    data = dataset(**parts, joint_lag=("share step", [[0.5, 0.5]]), theta_full=("step", [0.49, 0.5]))
    data = data.assign_coords(share=[0.5])
    changes = times(" ".join(f"{name}_ratio" for name in schemes), 1.0151, 0.9849)
    changes += plus("posthoc_theta_empirical joint_theta_empirical", *both(0.0201))
    changes += times("posthoc_tau", 1.0151, 0.9849) + times("joint_lag", 1.000101, 0.999899)
    return data, changes + plus("joint_theta_empirical", -0.0101)


def _decomposition() -> tuple[xr.Dataset, list[Change]]:
    names = ("residual", "off_span", "ambiguity")
    data = dataset(**dict.fromkeys(names, ("prompt", [0.0, 0.0])), condition=("prompt", [1.0, 1.0]))
    return data, [*plus(" ".join(names), 1.01e-10), *plus("condition", 1.01e-10)]


def _end_points() -> tuple[xr.Dataset, list[Change]]:
    names, parts = ("beta", "gamma_own", "phi_norm"), {}
    for name in names:
        for role, factor in {"trained": 1, "apart": 1, "idle": 0}.items():
            parts[f"{name}_{role}"] = ("client prompt", factor * np.array([[2.0, 1.0], [1.5, 0.5]]))
    changes = plus(" ".join(f"{name}_trained" for name in names), *both(2.02e-10))
    return dataset(**parts), changes + plus(" ".join(f"{name}_idle" for name in names), *both(2.02e-12))


def _update_rule() -> tuple[xr.Dataset, list[Change]]:
    moves = ("prompt row", [[4.0, 2.0, 0.0], [1.0, -4.0, 0.5]])
    data = dataset(measured=moves, predicted=moves, kinked=("", 0.2))
    return data, [*plus("measured", *both(4.04e-10)), *put("kinked", 0.049)]


def _proved(count: int = 2) -> dict[str, Any]:
    columns = {"certified_stated": 3, "certified_shown": 3, "certified_gap": 0.1, "certified_bits": 53}
    return {name: ("certificate", [value] * count) for name, value in columns.items()}


def _sandwich() -> tuple[xr.Dataset, list[Change]]:
    bounds = {"lower": [0.5, 1.0], "margin_mean": [0.6, 1.1], "upper": [0.7, 1.2]}
    data = dataset(**{name: ("step", values) for name, values in bounds.items()}, **_proved())
    changes = put("margin_mean", [0.5 - 2e-10, 1.1]) + put("margin_mean", [0.6, 1.2 + 3e-10])
    return data, changes + put("certified_shown", [3, 2])


def _advantage() -> tuple[xr.Dataset, list[Change]]:
    data = dataset(
        ratio_global=("point", [1.0, 2.0]),
        ratio_local=("point", [2.0, 2.0]),
        ratio_best=("point", [2.0, 2.4]),
        ratio_formula=("point", [2.0, 2.4]),
        equality_best=("equality", [2.0]),
        equality_single=("equality", [2.0]),
        equality_correlation=("equality", [0.3]),
        equality_predicted=("equality", [0.3]),
        **_proved(),
    )
    changes = [*times("ratio_best", 1 + 1.01e-8, 1 - 1.01e-8), *times("equality_best", 1 + 1.01e-8)]
    changes += plus("equality_correlation", *both(1.01e-10)) + put("certified_shown", [2, 3])
    changes += put("ratio_local", [2.0 + 3e-12, 2.0]) + put("ratio_global", [1.0, 2.29])
    return data, changes


def _client_ratio() -> tuple[xr.Dataset, list[Change]]:
    """The standard error of the mean norm of six vectors of 2500 coordinates: 0.0231 is four of them."""
    ratio = np.array([[1.0, 1.5], [0.8, 1.2]])
    data = dataset(
        ratio=("step client", ratio),
        ratio_predicted=("step client", ratio),
        accuracy=("step client", norm.cdf(ratio)),
    ).assign_coords(noise_dim=[2500])
    allowed = 4 / np.sqrt(2 * 2500 * 6)
    changes = times("ratio", 1 + 1.001 * allowed, 1 - 1.001 * allowed)
    return data, changes + plus("accuracy", *both(0.2421 * allowed))


def _detached() -> tuple[xr.Dataset, list[Change]]:
    values = ("step client", [[1.0, 1.5], [0.8, 1.2]])
    names = ("ratio", "tau", "unequal_ratio")
    parts = {name: values for each in names for name in (each, f"{each}_predicted")}
    data = dataset(**parts, noise_dim=("setting", [8000, 2500])).assign_coords(setting=["equal", "unequal"])
    allowed = 4 / np.sqrt(2 * 2500 * 6)
    changes = times("ratio tau", 1.0101, 0.9899)
    return data, changes + times("unequal_ratio", 1 + 1.001 * allowed, 1 - 1.001 * allowed)


def _accuracy() -> tuple[xr.Dataset, list[Change]]:
    """Of a million answers five standard errors are too far off; four tenths of one are not."""
    data = dataset({"fresh_samples": 1_000_000}, counted=("point", [0.5]), ratio=("point", [0.0]))
    data["accuracy"] = ("point", [0.5])
    return data, [*plus("counted", *both(0.0025)), *plus("accuracy", *both(1.01e-12))]


def _independent_assets() -> tuple[xr.Dataset, list[Change]]:
    data = dataset(
        setting=("pair", [0, 0, 1, 1]),
        theta=("pair", [0.4, 0.4, 0.5, 0.5]),
        theta_predicted=("pair", [0.4, 0.4, 0.5, 0.5]),
        ratio_squared=("pair", [2.0, 2.0, 3.0, 3.0]),
        ratio_squared_predicted=("pair", [2.0, 2.0, 3.0, 3.0]),
        correlation=("pair", [0.01, -0.01, 0.0, 0.0]),
    )
    return data, [*plus("theta", *both(0.0201)), *times("ratio_squared", 1.0301, 0.9699)]


def _sample_space() -> tuple[xr.Dataset, list[Change]]:
    """Five and a half standard errors are too many for a difference of three means."""
    parts: dict[str, Any] = {"replicates_drawn": ("", 1000)}
    for way in ("features", "wishart"):
        for what in ("mean", "variance"):
            parts[f"{way}_{what}"] = ("moment", [1.0, 2.0, 3.0])
            parts[f"{way}_{what}_error"] = ("moment", [0.003, 0.003, 0.003])
    data = dataset(
        difference=("scheme quantity", [[0.0, 0.0], [0.0, 0.0]]),
        signal_reach=("scheme", [1.5, 2.0]),
        left=("", 10.0),
        unnoticed=("", 0.0),
        kept=("", 10.0),
        fallback_difference=("", 0.0),
        **parts,
    )
    changes = [*plus("difference fallback_difference", 1.01e-9), *put("signal_reach", [2.0, 0.99])]
    changes += put("unnoticed", 1.0) + put("left", 0.0) + put("kept", 0.0)
    return data, changes + plus("wishart_mean wishart_variance", *both(5.5 * np.hypot(0.003, 0.003)))


CASES = {
    "accuracy": _accuracy,
    "advantage": _advantage,
    "client_ratio": _client_ratio,
    "decomposition": _decomposition,
    "detached": _detached,
    "end_points": _end_points,
    "independent_assets": _independent_assets,
    "joint_law": _joint_law,
    "leading_order": _leading_order,
    "monotonicity": _monotonicity,
    "participation": _participation,
    "per_client": _per_client,
    "round_recursion": _round_recursion,
    "sample_space": _sample_space,
    "sandwich": _sandwich,
    "tangency": _tangency,
    "training_time": _training_time,
    "trajectories": _trajectories,
    "update_rule": _update_rule,
}

NEEDED: dict[str, tuple[str, float | None]] = {
    "client_ratio": ("band overlap", None),
    "detached": ("band overlap", None),
    "independent_assets": ("band overlap groups", 0.1),
    "joint_law": ("band overlap groups", None),
    "leading_order": ("band overlap groups", 0.1),
    "monotonicity": ("band overlap groups", 0.1),
    "participation": ("band overlap groups", 0.02),
    "per_client": ("band overlap", 0.1),
    "round_recursion": ("band overlap groups", 0.2),
    "sample_space": ("band", None),
    "sandwich": ("band", 4.0),
    "training_time": ("band overlap groups", 0.5),
    "trajectories": ("band overlap groups", 0.2),
}
"""Conditions that a claim needs, and the largest ηκ it allows."""


@pytest.mark.parametrize("name", CASES)
def test_a_little_more_than_is_allowed_fails(name: str) -> None:
    assert_changes_fail(name, *CASES[name]())


@pytest.mark.parametrize("name", NEEDED)
def test_a_violated_condition_leaves_a_claim_unjudged(name: str) -> None:
    assert_conditions_count(name, CASES[name]()[0], *NEEDED[name])
