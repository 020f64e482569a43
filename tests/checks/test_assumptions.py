"""Conditions of the theory, as a run's experiment and data have them."""

import pytest
import xarray as xr

from promptfolio.checks import assumptions
from simulate.experiment import Experiment


def test_each_condition_is_that_of_the_worst_run() -> None:
    """ηκ is that of the client with the fewest samples, whose labels may all agree: κ = 4(a + o + b + Lσ²e/n)."""
    uneven = Experiment(
        clients=3,
        samples=(5, 10, 20),
        groups=(0, 0, 1),
        global_feature_sq=0.4,
        local_feature_sq=0.8,
        prior_feature_sq=0.3,
        noise_feature_sq=0.5,
        noise_std=2.0,
        noise_dim=100,
        learning_rate=0.01,
    )
    wide = uneven.replace(
        groups=(0, 1, 2), noise_dim=1000, prompt_dim=1004, learning_rate=0.001, prior_feature_sq=0.0
    )
    data = xr.Dataset({"band_occupancy": ("run", [0.2, 0.4]), "noise_overlap": ("run", [0.05, 0.01])})
    for runs in ((uneven, wide), (wide, uneven)):
        assert assumptions.conditions(data, *runs) == pytest.approx(
            {
                "band_occupancy_worst": 0.4,
                "noise_overlap_worst": 0.05,
                "sample_load": 35 / 100,
                "scaled_step": max(0.01 * 4 * (1.5 + 40), 0.001 * 4 * (1.2 + 400)),
                "group_size_least": 1.0,
                "group_size_most": 2.0,
                "group_size_spread": 2.0,
            },
            rel=1e-12,
        )
