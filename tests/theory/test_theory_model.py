"""T1 to T3 against sampling, activations and finite differences; and twins against their formulas."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from simulate.model.encoder import Encoder
from theory.model import decomposition, image_features, portfolio_loss, text_encoder

reals = st.floats(-20, 20)


def test_moments_of_a_fresh_margin_by_sampling():
    random = np.random.default_rng(0)
    samples, sigma = 400_000, 0.7
    shared, own, irrelevant = 0.8, -0.3, np.array([0.5, -1.0, 0.2])
    labels = random.choice([-1.0, 1.0], samples)
    noise = random.normal(scale=sigma, size=(samples, 3))
    margins = labels * (labels * shared + labels * own + noise @ irrelevant)
    law = image_features.moments(
        signal_shared=shared, signal_own=own, noise_norm=np.linalg.norm(irrelevant), noise_std=sigma
    )
    # five standard errors of a mean, and of a variance of Gaussian values
    assert abs(margins.mean() - law.mean) < 5 * np.sqrt(law.variance / samples)
    assert abs(margins.var() - law.variance) < 5 * law.variance * np.sqrt(2 / samples)


@pytest.mark.parametrize("noise_dim", [50, 800])
def test_overlap_of_two_images_by_sampling(noise_dim):
    random = np.random.default_rng(noise_dim)
    pairs = 4000
    first, second = random.normal(scale=1.7, size=(2, pairs, noise_dim))
    overlap = np.sum(first * second, axis=1) / (1.7**2 * noise_dim)
    expected = image_features.expected_overlap(noise_dim)
    # the overlap is nearly Gaussian: its variance has the relative standard error √(2/pairs), here 5 of them
    assert overlap.std() == pytest.approx(float(expected), rel=5 * np.sqrt(1 / (2 * pairs)))


@given(z=reals, offset=st.floats(0.1, 10))
@settings(max_examples=60, deadline=None)
def test_encoder_is_the_difference_of_two_relus(z, offset):
    expected = max(z + offset, 0) - max(-z + offset, 0)
    assert_allclose(text_encoder.encode(z, offset), expected, atol=1e-12)
    assert text_encoder.encode(-z, offset) == -text_encoder.encode(z, offset)
    if abs(abs(z) - offset) > 1e-6:
        step = 1e-7
        rise = (text_encoder.encode(z + step, offset) - text_encoder.encode(z - step, offset)) / (2 * step)
        assert_allclose(text_encoder.slope(z, offset), rise, rtol=1e-6)


def test_encoder_is_the_simulators():
    z = np.linspace(-3, 3, 25)  # without the border itself, where either slope is right
    simulated = Encoder(offset=jnp.full(z.shape, 1.1), activation="relu", parameter=jnp.float32(0))
    assert_allclose(text_encoder.encode(z, 1.1), simulated(jnp.asarray(z, jnp.float32)), rtol=1e-6, atol=1e-6)
    assert_allclose(text_encoder.slope(z, 1.1), simulated.slope(jnp.asarray(z, jnp.float32)), rtol=1e-6)


@given(margin=st.floats(-30, 30))
@settings(max_examples=60, deadline=None)
def test_loss_and_residual_are_twins_of_the_formulas(margin):
    symbol, loss, residual = portfolio_loss.formula()
    at = {symbol: sympy.Float(margin, 40)}
    assert_allclose(portfolio_loss.loss(margin), float(loss.subs(at).evalf(30)), rtol=1e-13)
    assert_allclose(portfolio_loss.residual(margin), float(residual.subs(at).evalf(30)), rtol=1e-13)


def test_loss_far_from_zero():
    assert_allclose(portfolio_loss.loss([-1e5, 800.0]), [1e5, 0.0])
    assert_allclose(portfolio_loss.residual([-1e5, 40.0]), [1.0, np.exp(-40.0)])


def test_prompts_feel_the_residual_times_their_weight():
    random = np.random.default_rng(3)
    g, shared, own = random.normal(size=(3, 6))
    theta, label, step = 0.3, -1.0, 1e-6

    def loss(first, second):
        return float(portfolio_loss.loss(label * g @ portfolio_loss.mixture(theta, first, second)))

    q = portfolio_loss.residual(label * g @ portfolio_loss.mixture(theta, shared, own))
    for row, direction in enumerate(np.eye(6) * step):
        by_global = (loss(shared + direction, own) - loss(shared - direction, own)) / (2 * step)
        by_local = (loss(shared, own + direction) - loss(shared, own - direction)) / (2 * step)
        assert_allclose([by_global, by_local], -np.array([1 - theta, theta]) * q * label * g[row], rtol=1e-6)


def test_decomposition_is_a_twin_of_cramers_rule():
    random = np.random.default_rng(4)
    weights, displacement = random.normal(size=(3, 3)), random.normal(size=3)
    gram, inner, entries = decomposition.formula()
    values = dict(zip(gram, (weights @ weights.T).ravel(), strict=True))
    values |= dict(zip(inner, weights @ displacement, strict=True))
    expected = [float(entry.subs(values)) for entry in entries]
    assert_allclose(decomposition.coefficients(weights, displacement), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "arguments", "field"),
    [
        (image_features.expected_overlap, {"noise_dim": 0}, "noise_dim"),
        (
            image_features.moments,
            dict(signal_shared=1, signal_own=1, noise_norm=-1, noise_std=1),
            "noise_norm",
        ),
        (image_features.moments, dict(signal_shared=1, signal_own=1, noise_norm=1, noise_std=0), "noise_std"),
        (text_encoder.encode, dict(z=np.inf, offset=1), "z"),
        (text_encoder.slope, dict(z=0, offset=0), "offset"),
        (portfolio_loss.loss, {"margin": np.nan}, "margin"),
        (portfolio_loss.residual, {"margin": np.inf}, "margin"),
        (portfolio_loss.mixture, dict(theta=1.5, encoded_global=1, encoded_local=1), "theta"),
    ],
)
def test_bad_arguments_are_named(function, arguments, field):
    with pytest.raises(ValueError, match=f"`{field}`"):
        function(**arguments)
