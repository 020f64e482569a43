"""Every finding shows its effect, and would say so if it did not."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest
import xarray as xr

from promptfolio.audit import observations, registry
from promptfolio.audit.observation import ObservationModule
from promptfolio.audit.observations import (
    mixture_norm,
    overwritten_options,
    partition_seed,
)
from promptfolio.audit.pairs import replicate_keys, train_pairs
from promptfolio.audit.registry import audit, load_observation, observation_names, run_audit
from promptfolio.audit.report import as_records, audit_section
from promptfolio.audit.setting import Setting, audit_setting
from promptfolio.checks.checking import Checked
from promptfolio.checks.unjudged import Unjudged
from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.study import draw_partitions, run_study
from promptfolio.companion.study_config import ClipStudy
from simulate.experiment import Experiment
from simulate.validation import ConfigurationError

BANK = draw_synthetic_bank(0, classes=6, dim=48, spread=4.0, text_error=1.5)
TINY = Setting(
    banks=(BANK,),
    study=ClipStudy(
        clients=3, rounds=30, record=(10, 30), replicates=2, schemes=("posthoc",), learning_rate=0.02
    ),
    spread_replicates=3,
    experiment=Experiment(
        clients=3,
        samples=(4,),
        noise_dim=60,
        theta=(0.0, 0.3, 0.6, 1.0),
        rounds=20,
        record=(20,),
        learning_rate=0.002,
        replicates=1,
    ),
)
NAMES = observation_names()
MODULES = {name: load_observation(name) for name in NAMES}


@pytest.fixture(scope="module")
def results() -> dict[str, Checked]:
    return {name: audit(name, TINY) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_effect_shows(results: dict[str, Checked], name: str) -> None:
    finding = results[name].finding
    assert finding.verdict == "holds", [each for each in finding.comparisons if not each.holds]
    assert finding.claim.provenance == "code"
    assert finding.claim.name == name
    assert len(finding.comparisons) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_named(results: dict[str, Checked], name: str) -> None:
    for variable in results[name].data.data_vars.values():
        assert variable.attrs["long_name"]


def test_demonstrations_are_deterministic(results: dict[str, Checked]) -> None:
    for name in ("pooled_split", "overwritten_options"):
        xr.testing.assert_identical(MODULES[name].demonstrate(TINY), results[name].data)


def honest_pool(data: xr.Dataset) -> xr.Dataset:
    """As if the prompts were no better on the images they were trained on."""
    accuracy = data.accuracy.copy()
    accuracy.loc[{"measured_on": "whole pool"}] = accuracy.sel(measured_on="untouched")
    return data.assign(accuracy=accuracy)


def lower_theta(data: xr.Dataset) -> xr.Dataset:
    """As if the whole pool preferred the global prompt, against what the finding says."""
    theta = data.theta.copy()
    theta.loc[{"measured_on": "whole pool"}] = 0
    theta.loc[{"measured_on": "untouched"}] = 1
    return data.assign(theta=theta)


def both(data: xr.Dataset, name: str, dim: str, label: str) -> xr.Dataset:
    """A variable with the values of one label under both labels of a dimension."""
    return data.assign({name: data[name].sel({dim: [label, label]}).assign_coords({dim: data[dim]})})


def swapped(data: xr.Dataset, name: str, dim: str) -> xr.Dataset:
    """A variable with the values of a dimension's labels swapped."""
    return data.assign({name: data[name].isel({dim: slice(None, None, -1)}).assign_coords({dim: data[dim]})})


# Each takes a finding's effect away, or breaks its control, in one place.
WITHOUT_EFFECT = [
    ("pooled_split", honest_pool),
    ("pooled_split", lower_theta),
    ("pooled_split", lambda data: data.assign(reused=0 * data.reused)),
    ("pooled_split", lambda data: data.assign(reused=data.reused + 0.1)),
    ("partition_seed", lambda data: data.assign(agreement=1 + 0 * data.agreement)),
    ("partition_seed", lambda data: data.assign(agreement=0 * data.agreement)),
    ("partition_seed", lambda data: data.assign(value=data.value.isel(partition=[0, 0, 0]))),
    ("overwritten_options", lambda data: both(data, "loss", "order", "usual")),
    ("overwritten_options", lambda data: both(data, "loss", "order", "as released")),
    ("overwritten_options", lambda data: swapped(data, "rate", "order")),
    ("overwritten_options", lambda data: swapped(data, "steps", "order")),
    ("shared_optimizer", lambda data: both(data, "idle", "state", "own")),
    ("shared_optimizer", lambda data: both(data, "idle", "state", "shared")),
    ("shared_optimizer", lambda data: swapped(data, "rate", "state")),
    ("shared_optimizer", lambda data: both(data, "order_difference", "state", "own")),
    ("shared_optimizer", lambda data: both(data, "order_difference", "state", "shared")),
    ("shared_optimizer", lambda data: both(data, "accuracy", "state", "own")),
    ("mixture_norm", lambda data: data.assign(logit_error=data.logit_error + 0.1)),
    ("mixture_norm", lambda data: data.assign(norm_error=data.norm_error + 0.1)),
    ("mixture_norm", lambda data: data.assign(norm=0 * data.norm + 1)),
    ("mixture_norm", lambda data: data.assign(norm=data.norm + 1)),
    ("mixture_norm", lambda data: data.assign(changed=0 * data.changed)),
    ("mixture_norm", lambda data: data.assign(changed=data.changed + 0.1)),
]


@pytest.mark.parametrize(("name", "change"), WITHOUT_EFFECT)
def test_judge_notices_a_missing_effect(results: dict[str, Checked], name: str, change) -> None:
    assert MODULES[name].judge(change(results[name].data)).verdict == "fails"


def test_pooled_accuracies_are_the_studys(results: dict[str, Checked]) -> None:
    data = results["pooled_split"].data.sel(bank="synthetic")
    study = run_study(TINY.study.replace(split="pooled"), BANK)
    curve = study.overall_accuracy.sel(scheme="posthoc")
    for measured_on, split in (("whole pool", "test"), ("untouched", "validation")):
        own = curve.sel(split=split).transpose("step", "seed", "theta")
        accuracy = data.accuracy.sel(measured_on=measured_on)
        np.testing.assert_allclose(accuracy.sel(predictor="global"), own.isel(theta=0))
        np.testing.assert_allclose(accuracy.sel(predictor="local"), own.isel(theta=-1))
        np.testing.assert_allclose(accuracy.sel(predictor="best mixture"), own.max("theta"))
    assert (data.theta_loss >= 0).all()


def test_disjoint_accuracy_uses_every_untouched_image(results: dict[str, Checked]) -> None:
    study = run_study(TINY.study, BANK)
    weighted = study.accuracy.sel(scheme="posthoc", theta=1.0).weighted(study.samples)
    expected = weighted.mean(("split", "client")).transpose("step", "seed")
    found = results["pooled_split"].data.accuracy.sel(
        bank="synthetic", measured_on="disjoint", predictor="local"
    )
    np.testing.assert_allclose(found, expected)


def test_pairs_are_the_studys() -> None:
    study = TINY.study.replace(rounds=30, record=(30,), init_std=0.01, replicates=2)
    keys = replicate_keys(study)
    pairs = train_pairs(study, BANK, draw_partitions(study, BANK, keys), keys)
    result = run_study(study, BANK).overall_accuracy.sel(scheme="posthoc", split="test").isel(step=0)
    for logits, theta in ((pairs.logits_global, 0.0), (pairs.logits_local, 1.0)):
        right = (logits.argmax(axis=-1) == pairs.splits.labels) & pairs.splits.test
        share = right.sum(axis=(1, 2)) / pairs.splits.test.sum(axis=(1, 2))
        np.testing.assert_allclose(share, result.sel(theta=theta), atol=0.005)
    np.testing.assert_allclose(np.linalg.norm(pairs.feature_local, axis=-1), 1, rtol=1e-5)


def test_spread_tells_partition_from_initialisation() -> None:
    count = 4
    effect = np.array([0.0, 1.0, 3.0, 4.0])
    of_partition = np.broadcast_to(effect[:, None], (count, count))
    values = np.stack([of_partition, of_partition.T])[None]
    data = xr.Dataset(
        {"value": (("bank", "quantity", "partition", "initialisation"), values)},
        coords={"bank": ["none"], "quantity": ["partition", "initialisation"]},
    )
    spread = partition_seed.spread(data).sel(bank="none")
    deviation = effect.std(ddof=1)
    np.testing.assert_allclose(spread.sel(quantity="partition"), [0, deviation], atol=1e-12)
    np.testing.assert_allclose(spread.sel(quantity="initialisation"), [deviation, deviation])


def test_banks_without_texts_do_not_measure_the_partition_alone() -> None:
    bare = dataclasses.replace(BANK, text_features=None, source="bare")
    quick = dataclasses.replace(TINY, banks=(bare, BANK), spread_replicates=2)
    assert partition_seed.demonstrate(quick).bank.values.tolist() == ["synthetic"]


def test_last_source_decides() -> None:
    first, second = {"a": 1, "b": 2}, {"b": 3, "c": 4}
    assert overwritten_options.resolve([first, second]) == {"a": 1, "b": 3, "c": 4}
    assert overwritten_options.resolve([second, first]) == {"a": 1, "b": 2, "c": 4}
    assert overwritten_options.resolve([]) == {}


def test_norms_reach_their_least_at_the_middle(results: dict[str, Checked]) -> None:
    least = results["mixture_norm"].data.norm.sel(bank="synthetic", extreme="least")
    assert float(least.idxmin("theta")) == 0.5
    np.testing.assert_allclose(least.sel(theta=[0.0, 1.0]), 1, rtol=1e-12)


def test_report_has_a_row_and_a_subsection_for_each(results: dict[str, Checked]) -> None:
    audited = list(results.values())
    text = audit_section(audited)
    assert text.startswith("## Audit of the released code\n")
    for each in audited:
        assert f"\n### {each.finding.claim.title}\n" in text
    assert "stands for no real images" in text
    # Every line of a table has as many cells as its heading.
    width = 0
    for line in text.splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
        assert cells in (0, width) or width == 0, line
        width = cells


def test_report_says_what_fails(results: dict[str, Checked]) -> None:
    data = results["mixture_norm"].data
    data = data.assign(changed=0 * data.changed)
    failed = Checked(mixture_norm.judge(data), data)
    assert "| **fails** |" in audit_section([failed])
    (record,) = as_records([failed])
    assert record["verdict"] == "fails"
    assert [each["holds"] for each in record["comparisons"]].count(False) == 1
    assert record["tables"][0]["rows"]


def test_every_file_is_an_observation_in_its_order() -> None:
    folder = pathlib.Path(observations.__path__[0])
    assert set(NAMES) == {path.stem for path in folder.glob("[!_]*.py")}
    orders = [module.ORDER for module in MODULES.values()]
    assert orders == sorted(set(orders))


def test_an_observation_that_cannot_be_imported_is_audited_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.setattr(observations, "__path__", [*observations.__path__, str(tmp_path)])
    assert observation_names() == (*NAMES, "broken")
    monkeypatch.setattr(registry, "observation_names", lambda: ("broken",))
    (result,) = run_audit("quick", [draw_synthetic_bank(0)])
    assert isinstance(result, Unjudged)
    assert result.error == "ZeroDivisionError: division by zero"


def test_settings_and_names() -> None:
    quick, full = audit_setting("quick"), audit_setting()
    assert quick.banks[0].synthetic
    assert quick.study.rounds < full.study.rounds
    bank = draw_synthetic_bank(0)
    assert audit_setting("quick", [bank]).banks == (bank,)
    with pytest.raises(ConfigurationError, match="min_rows"):
        audit_setting("quick", [BANK])  # too few images for ten clients
    with pytest.raises(ConfigurationError):
        load_observation("spelling")


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_findings_are_phrased_about_the_released_code(module: ObservationModule) -> None:
    assert "released code" in module.OBSERVATION.statement
    assert module.CHANGES


def test_synthetic_model_stays_in_the_linear_band() -> None:
    # Ratios of the audit's model are those of the theory only there.
    from simulate.running.runner import run

    experiment = audit_setting("quick").experiment.replace(theta=(0.5,), replicates=1)
    assert float(run(experiment).band_occupancy.max()) < 1
    assert jax.config.read("jax_enable_x64") is False
