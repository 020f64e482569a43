"""Fine-tuning (T31): the path through the mixtures and its stopping time, against other ways to get them."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from theory.dynamics.margin_rate import global_rate, local_rate
from theory.dynamics.predicted_ratio import predicted_ratio as client_ratio
from theory.dynamics.residuals import Accumulated
from theory.dynamics.sample_types import population
from theory.dynamics.symmetric_ratio import predicted_ratio, symmetric_tau
from theory.extensions import fine_tuned_clients, fine_tuning
from theory.mixing.leading_order import posthoc_odds
from theory.mixing.training_time import limiting_odds
from theory.model.federation import EqualClients, Federation
from theory.model.schemes import effective_weights
from theory.proof.derivation import as_function

EQUAL = EqualClients(global_feature_sq=1, local_feature_sq=3, noise_dim=2000, clients=10, samples=20)
GROUPED = EQUAL.replace(clients=12, group_size=3, samples=8, noise_std=0.7)
UNEQUAL = Federation(
    global_feature_sq=8,
    local_feature_sq=14,
    noise_dim=6000,
    sample_counts=[6, 10, 20, 40],
    groups=[0, 1, 0, 2],
)
ETA = 1 / float(local_rate(EQUAL))


def test_values_of_the_specification():
    for equal in (EQUAL, EQUAL.replace(global_feature_sq=3, local_feature_sq=9, noise_dim=20000)):
        found = fine_tuning.stopping(equal, [10, 20], 1 / local_rate(equal)).step
        np.testing.assert_allclose(found, [5.7, 24.0], atol=0.05)


@pytest.mark.parametrize("equal", [EQUAL, GROUPED])
@pytest.mark.parametrize("rounds", [1, 10, 80])
def test_stopping_time_is_that_of_the_integrated_equation(equal, rounds):
    """dM/ds = ηκ_L/(1+e^M), integrated numerically until τ_F/τ_G has the odds of T17."""
    eta = 0.5 / float(local_rate(equal))
    found = fine_tuning.stopping(equal, rounds, eta)
    tau_global = float(symmetric_tau(equal, "posthoc", 0.5, rounds, eta).global_prompt)
    k_local, start = float(local_rate(equal)), float(global_rate(equal)) * tau_global
    goal = start + k_local * float(posthoc_odds(equal)) * tau_global

    def reached(_, margin):
        return margin[0] - goal

    reached.terminal = True  # type: ignore[attr-defined]
    solved = solve_ivp(
        lambda _, margin: eta * k_local / (1 + np.exp(margin)),
        (0, 10 * float(found.step) + 1),
        [start],
        events=reached,
        rtol=1e-10,
        atol=1e-12,
    )
    assert float(found.margin) == pytest.approx(goal, rel=1e-12)
    assert float(found.step) == pytest.approx(solved.t_events[0][0], rel=1e-7)


@pytest.mark.parametrize("equal", [EQUAL, GROUPED])
def test_the_best_point_of_the_path_is_the_best_mixture(equal):
    """Over fine grids of s, and of θ of post-hoc mixing, which reaches every mixture at any time."""
    eta, rounds = 0.2 / float(local_rate(equal)), 40
    best = fine_tuning.stopping(equal, rounds, eta)
    steps = np.linspace(0, 3 * float(best.step), 3001)
    ratios = predicted_ratio(equal, "finetuned", 1.0, fine_tuning.path(equal, rounds, steps, eta))
    assert steps[np.argmax(ratios)] == pytest.approx(float(best.step), abs=steps[1])
    theta = np.linspace(0, 1, 20001)
    mixtures = predicted_ratio(equal, "posthoc", theta, symmetric_tau(equal, "posthoc", theta, rounds, eta))
    assert np.max(ratios) == pytest.approx(np.max(mixtures), rel=1e-7)


def test_every_point_of_the_path_is_a_mixture_of_the_two_prompts():
    """From the global prompt, s = 0, to any share of the local one: odds τ_F/τ_G, per unit of τ."""
    steps = np.array([0.0, 1e-3, 1.0, 30.0, 1e9, 1e290])
    tau = fine_tuning.path(EQUAL, 10, steps, ETA)
    theta = tau.local_prompt / (tau.global_prompt + tau.local_prompt)
    per_unit = Accumulated(np.ones(6), np.ones(6))
    np.testing.assert_allclose(
        predicted_ratio(EQUAL, "finetuned", 1.0, tau),
        predicted_ratio(EQUAL, "posthoc", theta, per_unit),
        rtol=1e-12,
    )
    assert np.min(theta) == 0
    assert np.max(theta) > 0.95, "the global prompt is left like 1/log s"


def test_an_interpolation_between_global_and_fine_tuned_prompt_is_a_shorter_fine_tuning():
    tau = fine_tuning.path(EQUAL, 10, 20.0, ETA)
    weights = effective_weights(0.3, "finetuned")
    assert tuple(map(float, weights)) == (1.0, 0.3)
    shorter = tau._replace(local_prompt=0.3 * tau.local_prompt)
    assert float(predicted_ratio(EQUAL, "finetuned", 0.3, tau)) == pytest.approx(
        float(predicted_ratio(EQUAL, "finetuned", 1.0, shorter)), rel=1e-12
    )


def test_early_it_takes_odds_times_the_rounds_and_late_a_power_of_them():
    odds, power = float(posthoc_odds(EQUAL)), 1 + float(limiting_odds(EQUAL))
    early = float(fine_tuning.stopping(EQUAL, 1, 1e-6 * ETA).step)
    assert early == pytest.approx(odds, rel=1e-5)
    rounds = np.array([1e30, 1e40])
    first, second = np.log(fine_tuning.stopping(EQUAL, rounds, ETA).step)
    assert (second - first) / np.log(1e10) == pytest.approx(power, rel=2e-2)


def test_numbers_are_those_of_the_formula():
    parts = fine_tuning.formula()
    odds, rate = float(posthoc_odds(EQUAL)), float(local_rate(EQUAL))
    tau_global = float(symmetric_tau(EQUAL, "posthoc", 0.5, 20, ETA).global_prompt)
    symbols = (odds, tau_global, float(global_rate(EQUAL)), rate, ETA)
    found = fine_tuning.stopping(EQUAL, 20, ETA)
    for name, value in zip(("tau", "margin", "step"), found, strict=True):
        derived = as_function(parts.symbols, getattr(parts, name))(*symbols)
        assert float(value) == pytest.approx(float(derived), rel=1e-12), name


def test_alike_clients_keep_the_global_prompt_and_strangers_leave_it():
    alike = fine_tuning.stopping(EQUAL.replace(group_size=10), 10, ETA)
    assert (float(alike.tau), float(alike.step)) == (0.0, 0.0)
    strangers = fine_tuning.stopping(EQUAL.replace(global_feature_sq=0), [0, 10], ETA)
    assert strangers.step.tolist() == [0.0, np.inf]
    late = fine_tuning.stopping(EQUAL, 1e300, 1.0)
    assert np.isinf(late.step), "beyond the largest float64"


@pytest.mark.parametrize("local_steps", [1, 4])
def test_unequal_clients_are_those_of_a_loop_over_clients(local_steps):
    """Written out client by client from T12: shared and group feature, and a sample's own noise."""
    a, b, nu, counts = 8.0, 14.0, 6000.0, [6, 10, 20, 40]
    groups, weights, eta, rounds = [0, 1, 0, 2], np.array(counts) / 76, 2e-4, 7
    tau = [0.0] * 4

    def margin(k, drift):
        shared = a * sum(weights[j] * tau[j] for j in range(4))
        group = b * sum(weights[j] * tau[j] for j in range(4) if groups[j] == groups[k])
        return 4 * (shared + group + nu * weights[k] * tau[k] / counts[k] + (a + b + nu / counts[k]) * drift)

    for _ in range(rounds):
        drifts = []
        for k in range(4):
            drift = 0.0
            for _ in range(local_steps):
                drift += eta / (1 + np.exp(margin(k, drift)))
            drifts.append(drift)
        tau = [tau[k] + drifts[k] for k in range(4)]
    expected = []
    for k in range(4):
        drift, history = 0.0, [0.0]
        for _ in range(9):
            drift += eta / (1 + np.exp(margin(k, drift)))
            history.append(drift)
        expected.append(history)
    found = fine_tuned_clients.accumulated(UNEQUAL, rounds, [0, 3, 9], eta, local_steps)
    np.testing.assert_allclose(found.global_prompt, np.tile(tau, (3, 1)), rtol=1e-12)
    np.testing.assert_allclose(found.local_prompt, np.array(expected).T[[0, 3, 9]], rtol=1e-12)
    typed = fine_tuned_clients.accumulated(population(UNEQUAL), rounds, [0, 3, 9], eta, local_steps)
    np.testing.assert_allclose(np.squeeze(typed.local_prompt, -1), found.local_prompt, rtol=1e-12)


def test_every_client_stops_where_its_own_ratio_is_largest():
    eta, rounds = 2e-4, 7
    best = fine_tuned_clients.stopping(UNEQUAL, rounds, eta, local_steps=2)
    trained = fine_tuned_clients.accumulated(UNEQUAL, rounds, [0], eta, local_steps=2)
    # fine-tuning is a line: any multiple of τ_F* can be tried
    factors = np.linspace(0, 3, 3001)
    tau = trained._replace(local_prompt=factors[:, None] * best.tau)
    ratios = client_ratio(
        UNEQUAL, "finetuned", 1.0, tau._replace(global_prompt=np.tile(trained.global_prompt, (3001, 1)))
    )
    np.testing.assert_allclose(factors[np.argmax(ratios, axis=0)], 1, atol=2e-3)
    assert np.all(np.diff(best.tau) > 0), "who has more data goes farther"


@pytest.mark.parametrize("step_size", [1.0, 0.1])
@pytest.mark.parametrize(("time", "cost"), [(4, 0.10), (10, 0.07), (20, 0.01), (40, -0.03), (80, -0.03)])
def test_continuous_time_costs_a_tenth_of_the_step_size_at_most(step_size, time, cost):
    """T31's s* is off by a share of it that is proportional to ηκ_L: too late early on, too early later.

    In discrete steps the global prompt gets farther in its t rounds, which puts the goal farther away, and so does
    fine-tuning, which gets there sooner.
    """
    rounds, eta = round(time / step_size), step_size * ETA
    found = fine_tuned_clients.stopping(EQUAL.federation(), rounds, eta)
    closed = float(fine_tuning.stopping(EQUAL, rounds, eta).step)
    assert closed / found.step[0] - 1 == pytest.approx(cost * step_size, abs=0.007 * step_size)
    # from the global prompt that the rounds reach, only the second effect is left
    assert 0 < found.continuous[0] / found.step[0] - 1 < 0.12 * step_size


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: fine_tuning.stopping(EQUAL, -1, ETA), "step"),
        (lambda: fine_tuning.stopping(EQUAL, 1, 0), "learning_rate"),
        (lambda: fine_tuning.stopping(EQUAL.replace(clients=1), 1, ETA), "clients"),
        (lambda: fine_tuning.path(EQUAL, 1, -1, ETA), "finetune_step"),
        (lambda: fine_tuning.steps_to(-1, 0, 1, 1), "tau"),
        (lambda: fine_tuning.steps_to(1, -1, 1, 1), "start"),
        (lambda: fine_tuned_clients.accumulated(UNEQUAL, 1, [3, 1], ETA), "rounds"),
        (lambda: fine_tuned_clients.accumulated(UNEQUAL, -1, [1], ETA), "rounds"),
        (lambda: fine_tuned_clients.stopping(UNEQUAL, 0, ETA), "rounds"),
        (lambda: fine_tuned_clients.stopping(UNEQUAL.replace(label_noise=0.1), 1, ETA), "federation"),
    ],
)
def test_bad_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()
