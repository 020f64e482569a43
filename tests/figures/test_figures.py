"""Figures show the numbers they are given."""

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from figures.registry import FIGURES, draw_figure
from figures.style import in_style
from tests.support import ROOT


def mixing_dataset(settings: int) -> xr.Dataset:
    """A dataset shaped like a mixing claim's, with numbers of no meaning."""
    random = np.random.default_rng(0)
    theta = np.linspace(0, 1, 21)
    return xr.Dataset(
        {
            "theta_predicted": (("setting", "step"), random.uniform(0.3, 0.7, (settings, 4))),
            "theta_empirical": (("setting", "step"), random.uniform(0.3, 0.7, (settings, 4))),
            "theta_by_seed": (("setting", "seed", "step"), random.uniform(0.3, 0.7, (settings, 2, 4))),
            "accuracy": (("setting", "seed", "theta"), random.uniform(0.5, 0.9, (settings, 2, 21))),
        },
        coords={"step": [1, 5, 50, 500], "theta": theta},
    )


def plotted(axis: Axes) -> set[tuple[float, float]]:
    """Every point of every line of an axis."""
    return {point for line in axis.lines for point in zip(*np.asarray(line.get_data()).tolist(), strict=True)}


def test_scatter_shows_every_pair() -> None:
    datasets = {name: mixing_dataset(3) for name in ("leading_order", "training_time", "joint_law")}
    figure = draw_figure("theta_predicted_empirical", datasets)
    points = plotted(figure.axes[0])
    for data in datasets.values():
        pairs = zip(data.theta_predicted.values.ravel(), data.theta_empirical.values.ravel(), strict=True)
        assert set(pairs) <= points


def test_time_figure_shows_prediction_and_simulation() -> None:
    datasets = {"training_time": mixing_dataset(1).isel(setting=0), "joint_law": mixing_dataset(2)}
    points = plotted(draw_figure("theta_over_time", datasets).axes[0])
    for name in ("theta_predicted", "theta_empirical"):
        values = datasets["training_time"][name]
        assert set(zip(values.step.values, values.values, strict=True)) <= points


@pytest.mark.parametrize(("key", "styled"), [("font.size", 8.0), ("pdf.fonttype", 42), ("axes.grid", True)])
def test_style_is_local(key: str, styled: object) -> None:
    before = matplotlib.rcParams[key]
    assert before != styled
    with in_style():
        assert matplotlib.rcParams[key] == styled
    assert matplotlib.rcParams[key] == before


def test_every_figure_of_the_synthetic_study_is_registered() -> None:
    of_claims = {
        path.stem for path in (ROOT / "figures").glob("*.py") if "\nNEEDS = " in path.read_text("utf-8")
    }
    assert of_claims == set(FIGURES)


def test_dataset_without_a_sweep_is_refused() -> None:
    data = mixing_dataset(2).isel(step=0).assign_coords(clients=("setting", [2, 4]))
    data["sweep"] = ("setting", ["clients", "samples"])
    data["accuracy_predicted"] = data.accuracy.mean("seed")
    data["theta_empirical"] = data.accuracy_predicted.idxmax("theta")
    with pytest.raises(ValueError, match=r"`sweep` has no 'group_size', but \['clients', 'samples'\]"):
        draw_figure("mixing_curves", {"leading_order": data})
