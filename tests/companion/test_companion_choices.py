"""Nothing that is chosen, or said about a choice, depends on test images; weights are those of the images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.client_splits import gather
from promptfolio.companion.evaluate import CHOICES, evaluate, evaluate_posthoc, evaluate_trained
from promptfolio.companion.study import draw_partitions
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, HeldOutMargins
from simulate.model.keys import replicate_key

BANK = draw_synthetic_bank(classes=4, dim=12, train_per_class=20, test_per_class=40)
STUDY = ClipStudy(clients=3, replicates=2, theta_step=0.1, trained_theta=(0.0, 0.3, 0.6, 1.0))
HONEST = [CHOICES.index(name) for name in ("predicted", "exact", "validation")]


@pytest.fixture(scope="module")
def splits():
    keys = jax.vmap(lambda replicate: replicate_key(STUDY.seed, replicate))(jnp.arange(STUDY.replicates))
    return gather(BANK, draw_partitions(STUDY, BANK, keys))


def logits(splits, random):
    shape = (*splits.labels.shape, BANK.classes)
    own = np.eye(BANK.classes)[splits.labels]
    both = [(own * 1.2 + random.standard_normal(shape)).astype(np.float32)[:, None] for _ in range(2)]
    clients = splits.labels.shape[1]
    elsewhere = random.random((2, 1, clients, *splits.labels.shape[1:])) < 0.5
    return HeldOutLogits(*both, elsewhere, np.ones((2, 1), np.float32))


def margins(splits, random):
    thetas = len(STUDY.trained_theta)
    three = [
        random.standard_normal((2, thetas, *splits.labels.shape[1:])).astype(np.float32) for _ in range(3)
    ]
    return HeldOutMargins(*three, np.ones((2, thetas), np.float32))


def on_test_images(splits, measured, random):
    """The same measurements with every test image's replaced by others."""
    test = splits.test[:, None]

    def other(values):
        if values.shape[-3:] == (*splits.labels.shape[1:], BANK.classes):
            return np.where(test[..., None], 9 * random.standard_normal(values.shape), values).astype(
                np.float32
            )
        return np.where(test, 9 * random.standard_normal(values.shape), values).astype(np.float32)

    changed = {name: other(getattr(measured, name)) for name in measured._fields[:2]}
    if isinstance(measured, HeldOutMargins):
        changed["mixture"] = other(measured.mixture)
    return measured._replace(**changed)


@pytest.mark.parametrize("measure", [logits, margins])
def test_nothing_chosen_moves_when_every_test_image_changes(splits, measure):
    random = np.random.default_rng(0)
    measured = measure(splits, random)
    before = evaluate(STUDY, splits, measured)
    moved = 0
    for _ in range(5):
        after = evaluate(STUDY, splits, on_test_images(splits, measured, random))
        for name in ("chosen_theta", "tied_low", "tied_high"):
            first, second = (getattr(record, name)[:, HONEST] for record in (before, after))
            np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(before.predicted_error, after.predicted_error)
        np.testing.assert_array_equal(before.accuracy[0], after.accuracy[0])
        best = CHOICES.index("best")
        moved += not np.array_equal(before.chosen_theta[:, best], after.chosen_theta[:, best])
        assert not np.array_equal(before.chosen_accuracy, after.chosen_accuracy)
    assert moved, "the reference choice is made on test images"


def test_halves_that_disagree_are_told_apart_under_the_posthoc_scheme(splits):
    # Validation images need the global prompt, test images the local one; more so for some, so that nothing ties.
    random = np.random.default_rng(1)
    own = np.eye(BANK.classes)[splits.labels]
    strength = 1 + random.random((*splits.labels.shape, 1))
    right, wrong = 5 * own * strength, -2 * own * strength
    noise = 0.5 * random.standard_normal((2, *own.shape))
    test = splits.test[..., None]
    both = (np.where(test, wrong, right) + noise[0], np.where(test, right, wrong) + noise[1])
    measured = HeldOutLogits(
        *(each.astype(np.float32)[:, None] for each in both),
        np.zeros((2, 1, 3, *splits.labels.shape[1:]), bool),
        np.ones((2, 1), np.float32),
    )
    record = evaluate_posthoc(STUDY, splits, measured)
    theta = dict(zip(CHOICES, record.chosen_theta.T, strict=True))
    for name in ("predicted", "exact", "validation"):
        assert (theta[name] < 0.5).all(), name
    assert (theta["best"] > 0.5).all()


def test_halves_that_disagree_are_told_apart_for_trained_pairs(splits):
    # θ = 0.3 is best on every validation image, θ = 0.6 on every test image.
    shape = (2, len(STUDY.trained_theta), *splits.labels.shape[1:])
    mixture = -np.ones(shape, np.float32)
    mixture[:, 1][splits.validation] = 1
    mixture[:, 2][splits.test] = 1
    measured = HeldOutMargins(mixture, mixture, mixture, np.ones(shape[:2], np.float32))
    record = evaluate_trained(STUDY, splits, measured)
    validation, best = CHOICES.index("validation"), CHOICES.index("best")
    assert (record.chosen_theta[:, validation] == 0.3).all()
    assert (record.chosen_accuracy[:, validation] == 0).all()
    assert (record.chosen_theta[:, best] == 0.6).all()
    assert (record.chosen_accuracy[:, best] == 1).all()
    assert (record.tied_low == record.tied_high)[:, [validation, best]].all()


def test_ties_of_trained_pairs_go_to_the_middle_and_are_told(splits):
    measured = margins(splits, np.random.default_rng(2))
    level = np.ones_like(measured.mixture)
    level[:, 3] = -1
    record = evaluate_trained(STUDY, splits, measured._replace(mixture=level))
    validation = CHOICES.index("validation")
    assert (record.chosen_theta[:, validation] == 0.3).all()
    assert (record.tied_low[:, validation] == 0.0).all()
    assert (record.tied_high[:, validation] == 0.6).all()


def test_local_prompts_are_tested_on_everyones_images(splits):
    measured = logits(splits, np.random.default_rng(3))
    record = evaluate_posthoc(STUDY, splits, measured)
    for seed in range(2):
        for client in range(3):
            right = measured.elsewhere[seed, 0, client][splits.test[seed]]
            assert record.generalisation[1, seed, client] == pytest.approx(right.mean())


def test_federated_averages_weigh_clients_by_their_training_images(splits):
    weights = np.asarray(splits.replicates.client_weights)
    assert (splits.train_rows.min(axis=1) < splits.train_rows.max(axis=1)).all(), "clients differ"
    np.testing.assert_allclose(
        weights, splits.train_rows / splits.train_rows.sum(axis=1, keepdims=True), rtol=1e-6
    )
