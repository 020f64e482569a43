"""A number that is none makes a claim fail, or its check stop: it is never left out."""

import math

import numpy as np
import pytest
import xarray as xr

from promptfolio.checks.claims.trajectories import relative_error
from promptfolio.checks.comparison import StatisticalTest
from promptfolio.checks.largest import largest
from promptfolio.checks.registry import load_claim
from simulate.running.arithmetic import arithmetic

DESCRIBED = {"group_size_least", "group_size_most", "certified_gap"}
"""Variables that a finding mentions, and whose values nothing depends on."""
PLACES = 6


def changed(data: xr.Dataset, name: str, place: int, value: float) -> xr.Dataset:
    """The dataset with one entry of a variable replaced."""
    values = data[name].values.copy()
    values.reshape(-1)[place] = value
    return data.assign({name: (data[name].dims, values)})


def outcome(name: str, data: xr.Dataset) -> str:
    """A claim's finding in words; the error of a check that stops."""
    try:
        finding = load_claim(name).judge(data)
    except (ValueError, ArithmeticError) as error:
        return f"stops: {error}"
    return f"{finding.verdict}: {finding}"


@pytest.mark.parametrize("name", ["aggregation", "joint_law", "sample_sandwich"])
def test_a_claim_holds_on_no_number_that_is_none(name: str) -> None:
    with arithmetic("float32"):
        data = load_claim(name).collect("quick")
    found, chance = outcome(name, data), np.random.default_rng(0)
    assert found.startswith("holds")
    read = 0
    for variable in sorted({str(each) for each in data.data_vars} - DESCRIBED):
        if data[variable].dtype.kind != "f":
            continue
        values = data[variable].values.ravel()
        numbers = np.flatnonzero(np.isfinite(values))
        for place in chance.choice(numbers, min(PLACES, numbers.size), replace=False).tolist():
            far = 1e3 * abs(values[place]) + 1e3
            if all(outcome(name, changed(data, variable, place, way)) == found for way in (far, -far)):
                continue  # the claim does not look at this entry
            read += 1
            at = np.unravel_index(place, data[variable].shape)
            without = outcome(name, changed(data, variable, place, math.nan))
            assert not without.startswith("holds"), f"{variable} at {at}: {without}"
    assert read > 2 * PLACES


def test_the_largest_number() -> None:
    assert largest([[1.0, 5.0]], xr.DataArray(2.0)) == 5.0
    for parts in ((1.0, math.nan), (math.nan, 1.0), (xr.DataArray([math.nan, 1.0]), 2.0)):
        assert math.isnan(largest(*parts))
    with pytest.raises(ValueError, match="zero-size"):
        largest()


@pytest.mark.parametrize("name", ["beta", "beta_predicted"])
def test_an_error_at_one_time_is_not_left_out(name: str) -> None:
    data = xr.Dataset(
        {"beta": (("seed", "client", "step"), np.ones((2, 2, 3))), "beta_predicted": ("step", np.ones(3))}
    )
    assert relative_error(data, "beta") == 0
    assert np.isnan(relative_error(changed(data, name, 1, math.nan), "beta"))


def test_a_test_states_its_error_rate() -> None:
    with pytest.raises(ValueError, match="false_alarm = nan"):
        StatisticalTest("t-test", 5, math.nan, 1.0)
