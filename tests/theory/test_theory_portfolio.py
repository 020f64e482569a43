"""T15 to T22 against numeric maximisation, limits and the reference values of section 6."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from theory.dynamics import margin_rate
from theory.mixing import (
    advantage,
    independent_assets,
    joint_law,
    leading_advantage,
    leading_order,
    per_client,
    tangency,
    training_time,
)
from theory.mixing.moments import Moments
from theory.model.federation import EqualClients, Federation
from theory.model.schemes import effective_weights

GRID = np.linspace(0, 1, 2001)
moment = st.floats(0.05, 20)
correlation = st.floats(-0.95, 0.95)

# item 1 of section 6
L, N_SAMPLES = 40_000, 10
SIGNAL = 0.8 * np.sqrt(L / N_SAMPLES)
ITEM_1 = EqualClients(
    global_feature_sq=0.3 * SIGNAL, local_feature_sq=0.7 * SIGNAL, noise_dim=L, clients=4, samples=N_SAMPLES
)


def _pair(s_global, s_local, a, b, rho):
    return Moments(s_global, s_local, a, b, rho * np.sqrt(a * b))


# --- T15, T16 ---


@given(st.floats(-5, 20), st.floats(-5, 20), moment, moment, correlation)
@settings(max_examples=200, deadline=None)
def test_optimal_mixing_maximises_the_ratio(s_global, s_local, a, b, rho):
    pair = _pair(s_global, s_local, a, b, rho)
    best = tangency.mixture_ratio(tangency.optimal_mixing(*pair), pair)
    on_grid = np.asarray(tangency.mixture_ratio(GRID, pair))
    # no grid point is better, whatever the signs of the signals
    assert best >= on_grid.max() - 1e-9 * (1 + np.abs(best))


@given(moment, moment, moment, moment, correlation)
@settings(deadline=None)
def test_mixture_ratio_matches_explicit_vectors(s_global, s_local, a, b, rho):
    u_global = np.sqrt(a) * np.array([1.0, 0.0])
    u_local = np.sqrt(b) * np.array([rho, np.sqrt(1 - rho**2)])
    theta = 0.3
    for scheme in ("posthoc", "joint", "detached"):
        w = effective_weights(theta, scheme)
        noise = np.linalg.norm(w.global_prompt * u_global + w.local_prompt * u_local)
        expected = (w.global_prompt * s_global + w.local_prompt * s_local) / (1.7 * noise)
        value = tangency.mixture_ratio(theta, _pair(s_global, s_local, a, b, rho), 1.7, weights=scheme)
        assert_allclose(value, expected, rtol=1e-10)


def test_moments_are_those_of_explicit_vectors():
    """Ratios and correlation from the lengths and the angle of two noise vectors."""
    u_global, u_local = np.array([3.0, 4.0, 0.0]), np.array([0.0, 2.0, 1.0])
    pair = Moments(2.0, 3.0, u_global @ u_global, u_local @ u_local, u_global @ u_local)
    lengths = np.linalg.norm(u_global), np.linalg.norm(u_local)
    assert_allclose([pair.ratio_global, pair.ratio_local], [2.0 / lengths[0], 3.0 / lengths[1]])
    assert_allclose(pair.correlation, np.corrcoef([*u_global, *-u_global], [*u_local, *-u_local])[0, 1])
    # a covariance beyond √(AB) by rounding is that of parallel vectors
    beyond = np.nextafter(2.0, 3.0)
    assert Moments(1.0, 1.0, 1.0, 4.0, [beyond, -beyond]).checked().noise_cross.tolist() == [2.0, -2.0]


def test_optimal_mixing_in_degenerate_cases():
    parallel = dict(noise_global=1.0, noise_local=4.0, noise_cross=2.0)
    assert tangency.optimal_mixing(1.0, [1.0, 2.0, 3.0], **parallel).tolist() == [0.0, 0.0, 1.0]
    opposite = Moments(1.0, 1.0, 1.0, 4.0, -2.0)
    hedge = tangency.optimal_mixing(*opposite)
    assert_allclose(hedge, 1 / 3)
    assert tangency.mixture_ratio(hedge, opposite) > 1e7


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-0.95, 0.95))
@settings(max_examples=100, deadline=None)
def test_advantage_is_the_ratio_at_the_optimum(r_global, r_local, rho):
    pair = _pair(r_global, 2.0 * r_local, 1.0, 4.0, rho)
    attained = tangency.mixture_ratio(tangency.optimal_mixing(*pair), pair) ** 2
    squared = advantage.optimal_ratio_squared(r_global, r_local, rho)
    assert_allclose(squared, attained, rtol=1e-10)
    better = max(r_global, r_local) ** 2
    assert squared >= better * (1 - 1e-12)
    assert advantage.unconstrained_ratio_squared(r_global, r_local, rho) >= squared * (1 - 1e-12)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-0.95, 0.95))
@settings(deadline=None)
def test_unconstrained_optimum_is_a_quadratic_form(r_global, r_local, rho):
    correlations = np.array([[1.0, rho], [rho, 1.0]])
    ratios = np.array([r_global, r_local])
    expected = ratios @ np.linalg.solve(correlations, ratios)
    assert_allclose(advantage.unconstrained_ratio_squared(r_global, r_local, rho), expected, rtol=1e-9)


def test_equality_case_and_the_region_beyond_it():
    edge = advantage.equality_correlation(1.0, 2.0)
    assert edge == 0.5
    assert_allclose(advantage.unconstrained_ratio_squared(1.0, 2.0, edge), 4.0, rtol=1e-12)
    assert advantage.optimal_ratio_squared(1.0, 2.0, edge - 0.01) > 4.0
    # above it the formula of T16 describes a negative weight, which θ in [0, 1] cannot reach
    assert advantage.unconstrained_ratio_squared(1.0, 2.0, 0.9) > 4.5
    assert advantage.optimal_ratio_squared(1.0, 2.0, 0.9) == 4.0
    assert advantage.unconstrained_ratio_squared([1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1, 1, -1]).tolist() == [
        1.0,
        np.inf,
        np.inf,
    ]


# --- T17, T18, T19 ---

federation = st.tuples(st.floats(0.05, 20), st.floats(0.05, 20), st.integers(2, 50), st.floats(0, 1))


def _equal(a, b, clients, group_size=1):
    return EqualClients(
        global_feature_sq=a,
        local_feature_sq=b,
        noise_dim=400,
        clients=clients,
        samples=10,
        group_size=group_size,
    )


def _sharing(a, b, clients, share):
    return _equal(a, b, clients, 1 + share * (clients - 1))


@given(federation)
@settings(deadline=None)
def test_odds_are_the_tangency_mixing(drawn):
    equal = _sharing(*drawn)
    a, b, clients, chi = equal.global_feature_sq, equal.local_feature_sq, equal.clients, equal.group_size
    theta = leading_order.mixing_from_odds(leading_order.posthoc_odds(equal))
    signals = a + b * chi / clients, a + b
    assert_allclose(theta, tangency.optimal_mixing(*signals, 1 / clients, 1.0, 1 / clients), atol=1e-9)
    independent = leading_order.mixing_from_odds(independent_assets.independent_odds(equal))
    assert_allclose(independent, tangency.optimal_mixing(*signals, 1 / clients, 1.0, 0.0), atol=1e-9)
    r_global, r_local = signals[0] * np.sqrt(clients), signals[1]
    best = leading_advantage.optimal_ratio_squared_leading(r_global, r_local, clients)
    reached = tangency.mixture_ratio(theta, Moments(*signals, 1 / clients, 1.0, 1 / clients))
    assert_allclose(best, reached**2, rtol=1e-9)
    gains = best > max(r_global, r_local) ** 2 * (1 + 1e-12)
    if theta > 1e-5:
        assert leading_order.strict_advantage(equal)
        assert gains


@given(federation, st.floats(1.01, 3))
@settings(deadline=None)
def test_monotonicity(drawn, factor):
    a, b, clients, share = drawn
    assume(share < 0.98)
    odds = leading_order.posthoc_odds(_sharing(*drawn))
    assert leading_order.posthoc_odds(_sharing(a, b * factor, clients, share)) > odds  # rises with b/a
    assert leading_order.posthoc_odds(_sharing(a, b, clients, share + 0.01)) < odds  # falls with χ
    fully = leading_order.posthoc_odds(_sharing(a, b, clients, 0.0))
    assert leading_order.posthoc_odds(_sharing(a, b, clients + 1, 0.0)) < fully  # falls with K at χ = 1
    chi = 1 + share * (clients - 1)
    assert (
        leading_order.posthoc_odds(_equal(a, b, 2 * clients, 2 * chi)) < odds
    )  # falls with K at a fixed share χ/K


def test_odds_can_rise_with_the_number_of_clients_at_fixed_group_size():
    """The unqualified statement "θ* falls with K" fails for χ > 1, first of all where K = χ gives θ* = 0."""
    odds = leading_order.posthoc_odds(_equal(1.0, 1.0, [2, 3, 4], 2))
    assert_allclose(odds, [0.0, 1 / 9, 1 / 8])


def test_end_points_and_strict_advantage():
    alike = _equal(3.0, 8.0, 4, group_size=4)
    assert leading_order.posthoc_odds(alike) == 0
    nothing_shared = _equal(0.0, 8.0, 4)
    assert leading_order.posthoc_odds(nothing_shared) == np.inf
    opposed = _equal(0.1, 8.0, 4, group_size=0)
    assert leading_order.posthoc_odds(opposed) == np.inf
    assert independent_assets.independent_odds(nothing_shared.replace(group_size=0)) == np.inf
    for equal in (alike, nothing_shared, opposed, _equal(3.0, 0.0, 4)):
        assert not leading_order.strict_advantage(equal)
    assert leading_order.strict_advantage(_equal(3.0, 8.0, 4))


def test_independent_odds_where_clients_share_their_groups_feature_only():
    """With a = 0 the group's members carry the shared signal: (a+b)/(Ka + χb) = 1/χ."""
    assert independent_assets.independent_odds(_equal(0.0, 8.0, 4, group_size=2)) == 0.5


@pytest.mark.parametrize(("r_global", "r_local", "clients"), [(1.0, 3.0, 4), (3.0, 1.0, 4), (0.5, 2.0, 9)])
def test_without_an_advantage_the_better_prompt_is_the_best(r_global, r_local, clients):
    """1/√K exceeds min(R)/max(R), but 1/K does not; the maximum over a grid."""
    pair = _pair(r_global, r_local, 1.0, 1.0, clients**-0.5)
    best = np.max(tangency.mixture_ratio(GRID, pair)) ** 2
    assert_allclose(leading_advantage.optimal_ratio_squared_leading(r_global, r_local, clients), best)
    assert_allclose(best, max(r_global, r_local) ** 2)


def test_prompts_with_the_same_noise_and_ratio_have_that_ratio():
    assert advantage.unconstrained_ratio_squared(3.0, 3.0, 1.0) == 9.0
    assert advantage.optimal_ratio_squared(3.0, 3.0, 1.0) == 9.0


# --- T20, T21 ---


def test_reference_values_of_the_posthoc_drift():
    steps = np.array([1, 5, 50, 500, 5000])
    odds = training_time.posthoc_odds_at(ITEM_1, steps, 0.2 / margin_rate.local_rate(ITEM_1))
    # section 6 quotes three digits
    assert_allclose(leading_order.mixing_from_odds(odds), [0.373, 0.390, 0.501, 0.613, 0.648], atol=6e-4)


def test_reference_value_of_joint_training():
    assert_allclose(joint_law.joint_mixing(leading_order.posthoc_odds(ITEM_1)), 0.433, atol=6e-4)


def test_drift_has_its_limits_and_is_monotone():
    start = leading_order.posthoc_odds(ITEM_1)
    steps = np.concatenate([[0], np.logspace(-9, 300, 400)])
    odds = np.asarray(training_time.posthoc_odds_at(ITEM_1, steps, 1e-3))
    assert odds[0] == start
    assert_allclose(odds[1], start, rtol=1e-8)
    assert np.all(np.diff(odds) >= -1e-13)
    limit = training_time.limiting_odds(ITEM_1)
    # the approach is logarithmic: log(κ_L/κ_G)/log(ηκt) is 0.2 % at t = 1e300
    assert_allclose(odds[-1], limit, rtol=4e-3)
    assert odds[-1] < limit


@given(st.floats(0.01, 100), st.floats(0.05, 20), st.floats(0.05, 20), st.floats(-0.9, 0.9))
@settings(max_examples=60, deadline=None)
def test_joint_mixing_maximises_the_joint_ratio(scale, s_global, b, rho):
    pair = _pair(s_global, s_global + b, 0.3, 1.0, rho)
    scaled = Moments(*np.multiply(pair, scale ** np.array([1, 1, 2, 2, 2])))
    posthoc = tangency.optimal_mixing(*pair)
    odds = np.inf if posthoc == 1 else posthoc / (1 - posthoc)
    best = tangency.mixture_ratio(joint_law.joint_mixing(odds), scaled, weights="joint")
    assert best >= tangency.mixture_ratio(GRID, scaled, weights="joint").max() * (1 - 1e-9)


# --- T22 ---

ITEM_2 = Federation(
    global_feature_sq=8.0,
    local_feature_sq=14.0,
    noise_dim=6000,
    sample_counts=[6, 10, 20, 40],
    groups=[0, 1, 0, 2],
)


def test_reference_values_per_client():
    # section 6 quotes three digits
    assert_allclose(per_client.posthoc_mixing(ITEM_2), [0.062, 0.187, 0.257, 0.479], atol=6e-4)
    assert_allclose(per_client.joint_mixing(ITEM_2), [0.204, 0.324, 0.370, 0.490], atol=6e-4)


def test_per_client_optimum_by_numeric_maximisation():
    values = per_client.moments(ITEM_2)
    counts = np.array([6.0, 10.0, 20.0, 40.0])
    weights, total = counts / counts.sum(), counts.sum()
    for k in range(4):
        # signals and noise assembled by hand from clients' shares of the average
        group = weights[ITEM_2.groups == ITEM_2.groups[k]].sum()
        s = np.array([8 + 14 * group, 22.0])
        noise = np.array(
            [[np.sum(weights**2 / counts), weights[k] / counts[k]], [weights[k] / counts[k], 1 / counts[k]]]
        )
        assert_allclose([values.signal_global[k], values.signal_local[k]], s)
        assert_allclose(
            [values.noise_global[k], values.noise_cross[k], values.noise_local[k]],
            [1 / total, 1 / total, 1 / counts[k]],
        )
        for power, expected in (
            (1, per_client.posthoc_mixing(ITEM_2)),
            (2, per_client.joint_mixing(ITEM_2)),
        ):

            def negative_ratio(theta, s=s, noise=noise, power=power):
                w = np.array([(1 - theta) ** power, theta**power])
                return -(w @ s) / np.sqrt(w @ noise @ w)

            found = minimize_scalar(negative_ratio, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
            # a maximum is located to the square root of the precision of its value
            assert_allclose(expected[k], found.x, atol=1e-6)


@pytest.mark.parametrize("clients", [2, 5])
def test_equal_clients_reduce_to_the_leading_order_form(clients):
    equal = _equal(2.0, 3.0, clients)
    theta = per_client.posthoc_mixing(equal.federation())
    odds = leading_order.posthoc_odds(equal)
    assert_allclose(theta, leading_order.mixing_from_odds(odds), rtol=1e-12)


def test_joint_training_of_clients_that_share_little():
    """odds* = b/(2a) = 10⁴ for K = 2: θ* is 1 − 10⁻⁴ post hoc and 100/101 jointly."""
    little = _equal(1e-4, 2.0, 2).federation()
    assert_allclose(per_client.posthoc_mixing(little), 1e4 / (1e4 + 1), rtol=1e-12)
    assert_allclose(per_client.joint_mixing(little), 100 / 101, rtol=1e-9)


def test_clients_that_share_nothing_stay_local():
    apart = _equal(0.0, 3.0, 2).federation()
    assert per_client.posthoc_mixing(apart).tolist() == [1.0, 1.0]
    assert per_client.joint_mixing(apart).tolist() == [1.0, 1.0]
