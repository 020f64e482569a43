"""Figures show the numbers they are given."""

import math
import pathlib
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from figures import clip_mixing, study
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


def drawn_as(line: Any) -> np.ndarray:
    """The points of a line as two rows of numbers, x and y."""
    return np.array([np.asarray(each, float) for each in line.get_data()])


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


def test_coefficients_are_drawn_at_the_largest_dimension_with_their_closed_form() -> None:
    random = np.random.default_rng(1)
    names = ("beta", "gamma_own", "phi_norm")
    dims = ("noise_dim", "seed", "step", "client", "prompt")
    data = xr.Dataset(
        {
            **{name: (dims, random.uniform(1, 2, (2, 3, 4, 5, 2))) for name in names},
            **{
                f"{name}_predicted": (("noise_dim", "step", "prompt"), random.uniform(3, 4, (2, 4, 2)))
                for name in names
            },
        },
        coords={"noise_dim": [100, 900], "step": [1, 2, 5, 9], "prompt": ["global", "local"]},
    )
    figure = draw_figure("coefficient_evolution", {"trajectories": data})
    largest = data.sel(noise_dim=900)
    for axis, name in zip(figure.axes, names, strict=True):
        points = plotted(axis)
        bands = [np.asarray(band.get_paths()[0].vertices).tolist() for band in axis.collections]
        for prompt, band in zip(("global", "local"), bands, strict=True):
            values = largest[name].sel(prompt=prompt).transpose("step", "seed", "client").values
            seeds = values.sum(axis=2) / 5
            predicted = largest[f"{name}_predicted"].sel(prompt=prompt).values
            for step, of_seeds, closed in zip(data.step.values, seeds, predicted, strict=True):
                assert any(x == step and y == pytest.approx(of_seeds.sum() / 3) for x, y in points)
                assert (step, closed) in points
                for edge in (of_seeds.min(), of_seeds.max()):
                    assert any(x == step and y == pytest.approx(edge) for x, y in band)


def test_accuracies_are_drawn_against_their_ratios_with_residuals_in_standard_errors() -> None:
    random = np.random.default_rng(2)
    names = ["relu", "tanh", "relu", "softplus"]
    data = xr.Dataset(
        {
            "ratio": ("point", random.uniform(0, 2, 4)),
            "counted": ("point", random.uniform(0.5, 1, 4)),
        },
        coords={"activation": ("point", names)},
        attrs={"fresh_samples": 400},
    )
    left, right = draw_figure("accuracy_collapse", {"accuracy": data}).axes
    labels = {"relu": "ReLU", "tanh": "tanh", "softplus": "softplus"}
    for name, label in labels.items():
        (drawn,) = (line for line in left.lines if line.get_label() == label)
        (beside,) = (line for line in right.lines if line.get_label() == label)
        chosen = [index for index, each in enumerate(names) if each == name]
        ratio, counted = (data[key].values[chosen] for key in ("ratio", "counted"))
        np.testing.assert_array_equal(drawn_as(drawn), [ratio, counted])
        exact = np.array([0.5 * (1 + math.erf(each / math.sqrt(2))) for each in ratio])
        residuals = (counted - exact) / np.sqrt(exact * (1 - exact) / 400)
        np.testing.assert_allclose(drawn_as(beside), [ratio, residuals])
    limits = sorted(
        float(np.asarray(line.get_ydata())[0]) for line in right.lines if line.get_marker() == "None"
    )
    np.testing.assert_allclose(limits, [-2.5758, 0, 2.5758], atol=1e-4)


def test_curves_of_each_sweep_are_drawn_with_their_own_optima() -> None:
    data = mixing_dataset(4).isel(step=0).assign_coords(clients=("setting", [2, 4, 8, 8]))
    data = data.assign_coords(group_size=("setting", [1, 1, 2, 4]))
    data["sweep"] = ("setting", ["clients", "clients", "group_size", "group_size"])
    data["accuracy_predicted"] = data.accuracy.mean("seed") + 0.1
    data["theta_predicted"] = ("setting", [0.05, 0.45, 0.3, 0.85])
    data["theta_empirical"] = ("setting", [0.1, 0.5, 0.25, 0.9])
    figure = draw_figure("mixing_curves", {"leading_order": data})
    for axis, own, coordinate in (
        (figure.axes[0], (0, 1), "clients"),
        (figure.axes[1], (2, 3), "group_size"),
    ):
        lines = [line for line in axis.lines if len(np.asarray(line.get_xdata())) > 0]
        curves = [line for line in lines if len(np.asarray(line.get_xdata())) == 21]
        assert len(curves) == len(own)
        marks = [line for line in lines if len(np.asarray(line.get_xdata())) == 1]
        symbol = {"clients": "K", "group_size": "χ"}[coordinate]
        labels = [text.get_text() for text in axis.get_legend().get_texts()]  # type: ignore[union-attr]
        assert labels == [f"{symbol} = {int(data[coordinate][index])}" for index in own]
        for curve, index in zip(curves, own, strict=True):
            np.testing.assert_array_equal(
                drawn_as(curve), [data.theta.values, data.accuracy_predicted[index].values]
            )
            for marker, theta, values in (
                ("^", float(data.theta_predicted[index]), data.accuracy_predicted[index].values),
                ("o", float(data.theta_empirical[index]), data.accuracy[index].values.mean(axis=0)),
            ):
                height = np.interp(theta, data.theta.values, values)
                assert any(
                    line.get_marker() == marker
                    and line.get_xdata()[0] == theta  # type: ignore[index]
                    and line.get_ydata()[0] == pytest.approx(height)  # type: ignore[index]
                    for line in marks
                ), (marker, index)


def test_late_time_figure_draws_each_dimension_and_the_distance_to_its_limit() -> None:
    random = np.random.default_rng(3)
    both = ("noise_dim", "step")
    data = xr.Dataset(
        {
            "theta_empirical": (both, random.uniform(0.2, 0.3, (2, 4))),
            "theta_predicted": (both, random.uniform(0.2, 0.3, (2, 4))),
            "theta_by_seed": (("noise_dim", "seed", "step"), random.uniform(0.2, 0.3, (2, 3, 4))),
            "theta_limit_predicted": ("noise_dim", [0.15, 0.35]),
            "theta_first": ("noise_dim", [0.31, 0.33]),
            "sample_load": ("noise_dim", [0.2, 0.05]),
            "distance": ("step", random.uniform(0, 0.3, 4)),
            "distance_predicted": ("step", random.uniform(0, 0.3, 4)),
        },
        coords={"noise_dim": [1000, 4000], "step": [1, 10, 100, 1000]},
    )
    for name in ("theta_empirical", "theta_predicted", "theta_by_seed"):
        data[name][{"noise_dim": 1, "step": 3}] = np.nan  # the larger one is trained for less long
    left, right = draw_figure("late_time", {"late_time": data}).axes
    points = plotted(left)
    for index, last in ((0, 4), (1, 3)):
        one = data.isel(noise_dim=index)
        for name in ("theta_empirical", "theta_predicted"):
            values = one[name].values[:last]
            assert set(zip(data.step.values[:last], values, strict=True)) <= points, name
        assert any(y == one.theta_limit_predicted and x > 1000 for x, y in points)
    assert any(y == 0.31 for _, y in points)
    labels = [text.get_text() for text in left.get_legend().get_texts()]  # type: ignore[union-attr]
    assert labels == ["$L$ = 1000, $N/L$ = 0.2", "$L$ = 4000, $N/L$ = 0.05"]
    by_label = {line.get_label(): line for line in right.lines}
    np.testing.assert_array_equal(by_label["predicted (T29)"].get_ydata(), data.distance_predicted)
    np.testing.assert_array_equal(by_label["simulated"].get_ydata(), data.distance)


def test_weights_of_three_prompts_stand_at_their_places_in_the_triangle() -> None:
    random = np.random.default_rng(4)
    lattice = np.array([[a, b, 4 - a - b] for a in range(5) for b in range(5 - a)]) / 4
    data = xr.Dataset(
        {
            "lattice": (("lattice_point", "level"), lattice),
            "lattice_posthoc": ("lattice_point", random.uniform(0.6, 0.7, len(lattice))),
            "lattice_joint": ("lattice_point", random.uniform(0.6, 0.7, len(lattice))),
            "posthoc_predicted": ("level", [0.2, 0.3, 0.5]),
            "joint_predicted": ("level", [0.3, 0.3, 0.4]),
            "weights": (("clustering", "level"), [[0.1, 0.1, 0.8], [0.25, 0.3, 0.45]]),
            "joint_best": (("step", "level"), [[0.35, 0.25, 0.4], [0.9, 0.05, 0.05]]),
        },
        coords={"clustering": ["aligned", "mixed"], "step": [1, 50], "level": ["global", "cluster", "local"]},
    )
    axes = draw_figure("many_assets", {"many_assets": data}).axes
    expected = (
        (([0.2, 0.3, 0.5], "x"), ([0.25, 0.3, 0.45], "o")),
        (([0.3, 0.3, 0.4], "x"), ([0.35, 0.25, 0.4], "o")),
    )
    for axis, marks in zip(axes, expected, strict=False):
        for weights, marker in marks:
            (line,) = (each for each in axis.lines if each.get_marker() == marker)
            # From left to right global, cluster above, local: x = cluster/2 + local, y = √3/2 · cluster.
            place = [[weights[1] / 2 + weights[2]], [math.sqrt(3) / 2 * weights[1]]]
            np.testing.assert_allclose(drawn_as(line), place)


def clip_dataset() -> xr.Dataset:
    """A dataset shaped like a study's on CLIP features, with numbers of no meaning."""
    random = np.random.default_rng(5)
    dims = ("scheme", "split", "seed", "step", "theta")
    data = xr.Dataset(
        {
            "overall_accuracy": (dims, random.uniform(0.4, 0.8, (2, 2, 3, 4, 5))),
            "chosen_theta": (("scheme", "choice", "seed", "step"), random.uniform(0.1, 0.9, (2, 2, 3, 4))),
            "chosen_accuracy": (("scheme", "choice", "seed", "step"), random.uniform(0.4, 0.8, (2, 2, 3, 4))),
        },
        coords={
            "scheme": ["posthoc", "joint"],
            "split": ["validation", "test"],
            "choice": ["predicted", "best"],
            "theta": [0.0, 0.25, 0.5, 0.75, 1.0],
            "round": ("step", [1, 10, 20, 50]),
            "step": [1, 10, 20, 50],
        },
        attrs={"distinct_replicates": 3, "synthetic": 0, "bank": "some.npz"},
    )
    data["overall_accuracy"][1, :, :, :, [1, 3]] = np.nan  # a trained pair has a θ of its own
    return data


def test_clip_figure_shows_test_accuracies_of_the_last_round() -> None:
    data = clip_dataset()
    with in_style():
        left, right = clip_mixing.draw(data).axes
    drawn = {line.get_label(): line for line in left.lines}
    last = data.overall_accuracy.values[:, 1, :, 3]
    np.testing.assert_allclose(drawn_as(drawn["post-hoc"]), [data.theta.values, last[0].sum(axis=0) / 3])
    joint = last[1][:, [0, 2, 4]]
    np.testing.assert_allclose(drawn_as(drawn["joint"]), [[0.0, 0.5, 1.0], joint.sum(axis=0) / 3])
    bands = [np.asarray(band.get_paths()[0].vertices)[:, 1] for band in left.collections]
    for band, values in zip(bands, (last[0], joint), strict=True):
        mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
        assert np.max(band) == pytest.approx(np.max(mean + spread))
        assert np.min(band) == pytest.approx(np.min(mean - spread))
    for index, label in enumerate(("predicted θ* (T24)", "best θ on test")):
        theta, reached = (
            data[name].values[0, index, :, 3].mean() for name in ("chosen_theta", "chosen_accuracy")
        )
        np.testing.assert_allclose(drawn_as(drawn[label]), [[theta], [reached]])
        line, _, (bars,) = right.containers[index]
        thetas = data.chosen_theta.values[0, index]
        np.testing.assert_allclose(drawn_as(line), [[1, 10, 20, 50], thetas.mean(axis=0)])
        lengths = [np.ptp(np.asarray(segment)[:, 1]) for segment in bars.get_segments()]
        np.testing.assert_allclose(lengths, 2 * thetas.std(axis=0, ddof=1) / np.sqrt(3))
    assert "some.npz, after 50 rounds" in left.get_title("left")


def test_clip_figure_draws_no_spread_of_one_run() -> None:
    with in_style():
        left, right = clip_mixing.draw(clip_dataset().assign_attrs(distinct_replicates=1)).axes
    assert not left.collections
    assert not right.collections
