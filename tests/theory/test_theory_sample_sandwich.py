"""T11 against brute-force federated training, random kernels and the values the theory says to expect."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import expit

from theory.dynamics import margin_rate
from theory.dynamics.margin_kernel import exact_margins, margin_kernel
from theory.dynamics.sample_sandwich import bounds, largest_spread, rates
from theory.model.federation import EqualClients


def _world(seed, counts, groups, dim, sigma=1.0):
    """Features times labels, (samples, 1 + groups + dim), and the client of each sample."""
    rng = np.random.default_rng(seed)
    clients = np.repeat(np.arange(len(counts)), counts)
    own = np.eye(max(groups) + 1)[np.asarray(groups)[clients]]
    noise = sigma * rng.normal(size=(clients.size, dim))
    return np.concatenate([np.ones((clients.size, 1)), own, noise], axis=1), clients


def _trained_margins(features, clients, squared_norms, theta, learning_rate, rounds):
    """Margins after joint training of z = 0 prompts, client by client and averaged with weights n_k/N."""
    counts = np.bincount(clients)
    shared, own = np.zeros(features.shape[1]), np.zeros((counts.size, features.shape[1]))
    for _ in range(rounds):
        arrived = np.zeros_like(shared)
        for k, count in enumerate(counts):
            g = features[clients == k]
            mixture = (1 - theta) * 2 * shared + theta * 2 * own[k]
            pull = expit(-g @ mixture) @ g / count
            arrived += (
                count / clients.size * (shared + learning_rate * (1 - theta) * squared_norms * 2 * pull)
            )
            own[k] = own[k] + learning_rate * theta * squared_norms * 2 * pull
        shared = arrived
    mixtures = (1 - theta) * 2 * shared + theta * 2 * own
    return np.einsum("ir,ir->i", features, mixtures[clients])


@pytest.mark.parametrize("theta", [0.0, 0.4, 1.0])
def test_kernel_recursion_is_federated_training(theta):
    features, clients = _world(1, (3, 5, 8), (0, 1, 0), dim=40)  # N comparable to L: no mean field here
    norms = np.concatenate([[2.0, 3.0, 3.0], np.full(40, 0.7)])
    kernel = margin_kernel(features, squared_norms=norms, clients=clients, theta=theta)
    assert_allclose(
        kernel @ np.full(16, 0.5), _trained_margins(features, clients, norms, theta, 1.0, 1), rtol=1e-12
    )
    rate = 0.5 / kernel.diagonal().max()
    trained = _trained_margins(features, clients, norms, theta, rate, 60)
    assert_allclose(exact_margins(kernel, rate, 60)[-1], trained, rtol=1e-11)


def test_rows_sum_to_the_mean_field_rates_for_orthogonal_noise():
    samples, share = 6, 3
    noise = np.eye(samples * share) * 4.0
    clients = np.repeat(np.arange(share), samples)
    features = np.concatenate([np.ones((samples * share, 1)), np.eye(share)[clients], noise], axis=1)
    norms = np.concatenate([[2.0], np.full(share, 5.0), np.ones(samples * share)])
    equal = EqualClients(
        global_feature_sq=2.0, local_feature_sq=5.0, noise_dim=16, clients=share, samples=samples
    )
    for theta in (0.0, 0.3, 1.0):
        kernel = margin_kernel(features, squared_norms=norms, clients=clients, theta=theta)
        expected = margin_rate.joint_rate(equal, theta)
        assert_allclose(kernel.sum(axis=1), expected, rtol=1e-13)


@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(1, 6),
    overlap=st.floats(0, 0.5),
    scale=st.floats(0.01, 3.0),
)
@settings(max_examples=60, deadline=None)
def test_margins_stay_inside_for_random_kernels(seed, samples, overlap, scale):
    rng = np.random.default_rng(seed)
    # not even symmetric: the statement asks nothing of the kernel beyond κ⁻ > 0
    kernel = (
        np.diag(rng.uniform(0.5, 2.0, samples)) + overlap * rng.uniform(-1, 1, (samples, samples)) / samples
    )
    margins = exact_margins(kernel, scale, 200)
    found = bounds(kernel, scale, largest_spread(margins) * (1 + 1e-9), 200)
    rounding = 1e-11 * (1 + np.abs(margins))
    assert np.all(found.lower <= margins + rounding)
    assert np.all(margins <= found.upper + rounding)


@pytest.mark.parametrize(
    ("dim", "width", "vacuous"), [(500, None, True), (2000, 0.10, False), (20000, 0.04, False)]
)
def test_reference_values(dim, width, vacuous):
    """n = 20, K = 1, a = 0.5 √(L/n), ηκ = 0.5, 2000 steps: no violation, and this width over margin."""
    samples, steps, covered_shares, widths = 20, 2000, [], []
    for seed in range(3):
        features, clients = _world(seed, (samples,), (0,), dim)
        norms = np.concatenate([[0.5 * np.sqrt(dim / samples), 0.0], np.ones(dim)])
        kernel = margin_kernel(features, squared_norms=norms, clients=clients, theta=1)
        rate = 0.5 / kernel.diagonal().max()
        margins = exact_margins(kernel, rate, steps)
        found = bounds(kernel, rate, largest_spread(margins) * (1 + 1e-9), steps)
        rounding = 1e-11 * (1 + margins)
        assert np.all(found.lower <= margins + rounding)
        assert np.all(margins <= found.upper + rounding)
        covered = np.isfinite(found.upper[-1])
        covered_shares.append(covered.mean())
        widths.append(np.mean((found.upper - found.lower)[-1][covered] / margins[-1][covered]))
    assert bool(min(covered_shares) < 1) is vacuous
    if width is not None:
        assert_allclose(np.mean(widths), width, rtol=0.15)


def test_the_spread_is_needed():
    features, clients = _world(0, (20,), (0,), 500)
    norms = np.concatenate([[2.5, 0.0], np.ones(500)])
    kernel = margin_kernel(features, squared_norms=norms, clients=clients, theta=1)
    rate = 0.5 / kernel.diagonal().max()
    margins = exact_margins(kernel, rate, 2000)
    found = bounds(kernel, rate, 0.0, 2000)
    assert np.any(found.lower > margins + 1e-6) or np.any(margins > found.upper + 1e-6)


def test_rates_from_their_definition():
    rng = np.random.default_rng(3)
    kernel, spread = rng.normal(size=(5, 5)), 0.4
    found = rates(kernel, spread)
    for i in range(5):
        others = np.delete(kernel[i], i)
        grow, fall = np.exp(spread), np.exp(-spread)
        assert_allclose(
            found.upper[i],
            kernel[i, i] + np.where(others > 0, others * grow, others * fall).sum(),
            rtol=1e-13,
        )
        assert_allclose(
            found.lower[i],
            kernel[i, i] + np.where(others > 0, others * fall, others * grow).sum(),
            rtol=1e-13,
        )


def test_nothing_is_said_outside_the_conditions():
    kernel = np.array([[1.0, -2.0], [0.0, 1.0]])
    found = bounds(kernel, 0.5, 0.1, 3)
    assert np.all(found.lower[:, 0] == -np.inf)
    assert np.all(found.upper[:, 0] == np.inf)
    assert np.all(np.isfinite(found.lower[:, 1]))
    too_large = bounds([[1.0]], 4.5, 0.0, 3)
    assert np.all(np.isinf(too_large.upper))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: margin_kernel([1.0], squared_norms=[1.0], clients=[0], theta=0), "`features` has shape"),
        (
            lambda: margin_kernel([[1.0]], squared_norms=[1.0, 2.0], clients=[0], theta=0),
            "`features` has shape",
        ),
        (lambda: margin_kernel([[1.0]], squared_norms=[-1.0], clients=[0], theta=0), "`squared_norms` is -1"),
        (lambda: margin_kernel([[1.0]], squared_norms=[1.0], clients=[0.5], theta=0), "`clients` is"),
        (lambda: margin_kernel([[1.0]], squared_norms=[1.0], clients=[0], theta=2), "`theta` is 2"),
        (lambda: exact_margins([[1.0, 2.0]], 0.1, 3), "`kernel` has shape"),
        (lambda: exact_margins([[1.0]], 0.0, 3), "`learning_rate` is 0"),
        (lambda: exact_margins([[1.0]], 0.1, -1), "`steps` is -1"),
        (lambda: rates([[np.nan]], 0.1), "`kernel` is nan"),
        (lambda: rates([[1.0]], -0.1), "`spread` is -0.1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
