"""Random streams that must not know of each other: fresh samples, label noise of every client."""

import itertools
import types
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

from simulate import Experiment
from simulate.model.fresh_samples import count_correct
from simulate.model.keys import (
    Purpose,
    fold_purpose,
    fold_purposes,
    folded_words,
    replicate_key,
    root_key,
    root_words,
)
from simulate.model.world import streams_of
from simulate.running.portfolio import train_portfolio
from simulate.running.prepared import prepare_rows


def test_every_purpose_has_a_stream_of_its_own() -> None:
    purposes = get_args(Purpose)
    key = replicate_key(0, 0)
    streams = [tuple(jax.random.key_data(fold_purpose(key, purpose)).tolist()) for purpose in purposes]
    assert len(set(streams)) == len(purposes)
    together = jax.random.key_data(fold_purposes(key[None], purposes))[:, 0]
    assert [tuple(each) for each in together.tolist()] == streams


@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**32 - 1])
def test_keys_folded_in_numpy_are_those_of_jax(seed: int) -> None:
    numbers = np.array([0, 1, 5, 2**31 - 1, 2**31, 2**32 - 1], np.uint32)
    words = folded_words(root_words(seed), numbers)
    by_jax = jax.vmap(jax.random.fold_in, (None, 0))(root_key(seed), jnp.asarray(numbers))
    np.testing.assert_array_equal(words, jax.random.key_data(by_jax))
    again = folded_words(words, np.uint32(3) + np.zeros(1, np.uint32))
    np.testing.assert_array_equal(
        again, jax.random.key_data(jax.vmap(jax.random.fold_in, (0, None))(by_jax, 3))
    )


def test_streams_of_a_replicate_are_those_of_its_key() -> None:
    keys, participation = streams_of(Experiment(seed=5, replicates=3), np.array([2, 0]))
    for place, replicate in enumerate((2, 0)):
        key = replicate_key(5, replicate)
        named = {**keys._asdict(), "participation": participation}
        for purpose, stream in named.items():
            expected = jax.random.key_data(fold_purpose(key, purpose))  # type: ignore[arg-type]
            np.testing.assert_array_equal(jax.random.key_data(stream)[place], expected)


def test_fresh_samples_are_not_the_training_samples() -> None:
    # Without a signal a prompt has memorised its samples and knows no others. One fresh sample per client is drawn
    # as the client's first training sample would be.
    memory = Experiment(
        clients=60,
        samples=(1,),
        global_feature_sq=0.0,
        local_feature_sq=0.0,
        noise_dim=50,
        rounds=20,
        learning_rate=1e-2,
        theta=(1.0,),
        replicates=4,
    )
    portfolio = train_portfolio(memory)
    labels, features = portfolio.data.labels, portfolio.data.features
    margins = labels * np.einsum("sknr,skr->skn", features, portfolio.feature_local[:, 0])
    assert (margins > 0).all(), "training samples must be known to test anything"
    shares = count_correct(memory, 1)
    assert shares.attrs["fresh_samples"] == 1
    # 240 tosses of a coin: five standard errors.
    assert abs(float(shares.mean(skipna=False)) - 0.5) < 5 * 0.5 / 240**0.5


def test_fresh_samples_of_batches_clients_and_replicates_are_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All clients and replicates have the same two prompts, so that equal draws would be counted alike."""
    experiment = Experiment(
        clients=6,
        samples=(2,),
        groups=(0, 1, 0, 1, 0, 0),
        class_prior=(0.8,),
        prior_feature_sq=1.0,
        noise_std=0.6,
        noise_dim=25,
        theta=(0.1, 0.7),
        replicates=5,
    )
    noise = np.linspace(-1, 1, 25)
    shared, own = (
        np.concatenate([[1.0, 0.5, -0.8, 0.7], noise]),
        np.concatenate([[0.2, 1, 2, -0.5], noise[::-1] ** 2]),
    )
    portfolio = types.SimpleNamespace(
        feature_global=jnp.asarray(np.broadcast_to(shared, (5, 2, 29)), jnp.float32),
        feature_local=jnp.asarray(np.broadcast_to(own, (5, 2, 6, 29)), jnp.float32),
    )
    monkeypatch.setattr("simulate.model.fresh_samples.train_portfolio", lambda _: portfolio)
    monkeypatch.setattr("simulate.model.fresh_samples._BATCH_ENTRIES", 1000)
    shares = count_correct(experiment.replace(precision="float32"), 3999)
    assert shares.attrs["fresh_samples"] == 4000
    for number, theta in enumerate(experiment.theta):
        mixed = (1 - theta) * shared + theta * own
        for client, group in enumerate(experiment.groups):
            signal, bias, risk = mixed[0] + mixed[1 + group], mixed[3], 0.6 * np.linalg.norm(mixed[4:])
            chance = 0.8 * ndtr((signal + bias) / risk) + 0.2 * ndtr((signal - bias) / risk)
            counted = shares.values[:, number, client]
            assert abs(counted.mean() - chance) < 5 * (chance * (1 - chance) / 20_000) ** 0.5
    counts = np.rint(4000 * shares.values[:, 0][:, [0, 2, 4, 5]]).astype(
        int
    )  # one group: (replicates, clients)
    assert (np.ptp(counts, axis=0) > 0).all(), "replicates share their samples"
    assert (np.ptp(counts, axis=1) > 0).all(), "clients share their samples"
    # A hundred batches of the same 40 samples would give multiples of 100, and spreads ten times as large.
    assert (counts % 100 != 0).mean() > 0.5


def flips(experiment: Experiment) -> np.ndarray:
    """Which labels are flipped, (seeds, clients, samples)."""
    with jax.enable_x64(experiment.precision == "float64"):
        data = prepare_rows(experiment).worlds.data
    return np.asarray(data.labels != data.classes)


def test_label_noise_of_every_client_sample_and_replicate_is_its_own() -> None:
    noisy = Experiment(clients=5, samples=(40,), noise_dim=3, label_noise=0.3, replicates=3)
    flipped = flips(noisy)
    patterns = flipped.reshape(-1, 40)
    # Two independent patterns of 40 agree in 0.58 of their entries; 0.58 + 5 · (0.58 · 0.42 / 40)^½ = 0.97.
    for first, second in itertools.combinations(patterns, 2):
        assert (first == second).mean() < 0.97
    agreement = np.mean([(a == b).mean() for a, b in itertools.combinations(patterns, 2)])
    # 105 pairs of patterns, which share them; their mean varies as that of a few hundred flips.
    assert abs(agreement - 0.58) < 0.06
    assert abs(flipped.mean() - 0.3) < 5 * (0.21 / flipped.size) ** 0.5
    # A client's flips do not depend on the others, nor on how many samples they have.
    alone = flips(noisy.replace(samples=(40, 7, 3, 9, 1)))
    np.testing.assert_array_equal(alone[:, 0], flipped[:, 0])
