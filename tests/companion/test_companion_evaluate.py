"""Every number of a record is that of a plain loop over its images, with other arithmetic than the code's."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.client_splits import ClientSplits, gather
from promptfolio.companion.evaluate import CHOICES, GROUPS, SPLITS, evaluate_posthoc, evaluate_trained
from promptfolio.companion.study import draw_partitions
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, HeldOutMargins
from simulate.model.keys import replicate_key
from theory.mixing.margin_mixing import optimal_mixing
from theory.mixing.margin_moments import margin_moments

CLASSES, NEW = 5, 3
"""Classes from `NEW` on have no training image."""
SEEDS, CLIENTS = 2, 3
WHOLE = draw_synthetic_bank(classes=CLASSES, dim=12, train_per_class=20, test_per_class=40)
KEPT = ~((WHOLE.split == 0) & (WHOLE.labels >= NEW))
BANK = dataclasses.replace(
    WHOLE, **{name: getattr(WHOLE, name)[KEPT] for name in ("image_features", "labels", "split")}
)
STUDY = ClipStudy(
    clients=CLIENTS,
    replicates=SEEDS,
    beta=1.0,
    theta_step=0.1,
    trained_theta=(0.0, 0.3, 0.6, 1.0),
    prior_samples=2.0,
)
PREDICTED, EXACT, VALIDATION, BEST = map(CHOICES.index, ("predicted", "exact", "validation", "best"))


@pytest.fixture(scope="module")
def splits() -> ClientSplits:
    keys = jax.vmap(lambda replicate: replicate_key(STUDY.seed, replicate))(jnp.arange(SEEDS))
    splits = gather(BANK, draw_partitions(STUDY, BANK, keys), padding=2)
    for mask in (splits.validation, splits.test):
        assert np.unique(mask.sum(axis=2)).size > CLIENTS, "clients and replicates have different numbers"
    return splits


@pytest.fixture(scope="module")
def logits(splits: ClientSplits) -> HeldOutLogits:
    """Of prompts that know different classes, and none of them well."""
    random = np.random.default_rng(4)
    own = np.eye(CLASSES)[splits.labels]
    known = np.array([[2.0, 0.3, 1.0, 1.5, 0.2], [0.4, 2.5, 1.0, 0.1, 1.2]])
    both = known[:, splits.labels][..., None] * own + random.standard_normal((2, *own.shape))
    elsewhere = random.random((SEEDS, 1, CLIENTS, *splits.labels.shape[1:])) < 0.5
    first, second = (np.asarray(each, np.float32)[:, None] for each in both)
    return HeldOutLogits(first, second, elsewhere, np.ones((SEEDS, 1), np.float32))  # type: ignore[arg-type]


def images(splits: ClientSplits, seed: int, split: str) -> list[tuple[int, int]]:
    """The images of a split, as (client, sample)."""
    mask = {"validation": splits.validation, "test": splits.test}[split][seed]
    return [(int(client), int(sample)) for client, sample in zip(*np.nonzero(mask), strict=True)]


def mixed_right(splits: ClientSplits, logits: HeldOutLogits, seed: int, image: tuple, theta: float) -> bool:
    """Whether a mixture classifies an image correctly, in double precision."""
    pair = [np.asarray(each, np.float64)[seed, 0][image] for each in (logits[0], logits[1])]
    own = int(splits.labels[seed][image])
    mixed = (1 - theta) * pair[0] + theta * pair[1]
    return bool(mixed[own] > np.delete(mixed, own).max())


def of_group(splits: ClientSplits, seed: int, group: str, chosen: list) -> list:
    return [image for image in chosen if (splits.labels[seed][image] < NEW) == (group == "trained")]


def test_posthoc_accuracies_are_those_of_a_loop(splits: ClientSplits, logits: HeldOutLogits) -> None:
    record = evaluate_posthoc(STUDY, splits, logits)
    for seed in range(SEEDS):

        def share(chosen: list, theta: float, seed: int = seed) -> float:
            return float(np.mean([mixed_right(splits, logits, seed, image, theta) for image in chosen]))

        tested = images(splits, seed, "test")
        for at, theta in enumerate(STUDY.theta):
            for half, split in enumerate(SPLITS):
                for client in range(CLIENTS):
                    own = [image for image in images(splits, seed, split) if image[0] == client]
                    assert record.accuracy[half, seed, at, client] == pytest.approx(share(own, theta))
            for group, name in enumerate(GROUPS):
                expected = share(of_group(splits, seed, name, tested), theta)
                assert record.group_accuracy[group, seed, at] == pytest.approx(expected)
        assert record.generalisation[0, seed] == pytest.approx(share(tested, 0.0))
        for choice in range(len(CHOICES)):
            theta = record.chosen_theta[seed, choice]
            assert record.chosen_accuracy[seed, choice] == pytest.approx(share(tested, theta))
            for group, name in enumerate(GROUPS):
                expected = share(of_group(splits, seed, name, tested), theta)
                assert record.chosen_group_accuracy[group, seed, choice] == pytest.approx(expected)
            for client in range(CLIENTS):
                expected = share([image for image in tested if image[0] == client], theta)
                assert record.chosen_client_accuracy[seed, choice, client] == pytest.approx(expected)
    for prompt, end in enumerate((0, -1)):
        np.testing.assert_array_equal(record.prompt_accuracy[prompt, :, :, 0], record.accuracy[:, :, end])


def test_choices_are_made_on_validation_images_of_trained_classes(
    splits: ClientSplits, logits: HeldOutLogits
) -> None:
    record = evaluate_posthoc(STUDY, splits, logits)
    for seed in range(SEEDS):
        chosen = of_group(splits, seed, "trained", images(splits, seed, "validation"))
        at = tuple(np.transpose(chosen))
        moments = margin_moments(
            np.asarray(logits.global_prompt)[seed, 0][at],
            np.asarray(logits.local_prompt)[seed, 0][at],
            splits.labels[seed][at],
            at[0],
            STUDY.prior_samples,
        )
        best = optimal_mixing(moments)
        assert record.chosen_theta[seed, PREDICTED] == best.theta
        assert (record.tied_low[seed, PREDICTED], record.tied_high[seed, PREDICTED]) == (best.low, best.high)

        def right(theta: float, seed: int = seed, chosen: list = chosen) -> int:
            return sum(mixed_right(splits, logits, seed, image, theta) for image in chosen)

        # The exact choice is the middle of an interval that nothing between grid points beats.
        low, high = record.tied_low[seed, EXACT], record.tied_high[seed, EXACT]
        assert record.chosen_theta[seed, EXACT] == pytest.approx((low + high) / 2)
        most = max(map(right, np.linspace(0, 1, 501)))
        assert [right(theta) for theta in (low + 1e-9, (low + high) / 2, high - 1e-9)] == [most] * 3
        assert max(right(low - 1e-9), right(high + 1e-9)) < most
        # That of the grid is the middle of the longest run of its best points.
        curve = [right(theta) for theta in STUDY.theta]
        ties = [theta for theta, count in zip(STUDY.theta, curve, strict=True) if count == max(curve)]
        assert record.chosen_theta[seed, VALIDATION] in ties
        assert record.tied_low[seed, VALIDATION] in ties
        assert record.tied_high[seed, VALIDATION] in ties


def test_the_predicted_error_of_a_client_is_the_mean_over_its_images(
    splits: ClientSplits, logits: HeldOutLogits
) -> None:
    # (T24): the error of a class is that of its likeliest rival; classes count by their images.
    record = evaluate_posthoc(STUDY, splits, logits)
    for seed in range(SEEDS):
        chosen = np.transpose(of_group(splits, seed, "trained", images(splits, seed, "validation")))
        at = tuple(chosen)
        moments = margin_moments(
            np.asarray(logits.global_prompt)[seed, 0][at],
            np.asarray(logits.local_prompt)[seed, 0][at],
            splits.labels[seed][at],
            at[0],
            STUDY.prior_samples,
        )
        for index, theta in enumerate(STUDY.theta):
            wrong, count = np.zeros(CLIENTS), np.zeros(CLIENTS)
            for cell, (client, own) in enumerate(zip(moments.clients, moments.classes, strict=True)):
                errors = []
                for rival in {*range(CLASSES)} - {int(own)}:
                    mean = (1 - theta) * moments.mean_global[cell, rival]
                    mean += theta * moments.mean_local[cell, rival]
                    variance = (1 - theta) ** 2 * moments.variance_global[cell, rival]
                    variance += 2 * theta * (1 - theta) * moments.covariance[cell, rival]
                    variance += theta**2 * moments.variance_local[cell, rival]
                    errors.append(norm.cdf(-mean / np.sqrt(variance)))
                size = int(((at[0] == client) & (splits.labels[seed][at] == own)).sum())
                wrong[client] += size * max(errors)
                count[client] += size
            np.testing.assert_allclose(record.predicted_error[seed, index], wrong / count, rtol=1e-9)


def test_accuracies_of_trained_pairs_are_those_of_a_loop(splits: ClientSplits) -> None:
    random = np.random.default_rng(5)
    thetas = len(STUDY.trained_theta)
    shape = (SEEDS, thetas, *splits.labels.shape[1:])
    three = [random.standard_normal(shape).astype(np.float32) + each for each in (0.1, 0.5, -0.3)]
    measured = HeldOutMargins(three[0], three[1], three[2], np.ones(shape[:2], np.float32))  # type: ignore[arg-type]
    record = evaluate_trained(STUDY, splits, measured)
    for seed in range(SEEDS):

        def share(margins: np.ndarray, index: int, chosen: list, seed: int = seed) -> float:
            return float(np.mean([margins[seed, index][image] > 0 for image in chosen]))

        tested = images(splits, seed, "test")
        mixture = np.asarray(measured.mixture)
        for index in range(thetas):
            for half, split in enumerate(SPLITS):
                for client in range(CLIENTS):
                    own = [image for image in images(splits, seed, split) if image[0] == client]
                    found = record.accuracy[half, seed, index, client]
                    assert found == pytest.approx(share(mixture, index, own))
                    for prompt, margins in enumerate((measured.global_prompt, measured.local_prompt)):
                        found = record.prompt_accuracy[prompt, half, seed, index, client]
                        assert found == pytest.approx(share(np.asarray(margins), index, own))
            for group, name in enumerate(GROUPS):
                expected = share(mixture, index, of_group(splits, seed, name, tested))
                assert record.group_accuracy[group, seed, index] == pytest.approx(expected)
        judged = of_group(splits, seed, "trained", images(splits, seed, "validation"))
        for choice, chosen in ((VALIDATION, judged), (BEST, tested)):
            index = STUDY.trained_theta.index(record.chosen_theta[seed, choice])
            shares = [share(mixture, each, chosen) for each in range(thetas)]
            assert shares[index] == max(shares)
            assert record.chosen_accuracy[seed, choice] == pytest.approx(share(mixture, index, tested))
            for group, name in enumerate(GROUPS):
                expected = share(mixture, index, of_group(splits, seed, name, tested))
                assert record.chosen_group_accuracy[group, seed, choice] == pytest.approx(expected)
            for client in range(CLIENTS):
                expected = share(mixture, index, [image for image in tested if image[0] == client])
                assert record.chosen_client_accuracy[seed, choice, client] == pytest.approx(expected)
        assert np.isnan(record.chosen_theta[seed, [PREDICTED, EXACT]]).all()
