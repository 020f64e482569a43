"""T4, T5 and T6 against linear algebra, finite differences and averaging by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from theory.model.aggregation import client_group_sizes, noise_energy_factor, signal_factor
from theory.model.decomposition import coefficients, reconstruct
from theory.model.update_rule import Batch, coefficient_increment, preactivation_increment

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, rows=st.integers(1, 6), extra=st.integers(0, 4))
@settings(max_examples=50, deadline=None)
def test_coefficients_match_the_gram_formula_and_reconstruct(seed, rows, extra):
    rng = np.random.default_rng(seed)
    # a diagonal keeps the rows well conditioned, so that the Gram formula itself is accurate
    weights = rng.normal(size=(rows, rows + extra)) + 6 * np.eye(rows, rows + extra)
    displacement = rng.normal(size=(3, rows)) @ weights
    values = coefficients(weights, displacement)
    gram = weights @ weights.T
    expected = np.linalg.solve(gram, weights @ displacement.T).T * np.diag(gram)
    assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
    assert_allclose(reconstruct(weights, values), displacement, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_rows_are_independent_or_not_whatever_their_size(size):
    weights, expected = size * np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]]), np.array([1.0, -2.0])
    moved = expected / np.sum(weights**2, axis=1) @ weights
    assert_allclose(coefficients(weights, moved), expected, rtol=1e-12)
    with pytest.raises(ValueError, match="linearly dependent"):
        coefficients(np.vstack([weights[0], weights[0] / 3]), moved)


def test_orthogonal_rows_give_inner_products():
    rng = np.random.default_rng(0)
    weights = np.linalg.qr(rng.normal(size=(8, 5)))[0].T * rng.uniform(0.5, 3, size=(5, 1))
    displacement = rng.normal(size=8)  # not in the span: the rest is ignored
    assert_allclose(coefficients(weights, displacement), weights @ displacement, rtol=1e-12, atol=1e-13)


def _softplus(x):
    return np.logaddexp(0, x)


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("activation", [np.tanh, _softplus], ids=["tanh", "softplus"])
def test_update_rule_against_finite_differences(orthogonal, activation):
    rng = np.random.default_rng(1)
    rows, dim, samples, eta, omega = 4, 6, 5, 0.3, 0.6
    weights = rng.normal(size=(rows, dim))
    if orthogonal:
        weights = np.linalg.qr(weights.T)[0].T * np.array([[1.0], [2.0], [0.5], [1.5]])
    prompt, other = rng.normal(size=dim) / 3, rng.normal(size=rows)
    offset, labels = rng.uniform(1, 2, rows), rng.choice([-1.0, 1.0], samples)
    features = rng.normal(size=(samples, rows))

    def encode(z):
        return activation(z + offset) - activation(-z + offset)

    def margins(p):
        return labels * (features @ ((1 - omega) * other + omega * encode(weights @ p)))

    def loss(p):
        return np.logaddexp(0, -margins(p)).mean()

    h = 1e-6  # central differences: error h² + 1e-16/h, both below 1e-9
    gradient = np.array([(loss(prompt + h * d) - loss(prompt - h * d)) / (2 * h) for d in np.eye(dim)])
    z = weights @ prompt
    slope = (encode(z + h) - encode(z - h)) / (2 * h)
    expected = -eta * weights @ gradient
    batch = Batch(features, labels, margins(prompt))
    shared: dict[str, Any] = dict(learning_rate=eta, weight=omega, slope=slope)
    assert_allclose(preactivation_increment(batch, gram=weights @ weights.T, **shared), expected, atol=1e-8)
    if orthogonal:
        squared = (weights**2).sum(axis=1)
        assert_allclose(coefficient_increment(batch, squared_norms=squared, **shared), expected, atol=1e-8)


def test_update_rule_with_extreme_margins():
    shared: dict[str, Any] = dict(learning_rate=1.0, weight=1.0, squared_norms=[1.0], slope=[1.0])
    assert coefficient_increment(Batch([[1.0]], [1], [1e4]), **shared).tolist() == [0.0]
    assert coefficient_increment(Batch([[1.0]], [1], [-1e4]), **shared).tolist() == [1.0]


@given(seed=seeds, clients=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_signal_factor_is_what_averaging_leaves(seed, clients):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3, clients)
    nu = np.linalg.qr(rng.normal(size=(5, 3)))[0].T * 1.7  # orthogonal, equal norms
    moved = nu[groups].mean(axis=0)  # every client moves by its own ν, then all are averaged
    left = nu[groups] @ moved / (nu[groups] ** 2).sum(axis=1)
    assert_allclose(signal_factor(group_size=client_group_sizes(groups), clients=clients), left, atol=1e-12)


def test_group_size_with_a_gram_matrix():
    gram = np.array([[2.0, -1.0], [-1.0, 2.0]])
    assert client_group_sizes([0, 1, 1], gram).tolist() == [0.0, 1.5, 1.5]
    assert client_group_sizes([0, 1, 1], 3 * np.eye(2)).tolist() == client_group_sizes([0, 1, 1]).tolist()


@given(counts=st.lists(st.integers(1, 500), min_size=1, max_size=8))
@settings(deadline=None)
def test_noise_energy_is_the_sum_over_clients(counts):
    n = np.array(counts, dtype=float)
    weights = n / n.sum()
    factors = noise_energy_factor(n)
    assert_allclose(factors.global_prompt, (weights**2 / n).sum(), rtol=1e-12)
    assert_allclose(factors.local_prompts, 1 / n)


def test_noise_energy_by_sampling():
    rng = np.random.default_rng(2)
    counts, draws = np.array([2, 3, 7]), 20_000
    means = np.stack([rng.normal(size=(draws, n)).mean(axis=1) for n in counts])
    averaged = (counts / counts.sum()) @ means
    factors = noise_energy_factor(counts)
    # the variance of 20000 normals has relative standard error √(2/20000) = 1 %; five of them
    assert_allclose(averaged.var(), factors.global_prompt, rtol=0.05)
    assert_allclose(means.var(axis=1), factors.local_prompts, rtol=0.05)
