"""Folders and specifications of version 0.1.0, which had other names for some fields and chose engines itself."""

import pathlib

import pytest
import xarray as xr

from promptfolio.sweep import (
    cell_path,
    cell_state,
    load_cell,
    load_sweep,
    parse_specification,
    run_sweep,
    stored_results,
)
from simulate import ConfigurationError, Experiment, load_result, run
from simulate.results.stored import save_result

NAME = "92a414bc870331c3"
TEXT = (
    '{"clients": 2, "samples": [3, 3], "groups": [0, 1], "global_signal": 3.4, "local_signal": 5.0,'
    ' "noise_feature": 1.0, "noise_std": 1.0, "noise_dim": 20, "label_noise": 0.0, "class_prior": [0.5, 0.5],'
    ' "prior_feature": 0.0, "activation": "relu", "activation_parameter": 0.1, "signal_offset": 1000.0,'
    ' "noise_offset": 1000.0, "prompt_dim": 23, "init_std": 0.0, "protocol": "joint", "theta": [0.5], "rounds": 2,'
    ' "local_steps": 1, "participation": 1.0, "optimizer": "sgd", "optimizer_options": [],'
    ' "learning_rate": 0.00024, "record": [0, 1, 2], "engine": "coefficient", "gram": "features",'
    ' "precision": "float64", "seed": 0, "replicates": 1}'
)
"""Name and experiment of a cell as version 0.1.0 wrote them."""
FIELDS = {"clients": 2, "samples": 3, "noise_dim": 20, "rounds": 2}
SWEEP = parse_specification({"experiment": FIELDS, "grid": {"local_feature_sq": [5.0]}})
NOW = SWEEP.cells[0].experiment


@pytest.fixture
def former(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with one cell, as version 0.1.0 left it."""
    result = run(NOW).rename(fallback="redone")
    del result.attrs["format_version"]
    result.attrs |= {"experiment": TEXT, "versions": '{"promptfolio": "0.1.0"}'}
    result.to_netcdf(cell_path(tmp_path, NAME), engine="h5netcdf")
    return tmp_path


def test_experiments_are_read_under_their_former_names() -> None:
    old = Experiment.from_json(TEXT)
    assert old == NOW.replace(engine="coefficient")
    with pytest.raises(ConfigurationError, match="fields"):
        Experiment.from_json('{"protocol": "joint", "scheme": "joint"}')


def test_a_former_cell_is_found_and_not_computed_again(former: pathlib.Path) -> None:
    assert cell_state(former, NOW) == "done"
    (outcome,) = run_sweep(SWEEP, former, workers=0)
    assert outcome.state == "found"
    assert [path.name for path in former.iterdir()] == [f"{NAME}.nc"]
    assert cell_state(former, NOW.replace(engine="coefficient")) == "done"
    assert cell_state(former, NOW.replace(engine="gram")) == "missing"
    assert cell_state(former, NOW.replace(seed=1)) == "missing"


def test_another_experiment_under_a_former_name_is_foreign(former: pathlib.Path) -> None:
    other = run(NOW.replace(seed=1, engine="coefficient"))
    save_result(cell_path(former, NAME), other)
    assert cell_state(former, NOW) == "foreign"


def test_a_former_cell_is_read_under_present_names(former: pathlib.Path) -> None:
    result, fresh = load_cell(former, NOW), run(NOW)
    xr.testing.assert_equal(result, fresh)
    assert Experiment.from_json(result.attrs["experiment"]) == NOW.replace(engine="coefficient")
    assert load_sweep(SWEEP, former).cell.values == [NAME]
    ((experiment, stored),) = stored_results(former)
    assert experiment == NOW.replace(engine="coefficient")
    assert stored.identical(result)


def test_a_file_of_a_later_version_is_refused(tmp_path: pathlib.Path) -> None:
    (cell,) = SWEEP.cells
    later = run(NOW).assign_attrs(format_version="99", versions='{"promptfolio": "7.1"}')
    path = cell_path(tmp_path, cell.name)
    save_result(path, later)
    for read in (lambda: load_result(path), lambda: run_sweep(SWEEP, tmp_path, workers=0)):
        with pytest.raises(ConfigurationError, match=r"promptfolio 7\.1 wrote format 99") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_specifications_must_use_present_names() -> None:
    for document in (
        {"experiment": {"protocol": "joint"}},
        {"grid": {"protocol": ["joint"]}},
        {"together": [{"protocol": ["joint"]}]},
    ):
        with pytest.raises(ConfigurationError, match="'protocol' is not allowed: it must be scheme"):
            parse_specification(document)
