"""Which predictions a run leaves, in words; and no word where it leaves none."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from promptfolio.checks import departures
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate import Experiment

INSIDE = xr.Dataset({"band_occupancy": 0.1, "noise_overlap": 0.05})
ALL = ("leading order", "mean field", "sandwich")


def test_the_default_run_has_nothing_to_say() -> None:
    assert departures.of_run(Experiment(), INSIDE) == []


@pytest.mark.parametrize(
    ("changes", "said", "leaves"),
    [
        ({"activation": "tanh"}, ("activation = tanh",), ALL),
        ({"activation": "softplus"}, ("activation = softplus",), ALL),
        ({"activation": "relu_power", "activation_parameter": 2.0}, ("activation = relu_power",), ALL),
        ({"noise_dim": 300}, ("N/L = 0.133",), ALL[:2]),
        ({"init_std": 0.1}, ("init_std = 0.1", "start at zero"), ALL[:2]),
        ({"optimizer": "adam"}, ("optimizer = adam",), ALL),
        ({"optimizer_options": (("momentum", 0.9),)}, ("momentum = 0.9",), ALL),
        ({"participation": 0.5}, ("participation = 0.5", "(T28)"), ALL),
        ({"label_noise": 0.2}, ("label_noise = 0.2", "(T26)"), ALL[:2]),
        ({"prior_feature_sq": 1.0}, ("prior_feature_sq = 1", "(T27)"), ALL[:2]),
        ({"local_steps": 5}, ("local_steps = 5", "(T12) and (T13)"), ("closed forms", "sandwich")),
        ({"samples": (9, 10, 10, 10)}, ("from 9 to 10 samples", "(T22)"), ("leading order", "closed forms")),
        ({"groups": (0, 0, 0, 1)}, ("groups of 1 to 3 clients",), ("leading order", "closed forms")),
        ({"clients": 1}, ("clients = 1",), ("leading order",)),
        ({"learning_rate": 1e-3}, ("ηκ = 0.845",), ("closed forms in time (T9, T20)",)),
        ({"learning_rate": 1e-2}, ("ηκ = 8.45", "at most 4"), ("closed forms", "sandwich")),
        ({"scheme": "posthoc"}, ("ηκt = 20.3", "(T20)"), ("leading order",)),
        ({"scheme": "detached"}, ("(T25)",), ("leading order",)),
    ],
)
def test_every_departure_is_one_sentence(
    changes: dict[str, Any], said: tuple[str, ...], leaves: tuple[str, ...]
) -> None:
    (sentence,) = departures.of_run(Experiment(**changes), INSIDE)
    for part in (*said, *leaves):
        assert part in sentence
    for other in set(ALL) - set(leaves):
        assert other not in sentence


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"band_occupancy": 1.0}, "|z|/c reaches 1"),
        ({"band_occupancy": 3.21}, "|z|/c reaches 3.21"),
        ({"noise_overlap": 0.2}, "the overlap is 0.2"),
    ],
)
def test_measured_conditions_are_told_with_their_values(measured: dict[str, float], said: str) -> None:
    (sentence,) = departures.of_run(Experiment(), INSIDE.assign(measured))
    assert said in sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "leaky_relu"},  # linear inside the band, as relu is
        {"activation": "relu_power", "activation_parameter": 1.0},
        {"class_prior": (0.9,)},  # no coordinate shows it
        {"scheme": "posthoc", "rounds": 1, "learning_rate": 1e-4},
        {"groups": (0, 0, 1, 1)},
        {"theta": (0.0, 1.0)},
    ],
)
def test_what_the_predictions_cover_is_no_departure(changes: dict[str, Any]) -> None:
    assert departures.of_run(Experiment(**changes), INSIDE) == []


def test_a_run_that_diverged_has_no_conditions() -> None:
    with pytest.raises(FloatingPointError):
        departures.of_run(Experiment(), INSIDE.assign(band_occupancy=np.nan))


def _comparison(measured: float = 1.0, flat: bool = False) -> xr.Dataset:
    ratio = xr.DataArray(np.ones((1, 1, 11)), dims=("seed", "step", "theta"))
    found = {"ratio": measured * ratio, "ratio_predicted": ratio[0], "theta_flat": ("step", [flat])}
    return INSIDE.assign(found)


def _mixing(scheme: str = "joint", spacing: float = 0.1, **changes: Any) -> Experiment:
    theta = tuple(np.linspace(0, 1, round(1 / spacing) + 1).round(10).tolist())
    return SymmetricSetting(noise_dim=4000, **changes).experiment(scheme=scheme, theta=theta, rounds=1)


def test_a_comparison_that_is_covered_has_nothing_to_say() -> None:
    for scheme in ("joint", "posthoc", "detached"):
        assert departures.of_mixing(_mixing(scheme), _comparison()) == []
    # what joint and detached training are predicted step by step
    assert departures.of_mixing(_mixing("joint", step_size=3.0), _comparison()) == []


@pytest.mark.parametrize(
    ("experiment", "data", "said"),
    [
        (_mixing(), _comparison().assign(band_occupancy=2.0), "(T21) assumes that every row"),
        (_mixing("detached"), _comparison().assign(noise_overlap=0.3), "(T25) assumes nearly orthogonal"),
        (_mixing("posthoc", step_size=1.0), _comparison(), "(T20) assumes small steps"),
        (_mixing(), _comparison(1.2), "by up to 20 %"),
        (_mixing(), _comparison(float("nan")), "by up to nan %"),
        (_mixing(spacing=0.25), _comparison(), "0.25 apart"),
        (_mixing(), _comparison(flat=True), "(flat)"),
    ],
)
def test_every_reason_for_a_difference_is_one_sentence(
    experiment: Experiment, data: xr.Dataset, said: str
) -> None:
    if experiment.theta[1] > 0.2:
        data = data.isel(theta=slice(len(experiment.theta)))
    (sentence,) = departures.of_mixing(experiment, data)
    assert said in sentence


def test_training_time_counts_local_steps() -> None:
    """η 4(a + b + L/n) t: one round of five steps is five times as long as one of one."""
    experiment = Experiment(scheme="posthoc", rounds=1, record=(1,), learning_rate=1e-4, local_steps=5)
    sentences = departures.of_run(experiment, INSIDE)
    assert any("ηκt = 0.42" in sentence for sentence in sentences), sentences
