"""T14 (symmetric) and T25 against the reference values and a plain simulation of the coefficients."""

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp
from scipy.special import expit

from theory.dynamics import detached, margin_rate
from theory.dynamics.residuals import Accumulated
from theory.dynamics.symmetric_ratio import best_mixing, predicted_ratio, symmetric_tau
from theory.mixing import joint_law, leading_order, training_time
from theory.model.accuracy import accuracy
from theory.model.federation import EqualClients


def _equal(dim, samples=10, clients=4):
    signal = 0.8 * np.sqrt(dim / samples)
    return EqualClients(
        global_feature_sq=0.3 * signal,
        local_feature_sq=0.7 * signal,
        noise_dim=dim,
        clients=clients,
        samples=samples,
    )


def _predict(scheme, theta, step, rate, equal):
    return predicted_ratio(equal, scheme, theta, symmetric_tau(equal, scheme, theta, step, rate))


def test_reference_values_of_the_detached_scheme():
    equal = _equal(8000)
    eta = 0.2 / margin_rate.local_rate(equal)
    theta, steps = np.array([[0.2], [0.5], [0.8]]), np.array([5, 50, 500])
    expected = [[0.797, 0.798, 0.799], [0.901, 0.899, 0.892], [0.847, 0.860, 0.877]]
    # section 6 quotes three digits
    assert_allclose(_predict("detached", theta, steps, eta, equal), expected, atol=6e-4)


def test_reference_accuracies_of_joint_training():
    equal = _equal(40_000)
    eta = 0.2 / margin_rate.local_rate(equal)
    ratios = _predict("joint", np.array([0.0, 1.0, 0.433]), 50, eta, equal)
    # section 6 quotes measured accuracies; they carry the noise of one run
    assert_allclose(accuracy(ratios), [0.777, 0.788, 0.8166], atol=2e-3)


def test_best_mixing_agrees_with_the_closed_forms():
    equal = _equal(4000)
    eta = float(0.2 / margin_rate.local_rate(equal))
    for step in (1, 50, 5000):
        joint = best_mixing(equal, "joint", step, eta)
        assert_allclose(joint, joint_law.joint_mixing(leading_order.posthoc_odds(equal)), atol=1e-6)
        alone = best_mixing(equal, "posthoc", step, eta)
        odds = training_time.posthoc_odds_at(equal, step, eta)
        assert_allclose(alone, leading_order.mixing_from_odds(odds), atol=1e-6)


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
@pytest.mark.parametrize("strength", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("step", [1, 60])
def test_best_mixing_is_the_largest_ratio_in_many_digits(scheme, strength, step):
    """Whether accuracies say anything (R = 0.01 … 30): the ratio of T14 in 60 digits, with the same τ, is largest
    there."""
    equal = _equal(4000)
    equal = equal.replace(
        global_feature_sq=strength * equal.global_feature_sq,
        local_feature_sq=strength * equal.local_feature_sq,
    )
    eta = float(0.2 / margin_rate.local_rate(equal))
    best = best_mixing(equal, scheme, step, eta)

    def ratio(theta):
        tau = [mpmath.mpf(float(part)) for part in symmetric_tau(equal, scheme, theta, step, eta)]
        x = mpmath.mpf(theta)
        w_global = (1 - x) ** (2 if scheme == "joint" else 1) * tau[0]
        w_local = x ** (1 if scheme == "posthoc" else 2) * tau[1]
        a, b = equal.global_feature_sq, equal.local_feature_sq
        signal = w_global * (a + b / mpmath.mpf(4)) + w_local * (mpmath.mpf(a) + b)
        noise = w_global**2 / mpmath.mpf(4) + w_global * w_local / mpmath.mpf(2) + w_local**2
        return signal / mpmath.sqrt(noise)

    with mpmath.workdps(60):
        around = [ratio(best + shift) for shift in (-1e-5, 0.0, 1e-5)]
    assert around[1] > around[0]
    assert around[1] > around[2]
    assert abs(around[0] - around[2]) < 1e-4 * (around[1] - around[0])  # a hundred-thousandth of the shift


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_best_mixing_before_training_is_its_limit(scheme):
    equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=400, clients=4, samples=10)
    limit = best_mixing(equal, scheme, 0, 0.01)
    assert_allclose(limit, best_mixing(equal, scheme, 1, 1e-9), atol=1e-6)
    leading = leading_order.posthoc_odds(equal)
    if scheme == "joint":
        assert_allclose(limit, joint_law.joint_mixing(leading), rtol=1e-14)
        assert round(limit, 3) == 0.433
    if scheme == "posthoc":
        assert_allclose(limit, leading_order.mixing_from_odds(leading), rtol=1e-14)
    shared = best_mixing(equal, scheme, 0, 0.01, participation=0.5)
    assert_allclose(shared, best_mixing(equal, scheme, 1, 1e-9, participation=0.5), atol=1e-6)
    assert shared > limit  # local prompts have trained half as far, and need more weight


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
@pytest.mark.parametrize("step", [0, 1, 100])
def test_best_mixing_at_an_end_is_that_end_exactly(scheme, step):
    equal = EqualClients(global_feature_sq=3.1, local_feature_sq=7.3, noise_dim=400, clients=4, samples=10)
    for more, end in (
        ({"global_feature_sq": 0.0}, 1.0),  # nothing in common
        ({"local_feature_sq": 0.0}, 0.0),  # nothing but
        ({"group_size": 4}, 0.0),
    ):
        assert best_mixing(equal.replace(**more), scheme, step, 1e-3) == end


def test_best_mixing_refuses_what_has_no_optimum():
    nothing = EqualClients(global_feature_sq=0, local_feature_sq=0, noise_dim=400, clients=4, samples=10)
    with pytest.raises(ValueError, match="global_feature_sq"):
        best_mixing(nothing, "joint", 1, 0.1)
    equal = EqualClients(global_feature_sq=3, local_feature_sq=0, noise_dim=400, clients=4, samples=10)
    with pytest.raises(ValueError, match="clients"):
        best_mixing(equal.replace(clients=1), "joint", 1, 0.1)
    for more, field in (({"step": -1}, "step"), ({"learning_rate": 0.0}, "learning_rate")):
        with pytest.raises(ValueError, match=field):
            best_mixing(equal, "joint", **{"step": 1, "learning_rate": 0.1, **more})
    with pytest.raises(ValueError, match="scheme"):
        best_mixing(equal, "apart", 1, 0.1)  # type: ignore[arg-type]


def test_end_points_agree_between_schemes():
    """θ = 0 is the global prompt alone and θ = 1 the local one, whatever the scheme; discrete steps differ
    by T10."""
    equal = _equal(4000)
    eta = 0.01 / margin_rate.local_rate(equal)
    for theta in (0.0, 1.0):
        values = [_predict(scheme, theta, 200, eta, equal) for scheme in ("joint", "posthoc", "detached")]
        assert_allclose(values, values[0], rtol=1e-12)


def test_detached_recursion_against_its_ode():
    theta, eta = 0.6, 1e-4
    equal = EqualClients(global_feature_sq=1, local_feature_sq=1.5, noise_dim=50, clients=6, samples=10)
    k_global, k_local = margin_rate.global_rate(equal), margin_rate.local_rate(equal)
    assert_allclose([k_global, k_local], [25 / 3, 30], rtol=1e-14)
    steps = np.array([0, 100, 20_000])
    tau = detached.accumulated(equal, theta, steps, eta)

    def slope(t, state):
        shared, local = state
        margin = (1 - theta) * k_global * shared + theta**2 * k_local * local
        return [eta * expit(-k_global * shared), eta * expit(-margin)]

    solution = solve_ivp(slope, (0, 20_000), [0.0, 0.0], t_eval=steps, rtol=1e-10, atol=1e-14)
    # forward recursion is off by one step of ηκ = 3e-3 in units of the margin, at most half of that here
    assert_allclose(tau.global_prompt, solution.y[0], rtol=0, atol=eta / 2)
    assert_allclose(tau.local_prompt, solution.y[1], rtol=0, atol=eta / 2)


def _simulate(scheme, theta, steps, eta, equal, rng):
    """Train both prompts in coefficients, in the linear band (h = 2z), and return every client's ratio."""
    clients, samples, dim = (int(size) for size in (equal.clients, equal.samples, equal.noise_dim))
    squared = np.concatenate(
        [[equal.global_feature_sq], np.full(clients, equal.local_feature_sq), np.ones(dim)]
    )
    # features times labels: the relevant coordinates are 1, the irrelevant ones stay Gaussian
    relevant = np.concatenate([np.ones((clients, 1)), np.eye(clients)], axis=1)[:, None, :]
    features = np.concatenate(
        [relevant.repeat(samples, axis=1), rng.normal(size=(clients, samples, dim))], axis=2
    )
    shared, local = np.zeros(squared.size), np.zeros((clients, squared.size))
    train_global, train_local = {
        "joint": (1 - theta, theta),
        "posthoc": (1.0, 1.0),
        "detached": (1.0, theta),
    }[scheme]
    for _ in range(steps):
        margin_global = 2 * np.einsum("kir,r->ki", features, shared)
        margin_local = 2 * np.einsum("kir,kr->ki", features, local)
        mixed = (1 - theta) * margin_global + theta * margin_local
        seen_global = mixed if scheme == "joint" else margin_global
        seen_local = margin_local if scheme == "posthoc" else mixed
        pull_global = np.einsum("ki,kir->r", expit(-seen_global), features) / (samples * clients)
        pull_local = np.einsum("ki,kir->kr", expit(-seen_local), features) / samples
        shared = shared + eta * train_global * 2 * squared * pull_global
        local = local + eta * train_local * 2 * squared * pull_local
    output = 2 * ((1 - theta) * shared + theta * local)
    signal = output[:, 0] + output[np.arange(clients), 1 + np.arange(clients)]
    return signal / np.linalg.norm(output[:, 1 + clients :], axis=1)


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_prediction_against_a_simulation(scheme):
    equal = _equal(4000)
    eta, steps, theta = 0.2 / margin_rate.local_rate(equal), 40, 0.45
    measured = _simulate(scheme, theta, steps, eta, equal, np.random.default_rng(5))
    predicted = _predict(scheme, theta, steps, eta, equal)
    # the mean field leaves out cross terms of size √(N/L)/√K: √(40/4000)/2 = 5 % per client, 2.5 % for four
    assert_allclose(measured.mean(), predicted, rtol=0.025)


@pytest.mark.parametrize("theta", [0.0, 0.37, 1.0])
def test_ratio_matches_sampled_coefficients(theta):
    """Noise vectors drawn from the data themselves, at unequal τ."""
    rng = np.random.default_rng(6)
    equal = _equal(100_000, samples=5).replace(noise_feature_sq=0.7, noise_std=1.3, group_size=2)
    dim, clients, samples = (int(size) for size in (equal.noise_dim, equal.clients, equal.samples))
    tau_global, tau_local, e = 0.3, 0.2, equal.noise_feature_sq
    noise = equal.noise_std * rng.normal(size=(clients, samples, dim))
    phi_global, phi_local = (
        2 * e * tau_global * noise.mean(axis=(0, 1)),
        2 * e * tau_local * noise[0].mean(axis=0),
    )
    a, b = equal.global_feature_sq, equal.local_feature_sq
    signal = (1 - theta) * 2 * (a + b / 2) * tau_global + theta * 2 * (a + b) * tau_local
    expected = signal / (equal.noise_std * np.linalg.norm((1 - theta) * phi_global + theta * phi_local))
    value = predicted_ratio(
        equal, "posthoc", theta, Accumulated(np.float64(tau_global), np.float64(tau_local))
    )
    # a norm over 100000 normals has relative standard error 0.22 %; five of them
    assert_allclose(value, expected, rtol=0.011)
