"""Made-up data of claims, and what becomes of a claim on them: what is measured equals what is predicted."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from promptfolio.checks.registry import load_claim

CONDITIONS = {
    "band_occupancy_worst": 0.5,
    "noise_overlap_worst": 0.05,
    "sample_load": 0.01,
    "scaled_step": 0.01,
    "group_size_least": 1.0,
    "group_size_most": 1.0,
    "group_size_spread": 1.0,
}
VIOLATED = {
    "band": ("band_occupancy_worst", 1.001),
    "overlap": ("noise_overlap_worst", 0.101),
    "groups": ("group_size_spread", 1.001),
}

Change = tuple[str, Callable[[xr.DataArray], Any]]


def added(by: Any) -> Callable[[xr.DataArray], Any]:
    """Adds to a variable."""
    return lambda old: old + by


def scaled(by: Any) -> Callable[[xr.DataArray], Any]:
    """Multiplies a variable."""
    return lambda old: old * by


def plus(names: str, *shifts: float) -> list[Change]:
    """Each of the variables moved by each of the shifts."""
    return [(name, added(by)) for name in names.split() for by in shifts]


def times(names: str, *factors: float) -> list[Change]:
    """Each of the variables multiplied by each of the factors."""
    return [(name, scaled(by)) for name in names.split() for by in factors]


def put(name: str, values: Any) -> list[Change]:
    """The variable replaced, values broadcast to its shape."""
    return [(name, lambda old: old.copy(data=np.broadcast_to(np.asarray(values, old.dtype), old.shape)))]


def dataset(attrs: Any = None, **variables: Any) -> xr.Dataset:
    """A dataset of (dimensions, values), the dimensions as words; with the conditions of every claim met."""
    parts = {
        name: (tuple(value[0].split()), np.asarray(value[1])) if isinstance(value, tuple) else value
        for name, value in variables.items()
    }
    return xr.Dataset({**parts, **CONDITIONS}, attrs=attrs or {})


def both(by: float) -> tuple[float, float]:
    """A deviation to either side."""
    return by, -by


def assert_changes_fail(name: str, data: xr.Dataset, changes: Iterable[Change]) -> None:
    """The claim holds on the data, and fails after each of the changes."""
    judge = load_claim(name).judge
    found = judge(data)
    assert found.verdict == "holds", [each for each in found.comparisons if not each.holds]
    for place, (variable, change) in enumerate(changes):
        finding = judge(data.assign({variable: change(data[variable])}))
        assert finding.verdict == "fails", (place, variable)


def assert_conditions_count(name: str, data: xr.Dataset, needed: str, step: float | None) -> None:
    """The claim is not judged where one of the conditions in words, or the largest ηκ it allows, is exceeded."""
    judge = load_claim(name).judge
    violated = [VIOLATED[each] for each in needed.split()]
    if step is not None:
        violated.append(("scaled_step", 1.01 * step))
    for condition, value in violated:
        finding = judge(data.assign({condition: data[condition] * 0 + value}))
        assert finding.verdict == "not applicable", condition
