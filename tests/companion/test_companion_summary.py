"""What a study's summary says, read from its dataset by other words."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.partition import Partition, partition_bank
from promptfolio.companion.study import run_study
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.summary import summarise
from simulate.model.keys import replicate_key


@pytest.fixture(scope="module")
def result() -> xr.Dataset:
    study = ClipStudy(
        clients=3,
        rounds=12,
        record=(3, 12),
        replicates=2,
        learning_rate=0.02,
        theta_step=0.1,
        trained_theta=(0.0, 0.35, 1.0),
    )
    return run_study(study, draw_synthetic_bank(classes=5, dim=16, spread=3.0))


def test_differences_are_those_of_the_dataset(result: xr.Dataset) -> None:
    overall = result.overall_accuracy.sel(split="test")
    for index, said in enumerate(summarise(result)["rounds"]):
        chosen = result.chosen_accuracy.isel(step=index)
        posthoc, curve = chosen.sel(scheme="posthoc"), overall.sel(scheme="posthoc").isel(step=index)
        single = np.maximum(curve.sel(theta=0.0), curve.sel(theta=1.0))
        expected = {
            "posthoc_regret": posthoc.sel(choice="best") - posthoc.sel(choice="predicted"),
            "posthoc_gain": posthoc.sel(choice="predicted") - single,
        }
        for scheme in ("joint", "detached"):
            own = chosen.sel(scheme=scheme, choice="validation")
            expected[f"{scheme}_deficit"] = posthoc.sel(choice="validation") - own
        for name, values in expected.items():
            assert said[name]["mean"] == pytest.approx(100 * float(values.mean()), abs=1e-9), name
            assert said[name]["std"] == pytest.approx(100 * float(values.std(ddof=1)), abs=1e-9), name


def test_the_conversion_is_that_of_the_odds(result: xr.Dataset) -> None:
    theta = result.chosen_theta.sel(scheme="posthoc", choice="predicted").values
    odds = theta / (1 - theta)
    converted = np.sqrt(odds) / (1 + np.sqrt(odds))
    assert (abs(converted - theta) > 1e-3).any(), "θ* must differ from its conversion to test anything"
    found = result.converted_theta.transpose(*result.chosen_theta.sel(scheme="posthoc", choice="best").dims)
    np.testing.assert_allclose(found, converted, rtol=1e-6)


WHOLE = draw_synthetic_bank(classes=5, dim=16, spread=3.0)
OLD = 3
"""Classes from this one on have no training image."""
KEPT = ~((WHOLE.split == 0) & (WHOLE.labels >= OLD))
BANK = dataclasses.replace(
    WHOLE, **{name: getattr(WHOLE, name)[KEPT] for name in ("image_features", "labels", "split")}
)
STUDY = ClipStudy(
    clients=3,
    beta=1.0,
    rounds=4,
    record=(2, 4),
    local_steps=2,
    replicates=2,
    learning_rate=0.02,
    theta_step=0.1,
    trained_theta=(0.0, 0.35, 0.7, 1.0),
)


@pytest.fixture(scope="module")
def partly() -> xr.Dataset:
    """A study of which some classes are tested without being trained on."""
    return run_study(STUDY, BANK)


@pytest.fixture(scope="module")
def partitions() -> list[Partition]:
    return [partition_bank(STUDY, BANK, replicate_key(STUDY.seed, seed)) for seed in range(2)]


def test_steps_are_gradient_steps(partly: xr.Dataset) -> None:
    assert (partly["round"].values.tolist(), partly.step.values.tolist()) == ([2, 4], [4, 8])


def test_numbers_of_images_are_those_of_the_partitions(
    partly: xr.Dataset, partitions: list[Partition]
) -> None:
    summary = summarise(partly)
    parts = {name: [getattr(each, name) for each in partitions] for name in ("train", "validation", "test")}
    for name, clients in parts.items():
        sizes = np.array([[rows.size for rows in each] for each in clients])
        found = partly.train_samples if name == "train" else partly.samples.sel(split=name)
        np.testing.assert_array_equal(found.transpose("seed", "client"), sizes)
        assert summary[f"{name}_images"] == pytest.approx(sizes.sum(axis=1).mean())
    assert summary["validation_images"] < summary["test_images"]
    labels = [BANK.labels[np.concatenate(each)] for each in parts["test"]]
    for group, of_group in (("trained", np.less), ("untrained", np.greater_equal)):
        counts = [of_group(each, OLD).sum() for each in labels]
        np.testing.assert_array_equal(partly.group_samples.sel(group=group), counts)


def test_the_baseline_is_the_texts_accuracy(partly: xr.Dataset, partitions: list[Partition]) -> None:
    assert BANK.text_features is not None
    right = (BANK.image_features @ BANK.text_features.T).argmax(axis=1) == BANK.labels
    of_images, by_client, by_group = [], [], []
    for partition in partitions:
        rows = np.concatenate(partition.test)
        old = BANK.labels[rows] < OLD
        of_images.append(right[rows].mean())
        by_client.append([right[own].mean() for own in partition.test])
        by_group.append([right[rows][old].mean(), right[rows][~old].mean()])
    clients, (old_share, new_share) = np.array(by_client), np.transpose(by_group)
    baseline = summarise(partly)["baseline"]
    expected = {
        "client_mean": clients.mean(axis=1),
        "client_std": clients.std(axis=1, ddof=1),
        "worst_client": clients.min(axis=1),
        "trained": old_share,
        "untrained": new_share,
        "harmonic": 2 / (1 / old_share + 1 / new_share),
    }
    assert baseline["mean"] == pytest.approx(np.mean(of_images))
    assert baseline["std"] == pytest.approx(np.std(of_images, ddof=1))
    for name, values in expected.items():
        assert baseline[name]["mean"] == pytest.approx(values.mean()), name
    assert summarise(partly)["zero_shot"]["mean"] == pytest.approx(np.mean(of_images))


def test_choices_are_reported_with_their_own_numbers(partly: xr.Dataset) -> None:
    names = {"posthoc": ("predicted", "exact", "validation", "best"), "joint": ("validation", "best")}
    for index, said in enumerate(summarise(partly)["rounds"]):
        for scheme, choices in names.items():
            for choice in choices:
                at = partly.isel(step=index).sel(scheme=scheme, choice=choice)
                key = f"{scheme}_{choice}"
                old, new = (at.chosen_group_accuracy.sel(group=group) for group in ("trained", "untrained"))
                expected = {
                    key: at.chosen_accuracy,
                    f"theta_{key}": at.chosen_theta,
                    f"theta_{key}_low": at.tied_low,
                    f"theta_{key}_high": at.tied_high,
                    f"{key}_client_mean": at.chosen_client_accuracy.mean("client"),
                    f"{key}_worst_client": at.chosen_client_accuracy.min("client"),
                    f"{key}_trained": old,
                    f"{key}_untrained": new,
                    f"{key}_harmonic": 2 / (1 / old + 1 / new),
                }
                for name, values in expected.items():
                    assert said[name]["mean"] == pytest.approx(float(values.mean())), name
                    assert said[name]["std"] == pytest.approx(float(values.std(ddof=1))), name
        for prompt, theta in (("global", 0.0), ("local", 1.0)):
            groups = partly.group_accuracy.isel(step=index).sel(scheme="posthoc", theta=theta)
            for group in ("trained", "untrained"):
                assert said[f"{prompt}_{group}"]["mean"] == pytest.approx(
                    float(groups.sel(group=group).mean())
                )
    everywhere = partly.generalisation.sel(prompt="global")
    global_accuracy = partly.overall_accuracy.sel(scheme="posthoc", split="test", theta=0.0)
    for client in range(3):
        np.testing.assert_allclose(
            everywhere.sel(client=client), global_accuracy.transpose(*everywhere.dims[:2])
        )


def test_the_converted_pair_is_the_nearest_trained_one(result: xr.Dataset) -> None:
    trained = np.array([0.0, 0.35, 1.0])
    moved = 0
    for index, said in enumerate(summarise(result)["rounds"]):
        at = result.isel(step=index)
        predicted = at.chosen_theta.sel(scheme="posthoc", choice="predicted").values
        converted = 1 / (1 + np.sqrt((1 - predicted) / predicted))
        nearest = [trained[np.argmin(abs(trained - theta))] for theta in converted]
        moved += sum(trained[np.argmin(abs(trained - theta))] for theta in predicted) != sum(nearest)
        pairs = at.overall_accuracy.sel(scheme="joint", split="test")
        accuracies = [float(pairs.isel(seed=seed).sel(theta=theta)) for seed, theta in enumerate(nearest)]
        assert said["joint_converted"]["mean"] == pytest.approx(np.mean(accuracies))
        assert said["theta_joint_converted"]["mean"] == pytest.approx(converted.mean())
    assert moved, "the conversion must change the nearest pair to test anything"
