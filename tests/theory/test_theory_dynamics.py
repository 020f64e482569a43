"""T8, T9 and T10 against sampled kernels, high precision, ODE solvers and brute-force recursion."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from theory.dynamics import margin_rate, sandwich, saturation, trajectories
from theory.model.federation import EqualClients
from theory.model.update_rule import Batch, coefficient_increment
from theory.proof.derivation import as_function

# --- T8 ---


def _federation(rng, clients, groups, samples, dim, sigma):
    """Features times labels: (clients, samples, 1 + groups + dim)."""
    labels = rng.choice([-1.0, 1.0], (clients, samples))
    own = np.eye(max(groups) + 1)[groups]
    relevant = np.concatenate([np.ones((clients, 1)), own], axis=1)[:, None, :].repeat(samples, axis=1)
    noise = sigma * rng.normal(size=(clients, samples, dim))
    return np.concatenate([relevant * labels[..., None], noise], axis=2), labels


def test_rates_from_increments_of_sampled_data():
    rng = np.random.default_rng(0)
    clients, samples, dim, sigma, a, b, e = 4, 10, 200_000, 0.8, 300.0, 500.0, 1.5
    groups = [0, 0, 1, 1]
    features, labels = _federation(rng, clients, groups, samples, dim, sigma)
    squared = np.concatenate([[a], np.full(2, b), np.full(dim, e)])
    slope = np.full(squared.size, 2.0)
    increments = np.stack(
        [
            coefficient_increment(
                Batch(features[k], labels[k], np.zeros(samples)),
                learning_rate=1.0,
                weight=1.0,
                squared_norms=squared,
                slope=slope,
            )
            for k in range(clients)
        ]
    )
    growth_local = labels[..., None] * features * (2 * increments[:, None, :])
    growth_global = labels[..., None] * features * (2 * increments.mean(axis=0))
    equal = EqualClients(
        global_feature_sq=a,
        local_feature_sq=b,
        noise_feature_sq=e,
        noise_std=sigma,
        noise_dim=dim,
        clients=clients,
        samples=samples,
        group_size=2,
    )
    k_local = margin_rate.local_rate(equal)
    k_global = margin_rate.global_rate(equal)
    # q = 1/2; cross terms of the noise leave about √(N/L) relative, 2 % here, and the mean over samples less
    assert_allclose(growth_local.sum(axis=2).mean(), k_local / 2, rtol=0.01)
    assert_allclose(growth_global.sum(axis=2).mean(), k_global / 2, rtol=0.01)


@given(theta=st.floats(0, 1), chi=st.floats(0, 4))
@settings(deadline=None)
def test_joint_rate_interpolates(theta, chi):
    equal = EqualClients(
        global_feature_sq=3.0, local_feature_sq=7.0, noise_dim=100, clients=4, samples=10, group_size=chi
    )
    k_local = margin_rate.local_rate(equal)
    k_global = margin_rate.global_rate(equal)
    joint = margin_rate.joint_rate(equal, theta)
    assert_allclose(joint, (1 - theta) ** 2 * k_global + theta**2 * k_local, rtol=1e-13)
    assert k_global <= k_local
    assert_allclose(sum(margin_rate.rate_parts(equal, theta)), joint, rtol=1e-13)


@given(
    a=st.floats(0, 100),
    b=st.floats(0, 100),
    dim=st.integers(1, 10**6),
    samples=st.integers(1, 1000),
    clients=st.integers(1, 1000),
    share=st.floats(0, 1),
)
@settings(deadline=None)
def test_rates_in_numpy_are_the_formulas_to_the_last_digit(a, b, dim, samples, clients, share):
    equal = EqualClients(
        global_feature_sq=a,
        local_feature_sq=b,
        noise_dim=dim,
        noise_std=0.7,
        clients=clients,
        samples=samples,
        group_size=max(1.0, share * clients),
    )
    symbols, local, shared, _ = margin_rate.formula()
    letters = (a, b, equal.noise_energy, equal.samples, equal.clients, equal.group_size)
    assert float(margin_rate.local_rate(equal)) == as_function(symbols[1:5], local)(*letters[:4])
    assert float(margin_rate.global_rate(equal)) == as_function(symbols[1:], shared)(*letters)


# --- T9 ---


def _exact_increment(scaled_time, start):
    """M − M_0 from mpmath's Lambert W with enough digits for the cancellation in c − W(e^c)."""
    digits = 60 + int(abs(np.log10(scaled_time))) + int(abs(start))
    with mpmath.workdps(digits):
        start = mpmath.mpf(start)
        energy = mpmath.mpf(scaled_time) + start + mpmath.exp(start)
        if energy < 2000:
            root = energy - mpmath.lambertw(mpmath.exp(energy)).real
        else:  # e^c itself is astronomically large, but the defining equation needs no exponential of c
            root = mpmath.log(energy)
            for _ in range(30):
                root -= (root + mpmath.exp(root) - energy) / (1 + mpmath.exp(root))
        return float(root - start)


TIMES = [1e-200, 1e-12, 1e-3, 0.3, 1.0, 7.0, 300.0, 710.0, 1e4, 1e8, 1e300]


@pytest.mark.parametrize("start", [-50.0, -3.0, 0.0, 1e-6, 2.0, 40.0])
@pytest.mark.parametrize("scaled_time", TIMES)
def test_margin_against_lambert_w(scaled_time, start):
    increment = saturation.accumulated(scaled_time, 1.0, start)
    assert_allclose(increment, _exact_increment(scaled_time, start), rtol=1e-14)
    assert_allclose(saturation.margin(scaled_time, start), start + increment, rtol=1e-15)


@given(scaled_time=st.floats(0, 1e308), start=st.floats(-700, 700))
@settings(max_examples=300, deadline=None)
def test_margin_solves_its_equation(scaled_time, start):
    value = float(saturation.margin(scaled_time, start))
    energy = scaled_time + start + np.exp(start)
    # a relative error ε of M moves e^M by M ε e^M, at most 1400·2e-16; cancellation of M_0 adds |M_0| ε
    scale = abs(value) + np.exp(value) + abs(start)
    if np.isfinite(energy) and np.isfinite(scale):
        assert abs(value + np.exp(value) - energy) <= 1e-12 * scale
    assert value >= start


def test_stable_twin_matches_the_derived_expression():
    symbol, start, expression = saturation.formula()
    times = np.linspace(0.0, 200.0, 41)
    derived = as_function((symbol, start), expression)(times + 0j, 0.5).real
    # c − W(e^c) cancels: c = 200 carries 200·2e-16
    assert_allclose(saturation.margin(times, 0.5), derived, rtol=0, atol=2e-13)


@pytest.mark.parametrize(("rate", "start"), [(3.0, 0.0), (0.7, -2.0), (20.0, 1.5)])
def test_margin_and_tau_by_ode_integration(rate, start):
    eta, times = 0.1, np.linspace(0, 200, 21)
    solution = solve_ivp(
        lambda t, state: [eta * rate / (1 + np.exp(state[0])), eta / (1 + np.exp(state[0]))],
        (0, 200),
        [start, 0.0],
        t_eval=times,
        rtol=1e-10,
        atol=1e-12,
    )
    assert_allclose(saturation.margin(eta * rate * times, start), solution.y[0], rtol=1e-8, atol=1e-8)
    assert_allclose(
        saturation.accumulated(eta * rate * times, rate, start), solution.y[1], rtol=1e-8, atol=1e-8
    )


def test_coefficients_by_brute_force_recursion():
    a, b, e, omega, eta, tau_steps = 3.0, 7.0, 1.5, 0.4, 0.05, 30
    rng = np.random.default_rng(4)
    residuals = rng.uniform(size=tau_steps)
    tau = eta * residuals.sum()
    increments = lambda squared: (eta * omega * squared * 2 * residuals).sum()  # noqa: E731
    sigma, dim, samples = 0.6, 200_000, 5
    equal = EqualClients(
        global_feature_sq=a,
        local_feature_sq=b,
        noise_feature_sq=e,
        noise_std=sigma,
        noise_dim=dim,
        clients=4,
        samples=samples,
        group_size=2,
    )
    local = trajectories.local_coefficients(equal, omega, tau)
    shared = trajectories.global_coefficients(equal, omega, tau)
    assert_allclose([local.beta, shared.beta], increments(a), rtol=1e-12)
    assert_allclose(local.gamma, increments(b), rtol=1e-12)
    groups = np.array([0, 0, 1, 2])
    averaged = np.mean(groups == 0) * increments(b)
    assert_allclose(shared.gamma, averaged, rtol=1e-12)
    for seen, prompt in ((1, local), (4, shared)):
        means = sigma * rng.normal(size=(samples * seen, dim)).mean(axis=0)
        # a norm over 200000 normals has relative standard error 1/√(2·200000) = 0.16 %; six of them
        assert_allclose(np.linalg.norm(increments(e) * means), prompt.phi_norm, rtol=0.01)


# --- T10 ---


@given(c=st.floats(1e-6, 4.0), start=st.floats(-30, 30))
@settings(max_examples=150, deadline=None)
def test_sandwich_holds_at_every_step(c, start):
    steps = 300
    discrete = sandwich.recursion(c, start, steps)
    t = np.arange(steps + 1)
    slack = 1e-12 * (1 + np.abs(discrete))  # rounding accumulated over 300 additions
    assert np.all(discrete >= sandwich.lower(t, c, start) - slack)
    assert np.all(discrete <= sandwich.upper(t, c, start) + slack)


def test_sandwich_is_sharp_at_its_start_and_holds_for_long_runs():
    discrete = sandwich.recursion([0.01, 1.0, 4.0], 0.0, 20_000)
    t = np.arange(20_001)[:, None]
    low, high = sandwich.lower(t, [0.01, 1.0, 4.0]), sandwich.upper(t, [0.01, 1.0, 4.0])
    assert np.all((low <= discrete + 1e-11) & (discrete <= high + 1e-11))
    # the first step of size c/2 is all of the gap that is left out for large c
    assert_allclose(discrete[1], [0.005, 0.5, 2.0])
    assert discrete.shape == (20_001, 3)


def test_the_step_map_stops_increasing_at_four():
    levels = np.linspace(-5, 5, 2001)
    for c, increasing in ((4.0, True), (4.2, False)):
        image = levels + c / (1 + np.exp(levels))
        assert bool(np.all(np.diff(image) > -1e-15)) is increasing
    # the sandwich itself needs only c > 0: it holds at c = 10 by brute force
    level, c = 0.0, 10.0
    for t in range(1, 200):
        level += c / (1 + np.exp(level))
        curve = saturation.margin(c * t)
        assert curve <= level <= curve + c / 2
