"""What a study's summary says, read from its dataset by other words."""

import numpy as np
import pytest
import xarray as xr

from promptfolio.companion.banks import draw_synthetic_bank
from promptfolio.companion.study import run_study
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.summary import summarise


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
