"""Whole studies: what the dataset holds, how θ is chosen, and the promised bound on real features."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest
import xarray as xr

from promptfolio.companion import cost
from promptfolio.companion.banks import draw_synthetic_bank, load_bank
from promptfolio.companion.client_splits import gather
from promptfolio.companion.evaluate import accuracy_of, choosing_images
from promptfolio.companion.labels import study_name
from promptfolio.companion.study import draw_partitions, run_study
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.summary import summarise
from simulate.model.keys import replicate_key
from simulate.results.notices import notices_of
from simulate.validation import ConfigurationError
from tests.support import double_by_default

BANK = draw_synthetic_bank(classes=5, dim=16)
STUDY = ClipStudy(
    clients=3,
    rounds=12,
    record=(0, 3, 12),
    replicates=2,
    learning_rate=0.02,
    theta_step=0.1,
    trained_theta=(0.0, 0.35, 1.0),
)
REAL = pathlib.Path(__file__).parents[3] / "shared" / "clip"


@pytest.fixture(scope="module")
def result():
    return run_study(STUDY, BANK)


def test_dataset_is_complete_and_labelled(result):
    assert dict(result.accuracy.sizes) == {
        "scheme": 3, "split": 2, "seed": 2, "step": 3, "theta": 12, "client": 3,
    }  # fmt: skip
    for variable in result.data_vars.values():
        assert variable.attrs["long_name"]
        assert variable.attrs["units"]
    resolved = STUDY.replace(train_split="val", validation_split="test")
    assert ClipStudy.from_json(result.attrs["study"]) == resolved
    assert result.attrs["distinct_replicates"] == 2
    assert result.attrs["synthetic"] == 1
    assert "jax" in json.loads(result.attrs["versions"])
    assert result["round"].values.tolist() == [0, 3, 12]
    # Pairs exist at their own θ alone; post-hoc mixtures and predictions everywhere.
    assert result.accuracy.sel(scheme="posthoc").notnull().all()
    assert result.predicted_error.notnull().all()
    known = result.accuracy.sel(scheme="joint").notnull().all(["split", "seed", "step", "client"])
    assert result.theta.values[known.values].tolist() == [0.0, 0.35, 1.0]


def test_a_study_is_float32_whatever_jax_is_set_to(result):
    with double_by_default():
        double = run_study(STUDY, BANK)
    xr.testing.assert_identical(double, result)


def test_dataset_survives_a_file(result, tmp_path):
    result.to_netcdf(tmp_path / "study.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "study.nc", engine="h5netcdf") as again:
        xr.testing.assert_identical(result, again.load())


def test_joint_end_points_are_the_posthoc_prompts(result):
    for theta in (0.0, 1.0):
        pair = result.accuracy.sel(theta=theta)
        # An image within a rounding of the border may fall to either side.
        np.testing.assert_allclose(pair.sel(scheme="joint"), pair.sel(scheme="posthoc"), atol=0.03)


def test_prompts_alone_are_the_ends_of_the_posthoc_curve(result):
    posthoc = result.sel(scheme="posthoc")
    for prompt, theta in (("global", 0.0), ("local", 1.0)):
        alone = posthoc.prompt_accuracy.sel(prompt=prompt, theta=0.5)
        np.testing.assert_array_equal(alone, posthoc.accuracy.sel(theta=theta).transpose(*alone.dims))


def test_round_zero_is_zero_shot(result):
    start = result.accuracy.sel(scheme="posthoc").isel(step=0)
    for theta in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(
            start.sel(theta=theta),
            result.baseline_accuracy.transpose("split", "seed", "client"),
            atol=1e-12,
        )


def test_overall_accuracy_weighs_clients_by_their_images(result):
    expected = result.accuracy.weighted(result.samples).mean("client")
    dims = result.overall_accuracy.dims
    posthoc = {"scheme": "posthoc"}
    np.testing.assert_allclose(result.overall_accuracy.sel(posthoc), expected.transpose(*dims).sel(posthoc))


def test_choices_are_what_they_say(result):
    overall = result.overall_accuracy.sel(scheme="joint")
    joint = result.sel(scheme="joint")
    best = overall.sel(split="test").max("theta")
    np.testing.assert_allclose(joint.chosen_accuracy.sel(choice="best"), best)
    for seed in range(2):
        chosen = joint.chosen_theta.sel(choice="validation").isel(seed=seed, step=-1)
        validation = overall.sel(split="validation").isel(seed=seed, step=-1)
        assert float(validation.sel(theta=chosen)) == float(validation.max())
    assert joint.chosen_theta.sel(choice=["predicted", "exact"]).isnull().all()
    posthoc = result.sel(scheme="posthoc")
    assert posthoc.chosen_theta.notnull().all()
    assert (
        posthoc.chosen_accuracy.sel(choice="best") >= posthoc.chosen_accuracy.sel(choice="validation")
    ).all()


def test_same_seed_same_numbers_and_other_seed_others(result):
    xr.testing.assert_identical(result, run_study(STUDY, BANK))
    other = run_study(STUDY.replace(seed=1, schemes=("posthoc",)), BANK)
    assert not np.array_equal(other.samples, result.samples)


def test_pooled_study_is_tested_on_its_training_images_too():
    study = STUDY.replace(split="pooled", schemes=("posthoc",))
    pooled = run_study(study, BANK)
    tested, untouched = (pooled.samples.sel(split=name) for name in ("test", "validation"))
    np.testing.assert_array_equal(tested, untouched + pooled.train_samples)
    np.testing.assert_array_equal(pooled.reused_samples, pooled.train_samples)
    share = summarise(pooled)["reused"]["mean"]
    assert share == pytest.approx(float((pooled.train_samples.sum("client") / tested.sum("client")).mean()))
    # Images that were trained on make up the difference between the two accuracies.
    right = pooled.accuracy.sel(scheme="posthoc") * pooled.samples
    trained = right.sel(split="test") - right.sel(split="validation")
    np.testing.assert_allclose(trained, trained.round(), atol=1e-6)
    assert trained.min() >= 0


def test_disjoint_study_reuses_nothing(result):
    assert (result.reused_samples == 0).all()
    assert summarise(result)["reused"]["mean"] == 0


def test_a_fixed_partition_leaves_only_the_prompts_random():
    study = STUDY.replace(schemes=("posthoc",), partition_seed=1, rounds=3, record=(3,), init_std=0.05)
    other = run_study(study, BANK)
    assert (other.samples.isel(seed=0) == other.samples.isel(seed=1)).all()
    assert not np.array_equal(other.accuracy.isel(seed=0), other.accuracy.isel(seed=1))
    assert summarise(other)["rounds"][-1]["global"]["std"] is not None


def test_replicates_that_are_the_same_run_are_run_once():
    study = STUDY.replace(schemes=("posthoc",), partition_seed=1, rounds=3, record=(3,))
    once = run_study(study, BANK)
    assert once.sizes["seed"] == 1
    assert "nothing differs between the 2 replicates" in notices_of(once.attrs)[-1]
    summary = summarise(once)
    assert (summary["seeds"], summary["rounds"][-1]["global"]["std"]) == (1, None)
    xr.testing.assert_equal(once, run_study(study.replace(replicates=1), BANK))
    # Absent clients are drawn anew for each replicate.
    absent = run_study(study.replace(participation=0.7), BANK)
    assert (absent.sizes["seed"], absent.attrs["distinct_replicates"]) == (2, 2)
    # Initial prompts that rounding swallows are noticed in the numbers themselves.
    tiny = run_study(study.replace(init_std=1e-30), BANK)
    assert (tiny.sizes["seed"], tiny.attrs["distinct_replicates"]) == (2, 1)
    assert "all 2 replicates are the same run" in notices_of(tiny.attrs)[-1]
    assert summarise(tiny)["rounds"][-1]["global"]["std"] is None


def test_summary_averages_over_images_and_over_clients(result):
    last = summarise(result)["rounds"][-1]
    for name, theta in (("global", 0.0), ("local", 1.0)):
        at = result.accuracy.isel(step=-1).sel(scheme="posthoc", split="test", theta=theta).values
        counts = result.samples.sel(split="test").values
        overall = (at * counts).sum(axis=1) / counts.sum(axis=1)
        assert last[name]["mean"] == pytest.approx(overall.mean())
        assert last[f"{name}_client_mean"]["mean"] == pytest.approx(at.mean())
        assert last[f"{name}_client_mean"]["std"] == pytest.approx(at.mean(axis=1).std(ddof=1))
        assert last[f"{name}_client_std"]["mean"] == pytest.approx(at.std(axis=1, ddof=1).mean())
        assert last[f"{name}_worst_client"]["mean"] == pytest.approx(at.min(axis=1).mean())
        assert f"{name}_untrained" not in last  # every class is trained on
    everywhere = result.generalisation.isel(step=-1).sel(prompt="local").values
    assert last["generalisation_local"]["mean"] == pytest.approx(everywhere.mean())
    assert last["generalisation_local_worst"]["mean"] == pytest.approx(everywhere.min(axis=1).mean())


def test_chosen_accuracy_is_that_of_its_clients(result):
    weights = result.samples.sel(split="test")
    clients = (result.chosen_client_accuracy * weights).sum("client", skipna=False) / weights.sum("client")
    np.testing.assert_allclose(clients, result.chosen_accuracy)
    assert (result.tied_low <= result.chosen_theta + 1e-12).where(result.tied_low.notnull(), True).all()
    assert (result.tied_high >= result.chosen_theta - 1e-12).where(result.tied_low.notnull(), True).all()


def test_where_training_moves_nothing_that_float32_resolves_every_theta_is_as_good():
    study = ClipStudy(
        clients=2,
        rounds=3,
        record=(3,),
        replicates=2,
        schemes=("posthoc",),
        theta_step=0.5,
        logit_scale=1e-30,
    )
    result = run_study(study, draw_synthetic_bank(0)).sel(choice="predicted")
    assert (result.tied_low == 0).all()
    assert (result.tied_high == 1).all()
    assert (result.chosen_theta == 0.5).all()
    assert any("θ by (T24) is not unique" in notice for notice in notices_of(result.attrs))


def test_at_the_start_every_theta_is_as_good(result):
    start = result.isel(step=0).sel(scheme="posthoc", choice=["predicted", "validation"])
    assert (start.tied_low == 0).all()
    assert (start.tied_high == 1).all()
    np.testing.assert_allclose(start.chosen_theta, 0.5, atol=0.1)


def base_to_new():
    """A bank of which only the first three of five classes have training images."""
    keep = ~((BANK.split == 0) & (BANK.labels >= 3))
    rows = {name: getattr(BANK, name)[keep] for name in ("image_features", "labels", "split")}
    return dataclasses.replace(BANK, **rows)


def test_classes_without_training_images_are_reported_apart_and_choose_nothing():
    study = STUDY.replace(beta=3.0, rounds=3, record=(3,))
    result = run_study(study, base_to_new())
    summary = summarise(result)
    last = summary["rounds"][-1]
    counts = result.group_samples
    for seed in range(2):
        parts = result.group_accuracy.isel(seed=seed) * counts.isel(seed=seed)
        np.testing.assert_allclose(
            parts.sum("group", skipna=False) / counts.isel(seed=seed).sum(),
            result.overall_accuracy.sel(split="test").isel(seed=seed).transpose(*parts.dims[:1], ...),
        )
    for name in ("global", "local", "posthoc_predicted", "joint_validation", "detached_validation"):
        assert {f"{name}_trained", f"{name}_untrained", f"{name}_harmonic"} <= set(last)
    assert 0 < summary["baseline"]["untrained"]["mean"] < 1
    assert any("no training image" in notice for notice in summary["notices"])
    # Only the labels of validation images of new classes change, hence nothing that is chosen.
    keys = jax.vmap(lambda replicate: replicate_key(0, replicate))(np.arange(2))
    splits = gather(base_to_new(), draw_partitions(study, base_to_new(), keys))
    assert (choosing_images(splits) == splits.validation & (splits.labels < 3)).all()
    assert (choosing_images(splits) != splits.validation).any()


def test_without_class_texts_nothing_is_called_zero_shot():
    bare = draw_synthetic_bank(classes=5, dim=16, texts=False)
    result = run_study(STUDY.replace(schemes=("posthoc",), rounds=2, record=(2,)), bare)
    summary = summarise(result)
    assert (summary["baseline"]["name"], summary["text_features"]) == ("one-shot anchors", 0)
    assert "zero" not in json.dumps(summary) + str(list(result.data_vars))


def test_result_says_which_images_were_used(result):
    summary = summarise(result)
    assert (summary["train_split"], summary["validation_split"], summary["test_split"]) == (
        "val",
        "test",
        "test",
    )
    assert summary["train_images"] == 120
    assert summary["validation_images"] + summary["test_images"] == 180
    assert summary["bank_sha256"] == BANK.sha256
    other = dataclasses.replace(BANK, labels=np.roll(BANK.labels, 1))
    name, again = study_name(result.attrs), study_name(run_study(STUDY, BANK).attrs)
    assert name == again
    assert name.startswith("clip-synthetic-")
    for changed in ({"bank_sha256": other.sha256}, {"study": STUDY.replace(seed=9).to_json()}):
        assert study_name(result.attrs | changed) != name


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"clients": 1000}, "clients"),
        ({"clients": 10**9}, "clients"),
        ({"replicates": 10**9}, "replicates"),
        ({"beta": 1e-300, "clients": 5, "min_rows": 24}, "beta, clients, min_rows"),
    ],
)
def test_studies_that_no_bank_or_machine_can_hold_are_refused(changes, field):
    with pytest.raises(ConfigurationError) as caught:
        run_study(STUDY.replace(**changes), BANK)
    assert caught.value.field == field


def test_clients_get_their_fewest_images_as_long_as_there_are_enough():
    images = BANK.rows("val").size
    cost.require_room(STUDY.replace(clients=images // 5, min_rows=5), BANK)
    with pytest.raises(
        ConfigurationError, match=f"at most {images // 5}: .*min_rows = 5 of the {images} images"
    ):
        cost.require_room(STUDY.replace(clients=images // 5 + 1, min_rows=5), BANK)


def test_recording_more_rounds_does_not_change_training(result):
    last = run_study(STUDY.replace(record=(12,), schemes=("joint",)), BANK)
    for name in ("accuracy", "prompt_accuracy", "chosen_theta"):
        found = last[name].isel(step=0).sel(scheme="joint")
        np.testing.assert_array_equal(found, result[name].isel(step=-1).sel(scheme="joint"), err_msg=name)


def test_memory_is_that_of_prompts_and_logits(monkeypatch):
    # For each replicate ten times the prompts of all clients, and of each held-out image the features and three
    # logits per class, four bytes a number.
    needed = 4 * 2 * (10 * 3 * 5 * 16 + 180 * (16 + 3 * 5))
    monkeypatch.setattr(cost, "machine_memory", lambda: needed)
    cost.require_room(STUDY, BANK)
    monkeypatch.setattr(cost, "machine_memory", lambda: needed - 1)
    with pytest.raises(ConfigurationError) as caught:
        cost.require_room(STUDY, BANK)
    assert caught.value.field == "replicates"


def test_progress_reaches_its_total():
    told = []
    run_study(STUDY, BANK, lambda done, total: told.append((done, total)))
    assert told == [(done, 36) for done in (0, 3, 12, 12, 15, 24, 24, 27, 36)]


def test_blocks_of_theta_do_not_change_the_result(result, monkeypatch):
    monkeypatch.setattr("promptfolio.companion.study._PROMPT_BYTES", 1)
    split = run_study(STUDY, BANK)
    for name in result.data_vars:
        np.testing.assert_allclose(split[name], result[name], atol=0.03, err_msg=name)


def test_summary_is_plain_json(result):
    summary = summarise(result)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    last = summary["rounds"][-1]
    assert last["round"] == 12
    assert last["posthoc_best"]["mean"] >= last["posthoc_predicted"]["mean"] - 0.02
    assert last["theta_joint_converted"]["mean"] >= 0
    assert summary["synthetic"] == 1
    alone = summarise(run_study(STUDY.replace(schemes=("detached",), replicates=1), BANK))
    assert "global" not in alone["rounds"][-1]
    assert alone["rounds"][-1]["detached_best"]["std"] is None


def test_ties_are_errors():
    margins, mask = np.array([[1.0, 0.0, -1.0, 5.0]]), np.array([[True, True, True, False]])
    assert accuracy_of(margins, mask).tolist() == [1 / 3]


@pytest.fixture
def optimised():
    """Real features are big enough for compiled speed to pay."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.parametrize(
    ("name", "study"),
    [
        (
            "dtd",
            ClipStudy(schemes=("posthoc",), replicates=3, learning_rate=0.03, rounds=50, record=(5, 50)),
        ),
        ("caltech61", ClipStudy(schemes=("posthoc",), replicates=2, rounds=20, record=(1, 20))),
    ],
)
def test_predicted_mixing_is_within_a_point_of_the_best_on_real_features(name, study, optimised):
    path = REAL / f"{name}_clip_vitb32.npz"
    if not path.exists():
        pytest.skip("the real feature banks are not here")
    result = run_study(study, load_bank(path))
    assert result.attrs["synthetic"] == 0
    for record in summarise(result)["rounds"]:
        assert record["posthoc_regret"]["mean"] <= 1.0
    if name == "dtd":  # the data set with headroom
        assert record["posthoc_gain"]["mean"] >= 1.0
