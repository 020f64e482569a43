"""Training: it is the simulator's own loop, its gradient is right, and padding and batching do not matter."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.client_splits import gather
from promptfolio.companion.partition import partition_bank
from promptfolio.companion.prompts import ImageBatch, class_logits, cross_entropy, residual_encoder
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import Hyperparameters, advance, smallest_margins, start, training_program
from simulate.model.federated import autodiff
from simulate.model.keys import replicate_key
from simulate.model.schemes import mix, portfolio_objective
from tests.tolerances import RELATIVE

BANK = draw_synthetic_bank(classes=4, dim=12)
STUDY = ClipStudy(clients=3, rounds=6, replicates=2, learning_rate=0.02, init_std=0.05)


def prepared(study, padding=0):
    """The replicates' keys, images and numbers."""
    keys = jax.vmap(lambda replicate: replicate_key(study.seed, replicate))(jnp.arange(study.replicates))
    splits = gather(BANK, [partition_bank(study, BANK, key) for key in keys], padding)
    numbers = map(jnp.float32, (study.learning_rate, study.logit_scale, study.init_std))
    return keys, splits, Hyperparameters(*numbers)


def trained(scheme, theta, study=STUDY, padding=0):
    """The state after training, and what was measured on held-out images; leading axes (seeds, thetas)."""
    keys, splits, hyperparameters = prepared(study, padding)
    program = training_program(study, scheme)
    theta = jnp.asarray(theta, jnp.float32)
    states = start(program, hyperparameters, splits.replicates, keys, theta)
    states, measured = advance(
        program, hyperparameters, splits.replicates, keys, theta, states, jnp.int32(study.rounds)
    )
    return jax.tree.map(np.asarray, (states, measured))


def started(study):
    """The state before training, with two θ; leading axes (seeds, thetas)."""
    keys, splits, hyperparameters = prepared(study)
    theta = jnp.asarray([0.0, 1.0], jnp.float32)
    states = start(training_program(study, "joint"), hyperparameters, splits.replicates, keys, theta)
    return jax.tree.map(np.asarray, states)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def close(first, second):
    np.testing.assert_allclose(first, second, rtol=RELATIVE["float32"], atol=1e-5)


def test_joint_end_points_are_the_posthoc_prompts():
    separate, _ = trained("posthoc", [0.0])
    joint, _ = trained("joint", [0.0, 1.0])
    close(joint.global_prompt[:, 0], separate.global_prompt[:, 0])
    close(joint.local_prompts[:, 1], separate.local_prompts[:, 0])
    # The prompt without weight stays where it began, and the other one did move.
    assert np.abs(joint.global_prompt[:, 0] - joint.global_prompt[:, 1]).max() > 1e-3


def test_detached_global_prompt_ignores_theta():
    separate, _ = trained("posthoc", [0.0])
    detached, _ = trained("detached", [0.2, 0.8])
    for index in range(2):
        close(detached.global_prompt[:, index], separate.global_prompt[:, 0])
    assert np.abs(detached.local_prompts[:, 0] - detached.local_prompts[:, 1]).max() > 1e-3


def test_theta_and_seeds_do_not_depend_on_the_batch_they_run_in():
    together, _ = trained("joint", [0.2, 0.5, 0.9])
    alone, _ = trained("joint", [0.5], STUDY.replace(replicates=1))
    close(together.local_prompts[:1, 1:2], alone.local_prompts)


def test_padding_does_not_matter():
    (plain, logits), (padded, more) = trained("posthoc", [0.0]), trained("posthoc", [0.0], padding=17)
    close(plain.global_prompt, padded.global_prompt)
    close(plain.local_prompts, padded.local_prompts)
    close(logits.local_prompt, more.local_prompt[..., :-17, :])


@pytest.mark.parametrize("scheme", ["joint", "detached"])
def test_measured_mixture_is_the_pairs_own(scheme):
    states, margins = trained(scheme, [0.3])
    _, splits, _ = prepared(STUDY)
    text = BANK.text_features
    mixed = 0.7 * unit(text + states.global_prompt[1, 0]) + 0.3 * unit(text + states.local_prompts[1, 0, 2])
    # Not re-normalised: the mixture of two different unit vectors is shorter than one.
    assert np.linalg.norm(mixed, axis=-1).max() < 1
    logits = 100 * np.asarray(splits.replicates.held_out)[1, 2] @ mixed.T
    expected = smallest_margins(jnp.asarray(logits), jnp.asarray(splits.labels[1, 2]))
    np.testing.assert_allclose(margins.mixture[1, 0, 2], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("deviation", [0.05, 0.4])
def test_initial_prompts_are_independent_draws_of_the_given_deviation(deviation):
    study = STUDY.replace(init_std=deviation)
    state = started(study)
    globals_, locals_ = state.global_prompt, state.local_prompts
    # All θ and all clients start from one pair; the two prompts, and replicates, from draws of their own.
    np.testing.assert_array_equal(globals_[:, 0], globals_[:, 1])
    for client in range(study.clients):
        np.testing.assert_array_equal(locals_[:, 0, client], locals_[:, 1, 0])
    draws = np.stack([*globals_[:, 0], *locals_[:, 0, 0]]).reshape(4, -1)
    # With 48 entries each: five standard errors.
    np.testing.assert_allclose(draws.std(axis=1), deviation, rtol=5 / np.sqrt(2 * draws.shape[1]))
    assert abs(draws.mean(axis=1)).max() < 5 * deviation / np.sqrt(draws.shape[1])
    assert abs(np.corrcoef(draws) - np.eye(4)).max() < 5 / np.sqrt(draws.shape[1])
    assert not started(STUDY.replace(init_std=0.0)).global_prompt.any()


def gradient_in_prompt(prompt, images, labels, features, weight, scale):
    """Of the mean over images of −log softmax, at these text features, of which ``weight`` · unit(text + prompt) is
    the prompt's part; by hand, in double precision."""
    logits = scale * images @ features.T
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    residuals = probabilities - np.eye(features.shape[0])[labels]
    in_feature = weight * scale * residuals.T @ images / labels.size
    vector = np.asarray(BANK.text_features, np.float64) + prompt
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    own = vector / length
    return (in_feature - (in_feature * own).sum(axis=1, keepdims=True) * own) / length


def plain_training(scheme, theta, study, partition, global_prompt, local_prompt):
    """Federated averaging, client after client and step after step; the global and all local prompts."""
    text = np.asarray(BANK.text_features, np.float64)
    images = [np.asarray(BANK.image_features, np.float64)[rows] for rows in partition.train]
    labels = [BANK.labels[rows] for rows in partition.train]
    total = sum(map(len, labels))
    shared, own = global_prompt, [local_prompt] * study.clients
    for _ in range(study.rounds):
        sent = []
        for client in range(study.clients):
            pair = [shared, own[client]]
            for _ in range(study.local_steps):
                parts = [unit(text + prompt) for prompt in pair]
                mixture = (1 - theta) * parts[0] + theta * parts[1]
                seen = {"joint": (mixture, mixture), "posthoc": parts, "detached": (parts[0], mixture)}[
                    scheme
                ]
                weights = {"joint": (1 - theta, theta), "posthoc": (1, 1), "detached": (1, theta)}[scheme]
                slopes = [
                    gradient_in_prompt(prompt, images[client], labels[client], at, weight, study.logit_scale)
                    for prompt, at, weight in zip(pair, seen, weights, strict=True)
                ]
                pair = [
                    prompt - study.learning_rate * slope for prompt, slope in zip(pair, slopes, strict=True)
                ]
            own[client] = pair[1]
            sent.append(len(labels[client]) / total * pair[0])
        shared = sum(sent)
    return shared, np.stack(own)


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_training_is_federated_averaging_by_hand(scheme):
    study = STUDY.replace(rounds=3, local_steps=2, logit_scale=20.0, learning_rate=0.1, record=(3,))
    state, before, theta = trained(scheme, [0.3], study)[0], started(study), 0.3
    for seed in range(study.replicates):
        partition = partition_bank(study, BANK, replicate_key(study.seed, seed))
        assert np.ptp([rows.size for rows in partition.train]) > 5, "equal weights must not pass"
        start_global, start_local = before.global_prompt[seed, 0], before.local_prompts[seed, 0, 0]
        shared, own = plain_training(scheme, theta, study, partition, start_global, start_local)
        assert np.abs(shared - start_global).max() > 0.05
        np.testing.assert_allclose(state.global_prompt[seed, 0], shared, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state.local_prompts[seed, 0], own, rtol=1e-4, atol=1e-5)


def test_a_round_averages_its_participants_alone():
    study = STUDY.replace(rounds=1, learning_rate=0.1, record=(1,), participation=0.67)
    state, before = trained("posthoc", [0.0], study)[0], started(study)
    for seed in range(study.replicates):
        partition = partition_bank(study, BANK, replicate_key(study.seed, seed))
        start_global, start_local = before.global_prompt[seed, 0], before.local_prompts[seed, 0, 0]
        moved = np.abs(state.local_prompts[seed, 0] - start_local).max(axis=(1, 2)) > 1e-6
        assert moved.sum() == 2
        present = dataclasses.replace(
            partition,
            train=tuple(rows for rows, there in zip(partition.train, moved, strict=True) if there),
        )
        some = study.replace(clients=2, participation=1.0)
        shared, own = plain_training("posthoc", 0.0, some, present, start_global, start_local)
        np.testing.assert_allclose(state.global_prompt[seed, 0], shared, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state.local_prompts[seed, 0][moved], own, rtol=1e-4, atol=1e-5)


def margins_by_hand(features, images, labels):
    """Margin of each image under text features, in double precision."""
    cosines = np.asarray(images, np.float64) @ features.T
    rivals = np.where(np.eye(features.shape[0], dtype=bool)[labels], -np.inf, cosines)
    return np.take_along_axis(cosines, labels[:, None], axis=1)[:, 0] - rivals.max(axis=1)


def test_each_prompt_is_measured_on_the_images_it_should_be():
    text = np.asarray(BANK.text_features, np.float64)
    _, splits, _ = prepared(STUDY)
    held, labels = np.asarray(splits.replicates.held_out), splits.labels
    states, logits = trained("posthoc", [0.0])
    pairs, margins = trained("joint", [0.4])
    decided = 0
    for seed in range(2):
        for prompt in range(3):
            features = unit(text + states.local_prompts[seed, 0, prompt])
            for client in range(3):
                expected = margins_by_hand(features, held[seed, client], labels[seed, client])
                clear = (abs(expected) > 1e-5) & (splits.validation | splits.test)[seed, client]
                found = logits.elsewhere[seed, 0, prompt, client]
                np.testing.assert_array_equal(found[clear], expected[clear] > 0)
                decided += clear.sum()
        lengths = [np.linalg.norm(text + each, axis=-1).max() for each in states.local_prompts[seed, 0]]
        lengths.append(np.linalg.norm(text + states.global_prompt[seed, 0], axis=-1).max())
        assert float(logits.longest[seed, 0]) == pytest.approx(max(lengths), rel=1e-5)
        for client in range(3):
            images, own = held[seed, client], labels[seed, client]
            for prompt, found in (
                (pairs.global_prompt[seed, 0], margins.global_prompt[seed, 0, client]),
                (pairs.local_prompts[seed, 0, client], margins.local_prompt[seed, 0, client]),
            ):
                expected = 100 * margins_by_hand(unit(text + prompt), images, own)
                np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert decided > 500


def test_every_client_and_option_takes_part():
    base, _ = trained("posthoc", [0.0])
    for changes in (
        {"local_steps": 2},
        {"participation": 0.4},
        {"optimizer": "adam"},
        {"optimizer_options": (("momentum", 0.9),)},
        {"logit_scale": 50.0},
        {"seed": 1},
    ):
        with jax.numpy_dtype_promotion("standard"):  # optax's adam promotes its step count itself
            other, _ = trained("posthoc", [0.0], STUDY.replace(**changes))
        assert np.abs(other.local_prompts - base.local_prompts).max() > 1e-3, changes


def random_pair():
    random = np.random.default_rng(0)
    with jax.enable_x64(True):
        anchors, prompt_global, prompt_local = (jnp.asarray(random.standard_normal((4, 5))) for _ in range(3))
        batch = ImageBatch(
            images=jnp.asarray(random.standard_normal((7, 5))),
            labels=jnp.asarray(random.integers(4, size=7), jnp.int32),
            weights=jnp.asarray([0.2] * 5 + [0.0] * 2),
        )
    return anchors, prompt_global, prompt_local, batch


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_gradient_agrees_with_finite_differences(scheme):
    with jax.enable_x64(True):
        anchors, prompt_global, prompt_local, batch = random_pair()
        objective = portfolio_objective(scheme, residual_encoder(anchors), cross_entropy(3.0))
        theta, step = jnp.asarray(0.3), 1e-5
        gradients = autodiff(objective)(prompt_global, prompt_local, theta, batch)
        direction = jnp.asarray(np.random.default_rng(1).standard_normal((4, 5)))
        for position in (0, 1):

            def along(distance, position=position):
                prompts = [prompt_global, prompt_local]
                prompts[position] = prompts[position] + distance * direction
                return float(objective(prompts[0], prompts[1], theta, batch))

            difference = (along(step) - along(-step)) / (2 * step)
            assert float(jnp.sum(gradients[position] * direction)) == pytest.approx(difference, rel=1e-6)


def test_detached_gradients_are_those_of_its_two_losses():
    with jax.enable_x64(True):
        anchors, prompt_global, prompt_local, batch = random_pair()
        theta = jnp.asarray(0.3)
        parts = {
            scheme: autodiff(portfolio_objective(scheme, residual_encoder(anchors), cross_entropy(3.0)))(
                prompt_global, prompt_local, theta, batch
            )
            for scheme in ("joint", "posthoc", "detached")
        }
        np.testing.assert_allclose(parts["detached"][0], parts["posthoc"][0], rtol=1e-12)
        np.testing.assert_allclose(parts["detached"][1], parts["joint"][1], rtol=1e-12)


def test_logits_are_linear_in_theta():
    with jax.enable_x64(True):
        anchors, prompt_global, prompt_local, batch = random_pair()
        encode = residual_encoder(anchors)
        pair = encode(prompt_global, batch), encode(prompt_local, batch)
        separate = [class_logits(100.0, features, batch.images) for features in pair]
        for theta in (0.0, 0.25, 1.0):
            mixed = class_logits(100.0, mix(jnp.asarray(theta), *pair), batch.images)
            np.testing.assert_allclose(mixed, (1 - theta) * separate[0] + theta * separate[1], rtol=1e-9)


def test_loss_is_the_cross_entropy_of_unpadded_images():
    with jax.enable_x64(True):
        anchors, _, _, batch = random_pair()
        logits = 3.0 * np.asarray(batch.images) @ np.asarray(anchors).T
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected = -np.log(probabilities[np.arange(5), np.asarray(batch.labels)[:5]]).mean()
        assert float(cross_entropy(3.0)(anchors, batch)) == pytest.approx(expected, rel=1e-12)


def test_new_numbers_need_no_new_program(calls_of):
    study = STUDY.replace(local_steps=3)  # no other test's program
    traces = calls_of("promptfolio.companion.training.train")
    trained("posthoc", [0.0], study)
    first = len(traces)
    assert first > 0
    trained(
        "posthoc",
        [0.0],
        study.replace(learning_rate=0.01, logit_scale=20.0, init_std=0.2, rounds=3, record=()),
    )
    assert len(traces) == first
