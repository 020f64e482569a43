"""The study's description: validated at construction, complete, and readable back from JSON."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from promptfolio.companion.study_config import ClipStudy
from simulate.validation import ConfigurationError

BAD = [
    ("clients", 1),
    ("clients", 2.0),
    ("beta", 0.0),
    ("beta", float("nan")),
    ("beta", 1e7),
    ("validation_fraction", 1.0),
    ("min_rows", 0),
    ("anchor_images", 0),
    ("train_split", "test"),
    ("split", "mixed"),
    ("partition_seed", -1),
    ("partition_seed", 0.5),
    ("schemes", ()),
    ("schemes", ("joint", "joint")),
    ("schemes", ("apart",)),
    ("theta_step", 0.3),
    ("theta_step", 0.0),
    ("trained_theta", ()),
    ("trained_theta", (0.5, 0.1)),
    ("trained_theta", (0.5, 1.1)),
    ("rounds", 0),
    ("record", (5, 2)),
    ("record", (1, 10**6)),
    ("record", (-1, 2)),
    ("record", 3),
    ("record", ("1", 2)),
    ("trained_theta", 0.5),
    ("trained_theta", ("0.5", 0.7)),
    ("theta_step", 1e-320),
    ("heldout_split", 3),
    ("optimizer_options", (3,)),
    ("optimizer_options", "momentum"),
    ("local_steps", 0),
    ("participation", 0.0),
    ("optimizer", "gradient descent"),
    ("optimizer_options[momentum]", float("inf")),
    ("optimizer_options[speed]", 1.0),
    ("learning_rate", 0.0),
    ("logit_scale", -1.0),
    ("logit_scale", 1e-44),
    ("logit_scale", 1e39),
    ("learning_rate", 1e-39),
    ("learning_rate", 1e39),
    ("init_std", 1e39),
    ("optimizer_options[momentum]", 1e40),
    ("trained_theta", (0.5, 0.50000001)),
    ("clients", 2**31),
    ("rounds", 10**12),
    ("init_std", -1.0),
    ("prior_samples", 0.0),
    ("seed", -1),
    ("replicates", 0),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_field_is_named(field, value):
    name, _, option = field.rstrip("]").partition("[")
    changed: dict[str, Any] = {name: ((option, value),) if option else value}
    with pytest.raises(ConfigurationError) as caught:
        ClipStudy(**changed)
    assert caught.value.field == field
    assert caught.value.allowed


def test_json_round_trip():
    study = ClipStudy(optimizer="adam", optimizer_options=(("b1", 0.8),), record=(0, 3), train_split="val")
    assert ClipStudy.from_json(study.to_json()) == study
    pooled = ClipStudy(split="pooled", partition_seed=3)
    assert ClipStudy.from_json(pooled.to_json()) == pooled


@pytest.mark.parametrize("text", ["", "[]", '{"lr": 1}', "3"])
def test_bad_json_is_an_error(text):
    with pytest.raises(ConfigurationError):
        ClipStudy.from_json(text)


def test_grid_holds_every_trained_theta_once():
    study = ClipStudy(theta_step=0.02, trained_theta=(0.1, 0.1 + 0.2, 0.333, 1.0))
    assert len(study.theta) == 52
    assert all(min(abs(theta - trained) for theta in study.theta) < 1e-9 for trained in study.trained_theta)


def test_default_grid_is_fine_enough():
    assert ClipStudy().theta_step <= 0.02


def test_describing_a_study_loads_nothing_heavy():
    heavy = "[name for name in ('jax', 'numpy', 'xarray') if name in sys.modules]"
    code = f"import sys, promptfolio.companion as companion; companion.ClipStudy(); print({heavy})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_thetas_are_multiples_of_the_step_to_the_last_digits():
    study = ClipStudy(theta_step=1 / 16, trained_theta=(0.03125, 0.5))
    assert study.theta == tuple(sorted([index / 16 for index in range(17)] + [0.03125]))
    thirds = ClipStudy(theta_step=1 / 3, trained_theta=(1 / 3,)).theta
    np.testing.assert_allclose(thirds, (0, 1 / 3, 2 / 3, 1), rtol=1e-11)


@pytest.mark.parametrize(
    ("rounds", "record"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (7, (1, 2, 5, 7)),
        (150, (1, 2, 5, 10, 20, 50, 100, 150)),
        (200, (1, 2, 5, 10, 20, 50, 100, 200)),
    ],
)
def test_rounds_are_recorded_at_one_two_and_five(rounds, record):
    assert ClipStudy(rounds=rounds).record == record
