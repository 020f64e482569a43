"""Figures show the numbers they are given."""

import pathlib

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from figures import study
from figures.registry import draw_figure, figure_names, load_figure
from figures.style import in_style


def test_every_file_is_a_figure_in_its_order() -> None:
    names = figure_names()
    assert set(names) == {path.stem for path in pathlib.Path(study.__path__[0]).glob("[!_]*.py")}
    orders = [load_figure(name).ORDER for name in names]
    assert orders == sorted(set(orders))


def test_a_figure_that_cannot_be_imported_stands_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    names = figure_names()
    (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.setattr(study, "__path__", [*study.__path__, str(tmp_path)])
    assert figure_names() == (*names, "broken")
    with pytest.raises(ZeroDivisionError):
        draw_figure("broken", {})


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


def test_a_number_that_is_not_finite_is_not_left_out() -> None:
    datasets = {name: mixing_dataset(3) for name in ("leading_order", "training_time", "joint_law")}
    data = datasets["joint_law"]
    data.theta_predicted[1, 2] = data.theta_empirical[1, 2] = np.nan  # a time that a setting was not run for
    draw_figure("theta_predicted_empirical", datasets)
    data.theta_predicted[1, 1] = np.nan
    with pytest.raises(ValueError, match=r"joint \(T21\) has a point that is not finite"):
        draw_figure("theta_predicted_empirical", datasets)
    datasets = {"training_time": mixing_dataset(1).isel(setting=0), "joint_law": mixing_dataset(2)}
    datasets["training_time"].theta_by_seed[0, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        draw_figure("theta_over_time", datasets)


@pytest.mark.parametrize(("key", "styled"), [("font.size", 8.0), ("pdf.fonttype", 42), ("axes.grid", True)])
def test_style_is_local(key: str, styled: object) -> None:
    before = matplotlib.rcParams[key]
    assert before != styled
    with in_style():
        assert matplotlib.rcParams[key] == styled
    assert matplotlib.rcParams[key] == before


def test_dataset_without_a_sweep_is_refused() -> None:
    data = mixing_dataset(2).isel(step=0).assign_coords(clients=("setting", [2, 4]))
    data["sweep"] = ("setting", ["clients", "samples"])
    data["accuracy_predicted"] = data.accuracy.mean("seed")
    data["theta_empirical"] = data.accuracy_predicted.idxmax("theta")
    with pytest.raises(ValueError, match=r"`sweep` has no 'group_size', but \['clients', 'samples'\]"):
        draw_figure("mixing_curves", {"leading_order": data})
