"""`promptfolio figures` draws each claim's own dataset, and only datasets that belong together."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

from figures.registry import figure_names, load_figure
from promptfolio.checks.checking import Checked, check_claims
from promptfolio.cli import figures
from promptfolio.cli.output import write_dataset
from simulate.results.notices import notices_of
from simulate.validation import ConfigurationError


def save(folder: pathlib.Path, **changed: dict[str, Any]) -> None:
    """A dataset of every claim that a figure needs, with some attributes changed."""
    needed = {name for figure in figure_names() for name in load_figure(figure).NEEDS}
    for name in needed:
        attributes = {"claim": name, "scale": "full", **changed.get(name, {})}
        kept = {key: value for key, value in attributes.items() if value is not None}
        write_dataset(folder / f"{name}.nc", xr.Dataset({"x": np.float64(1)}, attrs=kept))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the datasets that were given to be drawn; nothing is drawn."""
    names: list[str] = []

    def draw_none(datasets: Mapping[str, xr.Dataset], folder: pathlib.Path) -> dict[str, str | None]:
        names.extend(datasets)
        return {}

    monkeypatch.setattr(figures, "draw_all", draw_none)
    return names


def execute(folder: pathlib.Path) -> int:
    return figures.Figures(data=str(folder), out=str(folder / "drawn")).execute()


def test_datasets_that_belong_together_are_drawn(tmp_path: pathlib.Path, drawn: list[str]) -> None:
    save(tmp_path)
    assert execute(tmp_path) == 0
    assert {"joint_law", "training_time"} <= set(drawn)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"claim": "training_time"}, ("joint_law.nc", "of the claim joint_law", "that of training_time")),
        ({"scale": "quick"}, ("scale", "'quick'", "'full'")),
        ({"versions": '{"jax": "0.0.1"}'}, ("jax", "'0.0.1'")),
        ({"format_version": "99"}, ("joint_law.nc", "wrote format 99")),
        ({"format_version": "two"}, ("joint_law.nc", "'two'")),
        ({"notices": "[1, 2"}, ("joint_law.nc", "notices", "'[1, 2'")),
        ({"notices": "[1, 2]"}, ("joint_law.nc", "notices")),
    ],
)
def test_a_dataset_that_is_not_the_claims_is_refused(
    tmp_path: pathlib.Path, drawn: list[str], changed: dict[str, Any], words: tuple[str, ...]
) -> None:
    save(tmp_path, joint_law=changed)
    with pytest.raises(ConfigurationError) as refused:
        execute(tmp_path)
    assert all(word in str(refused.value) for word in words)
    assert drawn == []


def test_a_dataset_that_names_no_claim_is_named(
    tmp_path: pathlib.Path, drawn: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, joint_law={"claim": None, "scale": None})
    assert execute(tmp_path) == 0
    assert "no claim is named in joint_law.nc" in " ".join(capsys.readouterr().err.split())


def test_a_checked_dataset_says_whose_it_is() -> None:
    (checked,) = check_claims(["tangency"], "quick")
    assert isinstance(checked, Checked)
    assert (checked.data.attrs["claim"], checked.data.attrs["scale"]) == ("tangency", "quick")


@pytest.mark.parametrize("text", ["5", "{}", "[1]", "[", 7])
def test_notices_are_a_list_of_texts(text: object) -> None:
    with pytest.raises(ValueError, match="notices"):
        notices_of({"notices": text})
