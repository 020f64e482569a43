"""T29 against generic solvers, long gradient descent, drawn data and the limits it must have."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.optimize import minimize, nnls
from scipy.special import expit
from scipy.stats import norm

from theory.dynamics.margin_kernel import exact_margins, margin_kernel
from theory.dynamics.residuals import Accumulated
from theory.dynamics.symmetric_ratio import predicted_ratio, symmetric_tau
from theory.late_time import dynamical_mean_field, first_order, first_order_prediction, limit, solver
from theory.late_time.limit import TrainingData, limiting_mixing, limiting_ratio, maximum_margin
from theory.mixing.joint_law import joint_mixing
from theory.mixing.leading_order import mixing_from_odds, posthoc_odds
from theory.mixing.training_time import limiting_odds
from theory.model.federation import EqualClients

# N/L = 1/2; the letters behind the drift from 0.35 to 0.28
EQUAL = EqualClients(
    global_feature_sq=0.5,
    local_feature_sq=1.5,
    noise_feature_sq=1.0,
    noise_std=1.0,
    noise_dim=400,
    clients=10,
    samples=20,
    group_size=1,
)
RATE = 4 * (2 + 400 / 20)  # κ_L of T8


def drawn(clients, samples, noise_dim, *, a=0.5, b=1.5, seed=0):
    """Training data of equal clients with a group each, all labels turned to +1."""
    owner = np.repeat(np.arange(clients), samples)
    noise = np.random.default_rng(seed).normal(size=(owner.size, noise_dim))
    signals = np.hstack([np.ones((owner.size, 1)), np.equal.outer(owner, np.arange(clients))])
    norms = np.concatenate([[a], np.full(clients, b), np.ones(noise_dim)])
    return TrainingData(np.hstack([signals, noise]), norms, owner, noise_dim, 1.0)


def kernel_of(data, theta):
    return margin_kernel(data.features, squared_norms=data.squared_norms, clients=data.clients, theta=theta)


# --- the maximum margin on given data ---


def test_two_samples_by_hand():
    both = maximum_margin([[2.0, 1.0], [1.0, 4.0]])
    assert_allclose(both.alpha, [3 / 7, 1 / 7], rtol=1e-12)
    assert_allclose(both.margins, 1.0, rtol=1e-12)
    # where the second is classified beyond the margin by the first, it has no weight
    one = maximum_margin([[2.0, 3.0], [3.0, 9.0]])
    assert_allclose(one.alpha, [0.5, 0.0], atol=1e-12)
    assert_allclose(one.margins, [1.0, 1.5])


@pytest.mark.parametrize("seed", range(4))
def test_maximum_margin_against_a_generic_solver(seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(7, 9)) + 0.5
    kernel = features @ features.T
    found = maximum_margin(kernel)

    def dual(alpha):
        return alpha @ kernel @ alpha / 2 - alpha.sum()

    generic = minimize(
        dual,
        np.full(7, 0.1),
        jac=lambda alpha: kernel @ alpha - 1,
        bounds=[(0, None)] * 7,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert found.residual < 1e-10
    assert_allclose(dual(found.alpha), generic.fun, rtol=1e-9)
    # SLSQP stops at the square root of the precision of its value
    assert_allclose(found.alpha, generic.x, atol=1e-5 * found.alpha.max())
    # the primal: the shortest prompt with all margins at least 1
    primal = minimize(
        lambda w: w @ w / 2,
        features.T @ found.alpha * 1.1,
        jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: features @ w - 1, "jac": lambda w: features},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert_allclose(features.T @ found.alpha, primal.x, atol=1e-5)


def test_both_methods_agree_and_a_singular_kernel_will_do():
    random = np.random.default_rng(5)
    features = random.normal(size=(40, 60)) + 0.3
    kernel = features @ features.T
    slow = limit._least_distance(*np.linalg.eigh(kernel), float(kernel.max()))
    assert_allclose(maximum_margin(kernel).alpha, slow, atol=1e-10 * slow.max())
    assert (slow == 0).any()
    # more samples than rows: the prompt is unique although α is not
    wide = np.abs(random.normal(size=(30, 4)))
    found = maximum_margin(wide @ wide.T)
    assert found.residual < 1e-8
    assert_allclose(found.margins.min(), 1.0, rtol=1e-8)


def test_gradient_descent_goes_there():
    data = drawn(2, 4, 12, seed=3)
    kernel = kernel_of(data, 0.4)
    best = maximum_margin(kernel)
    best_margin = 1 / np.sqrt(best.alpha @ kernel @ best.alpha)
    short = []
    for steps in (30, 1000, 30_000):
        alpha = np.linalg.solve(kernel, exact_margins(kernel, 1 / kernel.max(), steps)[-1])
        short.append(1 - (kernel @ alpha).min() / np.sqrt(alpha @ kernel @ alpha) / best_margin)
    # the normalised margin grows towards the largest one, and what is missing falls like 1/log t
    assert short[0] > short[1] > short[2] > 0
    assert_allclose(short[2] * np.log(30_000), short[1] * np.log(1000), rtol=0.1)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], "not symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "eigenvalue"),
        ([[1.0, -1.0], [-1.0, 1.0]], "no positive margin"),
        ([[1.0, 2.0]], "shape"),
    ],
)
def test_kernels_that_are_refused(kernel, message):
    with pytest.raises(ValueError, match=message):
        maximum_margin(kernel)


def orthogonal(clients, samples, a, b):
    """Samples whose noise vectors are orthogonal and of the same length: one coordinate each."""
    total = clients * samples
    data = drawn(clients, samples, total, a=a, b=b)
    features = np.array(data.features)
    features[:, -total:] = 5.0 * np.eye(total)
    return data._replace(features=features)


def test_orthogonal_noise_gives_the_mean_field_limits():
    a, b, clients, samples = 3.0, 7.0, 4, 5
    data = orthogonal(clients, samples, a, b)
    assert np.ptp(maximum_margin(kernel_of(data, 0.3)).alpha) < 1e-12
    equal = EqualClients(
        global_feature_sq=a, local_feature_sq=b, noise_dim=25, clients=clients, samples=samples
    )
    odds = posthoc_odds(equal)
    # found to the tolerance of the search
    assert_allclose(limiting_mixing(data), joint_mixing(odds), atol=2e-3)
    assert_allclose(limiting_mixing(data, "posthoc"), mixing_from_odds(limiting_odds(equal)), atol=2e-3)


def test_ratio_ignores_the_size_of_everything():
    data = drawn(3, 4, 20)
    ratio = limiting_ratio([0.2, 0.7], data)
    assert ratio.shape == (2, 3)
    stronger = data._replace(squared_norms=7 * np.asarray(data.squared_norms))
    assert_allclose(limiting_ratio([0.2, 0.7], stronger), ratio, rtol=1e-9)
    assert_allclose(limiting_ratio(0.2, data._replace(noise_std=2.0)), ratio[0] / 2, rtol=1e-12)
    ends = limiting_ratio([0.0, 1.0], data)
    assert_allclose(limiting_ratio([0.0, 1.0], data, "posthoc"), ends, rtol=1e-12)


def test_unequal_clients_keep_a_symmetric_kernel():
    data = drawn(3, 6, 40)
    keep = np.r_[0:6, 6:9, 12:14]
    part = data._replace(features=np.asarray(data.features)[keep], clients=np.asarray(data.clients)[keep])
    kernel = kernel_of(part, 0.4)
    assert_allclose(kernel, kernel.T, rtol=1e-12)
    # R from the prompts, assembled sample by sample
    alpha, g, owner = maximum_margin(kernel).alpha, np.asarray(part.features), np.asarray(part.clients)
    feature = np.zeros((3, g.shape[1]))
    for k in range(3):
        for j in range(owner.size):
            share = 0.6**2 / owner.size + (owner[j] == k) * 0.4**2 / np.sum(owner == k)
            feature[k] += 4 * alpha[j] * share * np.asarray(part.squared_norms) * g[j]
    signal = feature[:, 0] + feature[np.arange(3), 1 + np.arange(3)]
    assert_allclose(limiting_ratio(0.4, part), signal / np.linalg.norm(feature[:, 4:], axis=1), rtol=1e-9)
    assert_allclose(kernel @ alpha, np.sum(g * feature[owner], axis=1), rtol=1e-9)


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_the_limiting_mixing_has_the_best_mean_accuracy_of_unequal_clients(scheme):
    """Against accuracies on a grid; the mean ratio of these clients is largest elsewhere."""
    whole = drawn(3, 12, 60)
    kept = np.concatenate([np.arange(2), np.arange(12, 16), np.arange(24, 36)])
    data = whole._replace(features=whole.features[kept], clients=whole.clients[kept], noise_std=0.2)
    grid = np.linspace(0, 1, 201)
    ratios = limiting_ratio(grid, data, scheme)
    errors = norm.sf(ratios).mean(axis=-1)
    found = float(limiting_mixing(data, scheme))
    assert_allclose(found, grid[np.argmin(errors)], rtol=0, atol=0.005)
    assert abs(found - grid[np.argmax(ratios.mean(axis=-1))]) > 0.02


def test_the_maximum_margin_of_many_kernels_is_that_of_least_squares():
    """‖Lᵀα − L⁻¹1‖² is αᵀ𝒦α − 2·1ᵀα up to a constant, with 𝒦 = L Lᵀ; half of the samples support nothing."""
    random = np.random.default_rng(8)
    for _ in range(300):
        vectors = random.normal(size=(8, 9)) + random.uniform(0.5, 3) * random.normal(size=9)
        vectors *= np.sign(vectors @ vectors.mean(axis=0))[:, None]
        kernel = vectors @ vectors.T
        lower = np.linalg.cholesky(kernel)
        alpha = nnls(lower.T, np.linalg.solve(lower, np.ones(8)))[0]
        found = maximum_margin(kernel)
        assert_allclose(found.alpha, alpha, rtol=1e-6, atol=1e-7 * alpha.max())
        assert found.residual < 1e-7


def test_a_violation_of_either_condition_is_reported(monkeypatch):
    """Weights that are no solution: margins below 1, and weight on samples beyond it."""
    for alpha, violation in (([0.1, 0.05], 0.75), ([1.0, 0.5], 1.5)):
        monkeypatch.setattr(limit, "_exchange", lambda _, alpha=alpha: np.array(alpha))
        assert_allclose(maximum_margin([[2.0, 1.0], [1.0, 4.0]]).residual, violation)


def test_late_time_arguments():
    data = drawn(2, 2, 9)
    with pytest.raises(ValueError, match="scheme"):
        limiting_ratio(0.5, data, "detached")
    with pytest.raises(ValueError, match="theta"):
        limiting_ratio(1.5, data)


# --- the first order in n/L ---


def test_progress_is_the_linear_response_of_the_flow():
    """ψ by integrating the perturbed flow of two samples with a small kernel between them."""
    small, dt, steps = 1e-6, 1e-3, 40_000
    alpha, alone = np.zeros(2), 0.0
    kernel = np.array([[1.0, small], [small, 1.0]])
    for _ in range(steps):
        alpha, alone = alpha + dt * expit(-kernel @ alpha), alone + dt * expit(-alone)
    # δα = −ρh with h = small and ψ = κρ/τ
    assert_allclose((alone - alpha[0]) / (small * alone), first_order_prediction.progress(alone), rtol=1e-3)


def test_progress_from_start_to_end():
    assert_allclose(
        first_order_prediction.progress([1e-6, 1e-3, 1.01e-3]), np.array([1e-6, 1e-3, 1.01e-3]) / 4, rtol=1e-3
    )
    levels = np.geomspace(1e-4, 1e4, 200)
    psi = np.asarray(first_order_prediction.progress(levels))
    assert np.all(np.diff(psi) > 0)
    assert psi[-1] < 1


@pytest.mark.parametrize("level", [1e-3, 0.5, 1.5, 29.0, 31.0])
@pytest.mark.parametrize("share", [0.05, 0.6, 1.0])
def test_progress_is_the_derived_expression(level, share):
    *_, (margin, noise_share), expression = first_order.formula()
    derived = expression.subs({margin: level, noise_share: share}).evalf(30)
    assert_allclose(first_order_prediction.progress(level, share), float(derived), rtol=1e-10)


@pytest.mark.parametrize("step", [3.0, 300.0])
@pytest.mark.parametrize("signal", [5e-9, 1e-2])
def test_first_order_is_the_slope_of_the_mean_field(step, signal):
    """Whether the signal is far below the noise (which is ν̄/n = L/20) or a large part of the rate."""
    theta = np.array([0.0, 0.2, 0.4, 0.7, 1.0])
    logs = {}
    for noise_dim in (1e6, 2e6):
        signals = {"global_feature_sq": signal * noise_dim, "local_feature_sq": 3 * signal * noise_dim}
        equal = EQUAL.replace(noise_dim=noise_dim, **signals)
        eta = 0.2 / (4 * noise_dim / 20)
        start = predicted_ratio(equal, "joint", theta, Accumulated(np.float64(1.0), np.float64(1.0)))
        flow = np.log(solver.predicted_ratio(equal, "joint", theta, [step], eta)[0] / start)
        first = np.log(first_order_prediction.predicted_ratio(equal, theta, step, eta) / start)
        logs[noise_dim] = flow, first
    flow, first = logs[2e6]
    # what is left is of higher order: relative n K/L or so, and the tolerance of the iteration
    assert_allclose(flow, first, rtol=1e-4, atol=1e-10)
    assert_allclose(logs[1e6][1] / first, 2.0, rtol=1e-4)


def test_first_order_predicts_the_drift_at_a_small_load():
    equal = EQUAL.replace(noise_dim=8000, global_feature_sq=0.5 * 20**0.5, local_feature_sq=1.5 * 20**0.5)
    eta = 0.2 / (4 * (2 * 20**0.5 + 400))
    exact = solver.best_mixing(equal, "joint", [1, 2000], eta)
    first = [first_order_prediction.best_mixing(equal, step, eta) for step in (1, 2000)]
    assert exact[0] - exact[1] > 2e-3
    assert_allclose(first, exact, atol=1.1e-3)


# --- the mean field at a finite load ---


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_no_load_gives_the_symmetric_mean_field(scheme):
    equal = EQUAL.replace(noise_dim=1e8, global_feature_sq=500.0, local_feature_sq=700.0, group_size=2)
    theta, steps, eta = np.array([0.0, 0.3, 0.8]), np.array([1.0, 40.0, 2000.0]), 0.2 / (4 * 5e6)
    tau = symmetric_tau(equal, scheme, theta[None, :], steps[:, None], eta)
    expected = predicted_ratio(equal, scheme, theta, tau)
    flow = solver.predicted_ratio(equal, scheme, theta, steps, eta)
    assert_allclose(flow, np.broadcast_to(expected, flow.shape), rtol=2e-3)


def test_mean_field_against_exact_margins():
    """The flow on drawn data, by the recursion of all margins; the mean over draws."""
    clients, samples, noise_dim, draws, steps = 3, 15, 90, 24, (1, 30, 300)
    equal = EQUAL.replace(clients=clients, samples=samples, noise_dim=noise_dim)
    eta = 0.2 / (4 * (2 + noise_dim / samples))
    for theta in (0.0, 0.35):
        ratios = np.empty((draws, len(steps)))
        for seed in range(draws):
            data = drawn(clients, samples, noise_dim, seed=seed)
            g, owner = np.asarray(data.features), np.asarray(data.clients)
            residuals = expit(-exact_margins(kernel_of(data, theta), eta, max(steps)))
            for index, step in enumerate(steps):
                alpha = residuals[:step].sum(axis=0)
                feature = (1 - theta) ** 2 * (alpha @ g)[None, :] / owner.size + theta**2 * np.stack(
                    [alpha[owner == k] @ g[owner == k] / samples for k in range(clients)]
                )
                feature = feature * data.squared_norms
                signal = feature[:, 0] + np.diagonal(feature[:, 1 : 1 + clients])
                ratios[seed, index] = np.mean(signal / np.linalg.norm(feature[:, 1 + clients :], axis=1))
        predicted = solver.predicted_ratio(equal, "joint", [theta], steps, eta)[:, 0]
        error = ratios.std(axis=0) / draws**0.5 / predicted
        # sampling error, and terms of order 1/n and 1/L
        assert np.all(np.abs(ratios.mean(axis=0) / predicted - 1) < 4 * error + 0.03)
        # the gain of training is far beyond both
        assert predicted[-1] > 1.05 * predicted[0] or theta > 0.3


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_limit_of_the_mean_field_against_drawn_data(scheme):
    theta = np.array([0.0, 0.2, 0.5, 1.0])
    equal = EQUAL.replace(clients=4, samples=20, noise_dim=160)
    reached = [limiting_ratio(theta, drawn(4, 20, 160, seed=seed), scheme).mean(axis=1) for seed in range(8)]
    predicted = solver.predicted_ratio(equal, scheme, theta, [np.inf], 1.0)[0]
    error = np.std(reached, axis=0) / 8**0.5
    assert np.all(np.abs(np.mean(reached, axis=0) - predicted) < 4 * error + 0.03 * predicted)


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_flow_approaches_the_limit_like_one_over_log_time(scheme):
    ratio = solver.predicted_ratio(EQUAL, scheme, [0.0, 0.4], [1e2, 1e4, 1e8, np.inf], 1 / RATE)
    gap = np.abs(ratio[:3] / ratio[3] - 1)
    assert np.all(np.diff(gap, axis=0) < 0)
    # it falls like 1/log t or faster
    assert np.all(gap[2] * np.log(1e8) < 1.1 * gap[1] * np.log(1e4))


def test_the_drift_at_half_load():
    """The drift that T21 does not have: 0.35 to 0.28 in 500 steps, and joint behind post-hoc by 1.7 points."""
    steps = [1, 500, np.inf]
    assert_allclose(solver.best_mixing(EQUAL, "joint", steps[:2], 1 / RATE), [0.354, 0.28], atol=0.003)
    grid = np.linspace(0, 1, 101)
    best = [
        norm.cdf(solver.predicted_ratio(EQUAL, scheme, grid, [500], 1 / RATE).max())
        for scheme in ("joint", "posthoc")
    ]
    assert_allclose(best[1] - best[0], 0.017, atol=0.001)


def test_end_points_and_units_of_the_mean_field():
    steps, eta = [5.0, 200.0, np.inf], 0.5 / RATE
    joint = solver.predicted_ratio(EQUAL, "joint", [0.0, 1.0], steps, eta)
    posthoc = solver.predicted_ratio(EQUAL, "posthoc", [0.0, 1.0], steps, eta)
    assert_allclose(joint, posthoc, rtol=1e-4)
    units = EQUAL.replace(noise_std=2.0, noise_feature_sq=0.25)
    assert_allclose(solver.predicted_ratio(units, "joint", [0.0, 1.0], steps, eta), joint, rtol=1e-7)


@pytest.mark.parametrize(("nodes", "points"), [(24, {1: (41, 5, 3), 2: (41, 3, 3, 3)})])
def test_nodes_suffice(monkeypatch, nodes, points):
    equal = EQUAL.replace(noise_dim=200)
    arguments = ([0.0, 0.4], [5.0, 2000.0], 0.5 / RATE)
    usual = [solver.predicted_ratio(equal, name, *arguments) for name in ("joint", "posthoc")]
    monkeypatch.setattr(solver, "NODES", nodes)
    monkeypatch.setattr(solver, "QUADRATURE", points)
    finer = [solver.predicted_ratio(equal, name, *arguments) for name in ("joint", "posthoc")]
    assert_allclose(usual, finer, rtol=1e-4)


def test_moments_by_quadrature():
    mean, variance = 0.4, 0.3
    for power, moment in enumerate(dynamical_mean_field.shortfall_moments(mean, variance)):
        expected = quad(
            lambda m, power=power: (1 - m) ** power * norm.pdf(m, mean, variance**0.5), -10, 1, epsabs=1e-12
        )[0]
        assert_allclose(moment, expected, rtol=1e-9)
    # the scalar mode is the matrix one of the flow, for a one-by-one matrix
    matrix = np.linalg.solve(np.eye(1) + 5 * 9 * 2 * 0.1, 2 * np.eye(1))
    assert_allclose(dynamical_mean_field.shrunk_mode(2.0, 5.0, 3.0, 0.1), matrix[0, 0])


def test_flow_arguments():
    with pytest.raises(ValueError, match="scheme"):
        solver.predicted_ratio(EQUAL, "detached", [0.5], [1], 0.1)
    with pytest.raises(ValueError, match="step"):
        solver.predicted_ratio(EQUAL, "joint", [0.5], [0], 0.1)
    with pytest.raises(ValueError, match="group_size"):
        solver.predicted_ratio(EQUAL.replace(group_size=11), "joint", [0.5], [1], 0.1)
    with pytest.raises(ArithmeticError, match="did not settle"):
        solver.predicted_ratio(EQUAL.replace(noise_dim=60), "joint", [0.0], [np.inf], 0.1)
