"""Argument checking, the import cost, and the shapes public functions return."""

import subprocess
import sys

import numpy as np
import pytest

from theory.dynamics import detached, margin_rate, sandwich, saturation, symmetric_ratio, trajectories
from theory.dynamics.residuals import Accumulated, increasing_rounds
from theory.mixing import (
    advantage,
    independent_assets,
    joint_law,
    leading_advantage,
    leading_order,
    tangency,
    training_time,
)
from theory.mixing.moments import Moments
from theory.model import accuracy, aggregation, decomposition, schemes, update_rule
from theory.model.federation import EqualClients, Federation
from theory.numerics import validation as arguments
from theory.proof import notation
from theory.proof.catalogue import results

LETTERS = dict(
    global_feature_sq=3.0,
    local_feature_sq=7.0,
    noise_feature_sq=1.0,
    noise_std=1.0,
    noise_dim=400,
    clients=4,
    samples=10,
    group_size=1,
)
EQUAL = EqualClients(**LETTERS)
PAIR = dict(signal_global=1.0, signal_local=1.0, noise_global=1.0, noise_local=1.0, noise_cross=0.1)
NOTHING = EQUAL.replace(global_feature_sq=0, local_feature_sq=0)
CLIENTS = dict(
    global_feature_sq=1.0, local_feature_sq=2.0, noise_dim=400, sample_counts=[10, 20], groups=[0, 1]
)
BATCH = update_rule.Batch([[1.0]], [1], [0.0])
STEP = dict(batch=BATCH, learning_rate=0.1, weight=1.0, slope=[2.0])
ALONG_ROWS = {**STEP, "squared_norms": [1.0]}

BAD = [
    (EqualClients, {**LETTERS, "samples": 0}, "samples"),
    (EqualClients, {**LETTERS, "group_size": 5}, "group_size"),
    (margin_rate.joint_rate, {"equal": EQUAL, "theta": 1.5}, "theta"),
    (margin_rate.rate_parts, {"equal": EQUAL, "theta": 1.5}, "theta"),
    (saturation.margin, {"scaled_time": -1}, "scaled_time"),
    (saturation.margin, {"scaled_time": 1, "initial_margin": np.nan}, "initial_margin"),
    (saturation.accumulated, {"scaled_time": 1, "rate": 0}, "rate"),
    (sandwich.lower, {"step": 1, "c": 4.1}, "c"),
    (sandwich.upper, {"step": 1, "c": 0}, "c"),
    (sandwich.recursion, {"c": -1, "initial_margin": 0, "steps": 3}, "c"),
    (sandwich.recursion, {"c": 1, "initial_margin": 0, "steps": -3}, "steps"),
    (EqualClients, {**LETTERS, "global_feature_sq": -1}, "global_feature_sq"),
    (EqualClients, {**LETTERS, "noise_std": 0}, "noise_std"),
    (trajectories.local_coefficients, {"equal": EQUAL, "weight": 1, "tau": -1}, "tau"),
    (trajectories.local_coefficients, {"equal": EQUAL, "weight": 2, "tau": 1}, "weight"),
    (trajectories.global_coefficients, {"equal": EQUAL, "weight": 1, "tau": -1}, "tau"),
    (trajectories.global_coefficients, {"equal": EQUAL, "weight": -1, "tau": 1}, "weight"),
    (accuracy.accuracy, {"ratio": np.nan}, "ratio"),
    (accuracy.ratio, {"signal": 1, "noise_norm": -1, "noise_std": 1}, "noise_norm"),
    (accuracy.ratio, {"signal": 1, "noise_norm": 1, "noise_std": 0}, "noise_std"),
    (schemes.effective_weights, {"theta": -0.1, "scheme": "joint"}, "theta"),
    (tangency.mixture_ratio, {"moments": Moments(**PAIR), "theta": 2}, "theta"),
    (tangency.optimal_mixing, {**PAIR, "noise_global": 0}, "noise_global"),
    (tangency.optimal_mixing, {**PAIR, "noise_local": -1}, "noise_local"),
    (tangency.optimal_mixing, {**PAIR, "noise_cross": [0.0, 1.1]}, "noise_cross"),
    (advantage.optimal_ratio_squared, dict(ratio_global=1, ratio_local=1, correlation=1.1), "correlation"),
    (advantage.equality_correlation, dict(ratio_global=0, ratio_local=1), "ratio_global"),
    (leading_order.posthoc_odds, {"equal": EQUAL.replace(clients=1)}, "clients"),
    (leading_order.posthoc_odds, {"equal": NOTHING}, "global_feature_sq"),
    (independent_assets.independent_odds, {"equal": NOTHING}, "global_feature_sq"),
    (EqualClients, {**LETTERS, "group_size": -3}, "group_size"),
    (leading_order.mixing_from_odds, {"odds": -1}, "odds"),
    (leading_order.strict_advantage, {"equal": NOTHING}, "local_feature_sq"),
    (EqualClients, {**LETTERS, "local_feature_sq": -1}, "local_feature_sq"),
    (
        leading_advantage.optimal_ratio_squared_leading,
        dict(ratio_global=1, ratio_local=1, clients=1),
        "clients",
    ),
    (training_time.posthoc_odds_at, {"equal": EQUAL, "step": -1, "learning_rate": 1}, "step"),
    (training_time.posthoc_odds_at, {"equal": EQUAL, "step": 1, "learning_rate": 0}, "learning_rate"),
    (joint_law.joint_mixing, {"odds": np.nan}, "odds"),
    (Federation, {**CLIENTS, "groups": [0]}, "sample_counts"),
    (Federation, {**CLIENTS, "groups": [0.5, 1]}, "groups"),
    (Federation, {**CLIENTS, "sample_counts": [0, 1]}, "sample_counts"),
    (aggregation.signal_factor, {"group_size": 1, "clients": 0}, "clients"),
    (aggregation.noise_energy_factor, {"sample_counts": [1, 0]}, "sample_counts"),
    (aggregation.client_group_sizes, {"groups": [0, -1]}, "groups"),
    (aggregation.client_group_sizes, {"groups": [0, 2], "gram": np.eye(2)}, "gram"),
    (aggregation.client_group_sizes, {"groups": [0, 1], "gram": np.diag([1.0, 0.0])}, "gram"),
    (decomposition.coefficients, dict(weights=[[1.0, 0.0], [2.0, 0.0]], displacement=[1.0, 0.0]), "weights"),
    (decomposition.coefficients, dict(weights=[[1.0], [2.0]], displacement=[1.0]), "weights"),
    (decomposition.coefficients, dict(weights=[[1.0, 0.0]], displacement=[1.0]), "displacement"),
    (decomposition.reconstruct, dict(weights=[[1.0, 0.0]], coefficients=[1.0, 2.0]), "coefficients"),
    (decomposition.reconstruct, dict(weights=[[0.0, 0.0]], coefficients=[1.0]), "weights"),
    (update_rule.coefficient_increment, {**ALONG_ROWS, "batch": BATCH._replace(labels=[2])}, "labels"),
    (update_rule.coefficient_increment, {**ALONG_ROWS, "batch": BATCH._replace(margins=[0, 1])}, "margins"),
    (update_rule.coefficient_increment, {**ALONG_ROWS, "slope": [1.0, 1.0]}, "slope"),
    (update_rule.coefficient_increment, {**ALONG_ROWS, "batch": BATCH._replace(features=[1.0])}, "features"),
    (update_rule.preactivation_increment, {**STEP, "gram": [1.0]}, "gram"),
    (detached.accumulated, {"equal": EQUAL, "theta": 0.5, "step": 0.5, "learning_rate": 0.1}, "step"),
    (
        symmetric_ratio.predicted_ratio,
        {
            "equal": EQUAL,
            "scheme": "joint",
            "theta": 0.5,
            "tau": Accumulated(np.float64(-1.0), np.float64(1.0)),
        },
        "tau.global_prompt",
    ),
]


@pytest.mark.parametrize(("function", "keywords", "field"), BAD)
def test_bad_input_names_the_field(function, keywords, field):
    with pytest.raises(ValueError, match=f"`{field}`") as error:
        function(**keywords)
    assert "allowed:" in str(error.value)


def test_unknown_scheme():
    # with run-time type checks on, the annotation refuses it first
    with pytest.raises((ValueError, TypeError), match="scheme"):
        schemes.effective_weights(0.1, "both")  # type: ignore[arg-type]
    with pytest.raises((ValueError, TypeError), match="scheme"):
        symmetric_ratio.symmetric_tau(EQUAL, "both", 0.5, 1, 0.1)  # type: ignore[arg-type]


def test_message_names_the_value_and_the_range():
    with pytest.raises(ValueError, match=r"^`theta` is 1\.25; allowed: finite numbers from 0 to 1$"):
        arguments.unit_interval("theta", [0.5, 1.25])
    with pytest.raises(ValueError, match=r"^`c` is 5\.0; allowed: finite numbers above 0 and at most 4$"):
        arguments.between("c", 5, 0, 4, open_low=True)
    with pytest.raises(ValueError, match=r"^`x` is nan; allowed: finite numbers$"):
        arguments.finite("x", np.nan)


def test_functions_broadcast_and_keep_scalars():
    theta, step = np.linspace(0, 1, 5), np.array([[0], [7]])
    for scheme in ("joint", "posthoc", "detached"):
        tau = symmetric_ratio.symmetric_tau(EQUAL, scheme, theta, step, 0.01)
        assert tau.local_prompt.shape == (2, 5)
        values = symmetric_ratio.predicted_ratio(EQUAL, scheme, theta, tau)
        assert values.shape == (2, 5)
        assert values.dtype == np.float64
        assert np.all(values[0] == 0)  # nothing is known before the first step
    assert isinstance(saturation.margin(1.0), np.float64)
    assert isinstance(margin_rate.local_rate(EQUAL), np.float64)
    assert margin_rate.global_rate(EQUAL.replace(clients=[2, 4], group_size=[[0], [2]])).shape == (2, 2)


def test_importing_the_package_does_not_import_sympy():
    modules = ", ".join([*results().values(), "theory.proof.notation", "theory.proof.symbols"])
    code = f"import sys, {modules}; assert 'sympy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_notation_is_one_table():
    symbols = [entry.symbol for entry in notation.NOTATION]
    assert len(set(symbols)) == len(symbols)
    assert all(all(entry) for entry in notation.NOTATION)


def test_a_round_is_recorded_once():
    with pytest.raises(ValueError, match="increasing whole numbers"):
        increasing_rounds([0, 5, 5])
