"""The theory's description of an experiment has each of its numbers in its own place."""

import numpy as np

from promptfolio.federation import federation_of
from simulate.experiment import Experiment

EXPERIMENT = Experiment(
    clients=4,
    samples=(3, 5, 7, 9),
    groups=(0, 1, 0, 2),
    global_feature_sq=2.5,
    local_feature_sq=3.5,
    noise_feature_sq=1.75,
    noise_std=0.5,
    noise_dim=60,
    label_noise=0.125,
    class_prior=(0.5, 0.375, 0.625, 0.25),
    prior_feature_sq=0.75,
)


def test_each_number_of_an_experiment_is_in_its_place() -> None:
    federation = federation_of(EXPERIMENT)
    numbers: dict[str, float | list[float]] = {
        "global_feature_sq": 2.5,
        "local_feature_sq": 3.5,
        "noise_feature_sq": 1.75,
        "noise_std": 0.5,
        "noise_dim": 60,
        "sample_counts": [3, 5, 7, 9],
        "groups": [0, 1, 0, 2],
        "label_noise": 0.125,
        "class_prior": [0.5, 0.375, 0.625, 0.25],
        "prior_feature_sq": 0.75,
    }
    for name, value in numbers.items():
        found = np.asarray(getattr(federation, name))
        np.testing.assert_array_equal(found, np.broadcast_to(value, found.shape), err_msg=name)
        assert found.size >= np.size(value)
    np.testing.assert_allclose(federation.client_weights, np.array([3, 5, 7, 9]) / 24)
    assert federation.noise_energy == 60 * 0.25 * 1.75
