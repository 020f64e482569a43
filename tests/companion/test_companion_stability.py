"""Trainings that leave the numbers float32 resolves are refused, and the safe step size is safe."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.prompts import ImageBatch, cross_entropy, residual_encoder
from promptfolio.companion.stability import curvature_bound, safe_step
from promptfolio.companion.study import run_study
from promptfolio.companion.study_config import ClipStudy
from simulate.model.schemes import portfolio_objective
from simulate.results.finiteness import NonFiniteError

BANK = draw_synthetic_bank(classes=4, dim=12)
STUDY = ClipStudy(clients=3, rounds=3, record=(0, 3), replicates=2, trained_theta=(0.3, 0.7))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schemes": ("joint",), "learning_rate": 1e38}, ("joint", "θ = 0.3", "learning_rate = 1e+38")),
        ({"schemes": ("posthoc",), "learning_rate": 3e38}, ("posthoc", "learning_rate = 3e+38", "0.00039")),
        ({"schemes": ("posthoc",), "logit_scale": 1e30}, ("posthoc", "logit_scale = 1e+30")),
        ({"schemes": ("detached",), "learning_rate": 1e15}, ("detached", "learning_rate = 1e+15")),
        ({"schemes": ("posthoc",), "init_std": 1e12}, ("posthoc", "init_std = 1e+12")),
        (
            {
                "schemes": ("joint",),
                "optimizer_options": (("momentum", 1.5),),
                "rounds": 250,
                "record": (250,),
            },
            ("joint", "round 250", "momentum = 1.5"),
        ),
    ],
)
def test_diverged_training_is_an_error_that_names_its_place_and_cause(changes, words):
    with pytest.raises(NonFiniteError) as caught:
        run_study(STUDY.replace(**changes), BANK)
    message = str(caught.value)
    assert "\n" not in message
    assert "replicate 0" in message
    for word in words:
        assert word in message
    if "init_std" not in changes and "momentum" not in message:
        assert caught.value.round == 3  # the start is sound


def test_logits_that_underflow_to_ties_are_an_error():
    # 1e-38 times a difference of cosines is below the smallest number of float32.
    with pytest.raises(NonFiniteError, match="equal for the true class and a rival"):
        run_study(STUDY.replace(schemes=("posthoc",), logit_scale=1.2e-38), BANK)


def test_equal_class_texts_tie_from_the_start_and_are_no_divergence():
    assert BANK.text_features is not None
    texts = BANK.text_features.copy()
    texts[1] = texts[0]
    bank = type(BANK)(
        BANK.image_features, BANK.labels, BANK.split, BANK.split_names, BANK.class_names, "none", "x", texts
    )
    result = run_study(STUDY.replace(schemes=("posthoc",)), bank)
    assert result.accuracy.notnull().all()
    # Nothing is trained yet, and an image that ties is an error under every prompt.
    shared, own = (result.generalisation.isel(step=0).sel(prompt=prompt) for prompt in ("global", "local"))
    np.testing.assert_array_equal(own, shared)
    right = (result.baseline_accuracy * result.samples).sel(split="test").sum("client", skipna=False)
    of_classes = (result.baseline_group_accuracy * result.group_samples).sel(group="trained")
    np.testing.assert_allclose(of_classes, right)


def objective(scheme, scale, seed=0, samples=6, classes=3, dim=4):
    random = np.random.default_rng(seed)

    def unit(*shape):
        rows = random.standard_normal(shape)
        return jnp.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))

    anchors = unit(classes, dim)
    batch = ImageBatch(
        unit(samples, dim),
        jnp.asarray(random.integers(classes, size=samples), jnp.int32),
        jnp.full(samples, 1 / samples),
    )
    loss = portfolio_objective(scheme, residual_encoder(anchors), cross_entropy(scale))
    return lambda prompts, theta: loss(prompts[0], prompts[1], theta, batch), anchors


@pytest.mark.parametrize("scale", [0.5, 100.0])
@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_curvature_stays_below_its_bound(scheme, scale):
    random = np.random.default_rng(3)
    with jax.enable_x64(True):
        largest = 0.0
        for seed in range(2):
            loss, anchors = objective(scheme, scale, seed)
            for theta in (0.0, 0.4):
                texts = random.standard_normal((2, *anchors.shape))
                lengths = np.linalg.norm(texts, axis=-1, keepdims=True)
                texts *= (1 + 0.2 * random.random(lengths.shape)) / lengths
                prompts = jnp.asarray(texts) - anchors[None]
                hessian = jax.jit(jax.hessian(loss))(prompts, jnp.asarray(theta))
                matrix = np.asarray(hessian).reshape(prompts.size, prompts.size)
                largest = max(largest, np.abs(np.linalg.eigvalsh(matrix)).max())
    assert largest <= curvature_bound(scale)


def test_gradient_descent_with_the_safe_step_never_raises_the_loss():
    scale = 30.0
    with jax.enable_x64(True):
        loss, anchors = objective("posthoc", scale)
        prompts, theta = jnp.zeros((2, *anchors.shape)), jnp.asarray(0.0)
        losses, differentiate = [], jax.jit(jax.value_and_grad(loss))
        for _ in range(60):
            value, gradient = differentiate(prompts, theta)
            losses.append(float(value))
            prompts = prompts - safe_step(scale) * gradient
        shortest = float(jnp.linalg.norm(anchors[None] + prompts, axis=-1).min())
    assert (np.diff(losses) <= 0).all()
    assert losses[-1] < losses[0]
    assert shortest >= 1 - 1e-12
