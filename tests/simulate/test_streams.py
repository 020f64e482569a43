"""Random streams that must not know of each other: fresh samples, label noise of every client."""

import itertools
from typing import get_args

import jax
import numpy as np

from simulate import Experiment
from simulate.model.fresh_samples import count_correct
from simulate.model.keys import Purpose, fold_purpose, fold_purposes, replicate_key
from simulate.running.portfolio import train_portfolio
from simulate.running.prepared import prepare_rows


def test_every_purpose_has_a_stream_of_its_own() -> None:
    purposes = get_args(Purpose)
    key = replicate_key(0, 0)
    streams = [tuple(jax.random.key_data(fold_purpose(key, purpose)).tolist()) for purpose in purposes]
    assert len(set(streams)) == len(purposes)
    together = jax.random.key_data(fold_purposes(key[None], purposes))[:, 0]
    assert [tuple(each) for each in together.tolist()] == streams


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
