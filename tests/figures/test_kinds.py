"""Pictures of any result show its numbers, with words from its attributes, and refuse what it cannot give."""

import pathlib

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes

from figures import kinds
from figures.options import CannotDrawError, Look, Options
from figures.pictures import choose_kind, draw_picture, draw_pictures, kind_names, load_kind

TIMES = [0, 1, 2, 5, 20, 80]
WORDS = {"beta": "β, shared thing (T4)", "gamma_own": "γ, own thing", "phi_norm": "‖φ‖, noise thing"}


def run_dataset(clients: int = 3) -> xr.Dataset:
    """A dataset shaped like a run's, with numbers of no meaning."""
    random = np.random.default_rng(0)
    prompts, predictors = ["global", "local"], ["global", "local", "mixture"]
    data = xr.Dataset(
        {
            name: (
                ("seed", "step", "client", "prompt"),
                random.uniform(1, 2, (2, len(TIMES), clients, 2)),
                {"long_name": words, "units": "1"},
            )
            for name, words in WORDS.items()
        },
        coords={
            "step": ("step", TIMES, {"long_name": "gradient steps", "units": "step"}),
            "theta": ("theta", np.linspace(0, 1, 5), {"long_name": "θ, weight of the local prompt"}),
            "prompt": prompts,
            "predictor": predictors,
            "seed": [0, 1],
            "client": range(clients),
            "samples": (
                "client",
                [5 * (index + 1) for index in range(clients)],
                {"long_name": "n_k, samples"},
            ),
        },
    )
    dims = ("seed", "theta", "step", "client", "predictor")
    for name in ("ratio", "accuracy"):
        values = random.uniform(0.5, 0.9, (2, 5, len(TIMES), clients, 3))
        data[name] = (dims, values, {"long_name": f"{name} of the client: by hand", "units": "1"})
    shape = ("step", "theta", "client")
    data["predicted_accuracy"] = (shape, random.uniform(0.5, 0.9, (len(TIMES), 5, clients)))
    data["predicted_beta"] = (
        ("step", "prompt"),
        random.uniform(1, 2, (len(TIMES), 2)),
        {"long_name": "law (T9)"},
    )
    for name in ("theta_empirical", "theta_predicted"):
        data[name] = ("step", random.uniform(0.3, 0.6, len(TIMES)), {"long_name": f"{name}, in words"})
    for name in ("client_theta_empirical", "client_theta_predicted"):
        data[name] = (("step", "client"), random.uniform(0.3, 0.6, (len(TIMES), clients)))
    return data


def sweep_dataset() -> xr.Dataset:
    """A dataset shaped like a sweep's over clients and local steps, averaged over clients."""
    random = np.random.default_rng(1)
    fields = {"clients": [2, 4, 8, 16], "local_steps": [1, 5]}
    shape = tuple(map(len, fields.values()))
    data = xr.Dataset(coords={**fields, "theta": np.linspace(0, 1, 5), "round": [1, 10], "seed": [0, 1]})
    data.clients.attrs["long_name"] = "K, number of clients"
    both = (*fields, "round")
    for name in ("theta_empirical", "theta_predicted"):
        data[name] = (both, random.uniform(0.3, 0.6, (*shape, 2)), {"long_name": f"{name}, in words"})
    data["theta_low"], data["theta_high"] = data.theta_empirical - 0.02, data.theta_empirical + 0.03
    data["accuracy"] = ((*fields, "seed", "round", "theta"), random.uniform(0.5, 0.9, (*shape, 2, 2, 5)))
    return data


def lines_of(axis: Axes) -> list[np.ndarray]:
    """Points of all lines, as rows x and y."""
    return [np.array([np.asarray(each, float) for each in line.get_data()]) for line in axis.lines]


def has_line(axis: Axes, x: object, y: object) -> bool:
    wanted = np.array([np.asarray(x, float), np.asarray(y, float)])
    return any(line.shape == wanted.shape and np.allclose(line, wanted) for line in lines_of(axis))


def test_every_file_is_a_kind() -> None:
    files = {path.stem for path in pathlib.Path(kinds.__path__[0]).glob("[!_]*.py")}
    assert set(kind_names()) == files
    assert len({load_kind(name).ORDER for name in files}) == len(files)


def test_coefficients_are_means_with_their_prediction_and_words() -> None:
    data = run_dataset()
    figure, caption = draw_picture("coefficients", data)
    for axis, (name, words) in zip(figure.axes, WORDS.items(), strict=True):
        for prompt in ("global", "local"):
            values = data[name].sel(prompt=prompt).values[:, 1:]
            assert has_line(axis, TIMES[1:], values.mean(axis=(0, 2)))
        assert axis.get_xscale() == "log"
        assert axis.get_ylabel().replace("\n", " ") == words.removesuffix(" (T4)")
        assert axis.get_xlabel() == "gradient steps [step]" or axis.get_xlabel() == "gradient steps"
        assert words in caption
    assert has_line(figure.axes[0], TIMES[1:], data.predicted_beta.sel(prompt="local").values[1:])
    assert "law (T9)" in caption
    assert "time 0, is left out" in caption


def test_bands_reach_over_seeds_clients_or_give_way_to_single_clients() -> None:
    data = run_dataset()
    values = data.beta.sel(prompt="global").values
    for spread, low in (
        ("seeds", values.mean(axis=2).min(axis=0)),
        ("clients", values.mean(axis=0).min(axis=1)),
    ):
        options = Options(spread=spread, x_scale="linear")  # type: ignore[arg-type]
        axis = draw_picture("coefficients", data, options).figure.axes[0]
        band = np.asarray(axis.collections[0].get_paths()[0].vertices)
        for time, end in zip(TIMES, low, strict=True):
            assert any(np.allclose(point, (time, end)) for point in band)
    axis = draw_picture("coefficients", data, Options(spread="each", x_scale="linear")).figure.axes[0]
    assert not axis.collections
    for client in range(3):
        assert has_line(axis, TIMES, values.mean(axis=0)[:, client])


def test_signal_and_noise_share_the_panel_of_a_prompt() -> None:
    data = run_dataset()
    data["phi_norm"] = data.phi_norm * xr.where(data.prompt == "local", 3.0, 1.0)
    figure, _ = draw_picture("learning", data)
    for axis, prompt in zip(figure.axes, ("global", "local"), strict=True):
        for name in WORDS:
            assert has_line(axis, TIMES[1:], data[name].sel(prompt=prompt).values[:, 1:].mean(axis=(0, 2)))
        assert axis.get_ylabel() == "β,  γ,  ‖φ‖"
        assert prompt in axis.get_title("left")
        assert max(line[1].max() for line in lines_of(axis) if line.size) <= axis.get_ylim()[1], "cut off"


def test_performance_shows_all_predictors_at_the_middle_theta() -> None:
    data = run_dataset()
    figure, caption = draw_picture("performance", data, Options(y_limits=(0.0, 1.0), x_limits=(1, 10)))
    for axis, name in zip(figure.axes, ("ratio", "accuracy"), strict=True):
        for index in range(3):
            assert has_line(axis, TIMES[1:], data[name].values[:, 2, 1:, :, index].mean(axis=(0, 2)))
        assert axis.get_ylim() == (0, 1)
        assert axis.get_xlim() == (1, 10)
    assert has_line(figure.axes[1], TIMES[1:], data.predicted_accuracy.values[1:, 2].mean(axis=1))
    assert "θ, weight of the local prompt: 0.5" in caption


def test_noise_shows_quantiles_over_clients_and_seeds() -> None:
    data = run_dataset()
    figure, _ = draw_picture("noise", data)
    local = data.phi_norm.sel(prompt="local").transpose("step", "seed", "client").values[1:].reshape(5, -1)
    shared = data.phi_norm.sel(prompt="global", client=0).transpose("step", "seed").values[1:]
    assert has_line(figure.axes[0], TIMES[1:], np.median(shared, axis=1))
    assert has_line(figure.axes[1], TIMES[1:], np.median(local, axis=1))
    band = np.asarray(figure.axes[1].collections[1].get_paths()[0].vertices)
    for time, end in zip(TIMES[1:], np.quantile(local, 0.9, axis=1), strict=True):
        assert any(np.allclose(point, (time, end)) for point in band)


def test_curves_over_theta_are_drawn_for_a_few_times_with_both_optima() -> None:
    data = run_dataset()
    axis = draw_picture("mixing", data).figure.axes[0]
    measured = data.accuracy.sel(predictor="mixture").mean(("seed", "client"), skipna=False)
    for time in (1, 2, 20, 80):
        at = data.sel(step=time)
        assert has_line(axis, data.theta, at.predicted_accuracy.mean("client", skipna=False))
        assert has_line(axis, data.theta, measured.sel(step=time))
        best = float(at.theta_empirical)
        assert has_line(axis, [best], [np.interp(best, data.theta, measured.sel(step=time))])
    assert axis.get_xlabel() == "θ, weight of the local prompt"


def test_optimum_over_a_field_or_time() -> None:
    data = sweep_dataset()
    figure, caption = draw_picture("optimum", data)
    last = data.isel(round=-1)
    axis = figure.axes[0]
    for index in range(2):
        one = last.isel(local_steps=index)
        for name in ("theta_empirical", "theta_predicted"):
            assert has_line(axis, data.clients, one[name])
        (bars,) = axis.containers[index][2]
        ends = [np.asarray(segment)[:, 1] for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, np.stack([one.theta_low, one.theta_high], axis=1))
    assert axis.get_xlabel() == "K, number of clients"
    assert "theta_predicted, in words" in caption
    over_time = draw_picture("optimum", data.isel(clients=0, local_steps=0), Options(x="round")).figure.axes[
        0
    ]
    assert has_line(over_time, [1, 10], data.theta_empirical[0, 0])


def test_heat_map_shows_what_is_asked_at_the_best_theta() -> None:
    data = sweep_dataset()
    figure, caption = draw_picture("heat_map", data, Options(x="local_steps", y="clients", of="accuracy"))
    shown = np.asarray(figure.axes[0].collections[0].get_array()).reshape(4, 2)
    expected = data.accuracy.isel(round=-1).mean("seed", skipna=False).max("theta", skipna=False)
    np.testing.assert_allclose(shown, expected)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["2", "4", "8", "16"]
    assert "argest over θ" in caption
    shown = np.asarray(draw_picture("heat_map", data).figure.axes[0].collections[0].get_array())
    np.testing.assert_allclose(shown.ravel(), data.theta_empirical.isel(round=-1).values.T.ravel())


def test_clients_and_agreement_show_every_pair() -> None:
    data = run_dataset()
    axis = draw_picture("client_theta", data).figure.axes[0]
    for name in ("client_theta_empirical", "client_theta_predicted"):
        assert has_line(axis, [5, 10, 15], data[name][-1])
    assert axis.get_xlabel() == "n_k, samples"
    axis = draw_picture("agreement", data).figure.axes[0]
    assert has_line(axis, data.theta_predicted, data.theta_empirical)


def test_local_steps_have_a_line_each() -> None:
    data = run_dataset().drop_vars(["theta_empirical", "theta_predicted"]).mean("client", skipna=False)
    parts = [data.rename(step="round").drop_vars("samples", errors="ignore") * factor for factor in (1, 2)]
    joined = xr.concat(parts, xr.DataArray([1, 4], dims="local_steps", name="local_steps"))
    assert choose_kind(joined) == "local_steps"
    left, right = draw_picture("local_steps", joined).figure.axes
    for index in range(2):
        one = joined.isel(local_steps=index, round=slice(1, None))
        beta = one.beta.sel(prompt="global")
        accuracy = one.accuracy.sel(predictor="global", theta=0.5)
        assert has_line(left, TIMES[1:], beta.mean("seed", skipna=False))
        assert has_line(left, TIMES[1:], one.predicted_beta.sel(prompt="global"))
        assert has_line(right, TIMES[1:], accuracy.mean("seed", skipna=False))


def test_the_kind_is_chosen_by_what_the_data_hold() -> None:
    assert choose_kind(run_dataset()) == "client_theta"  # clients with unequal numbers of samples
    equal = run_dataset()
    equal["samples"] = ("client", [5, 5, 5])
    assert choose_kind(equal) == "mixing"
    assert choose_kind(equal.isel(theta=[0])) == "learning"
    assert choose_kind(sweep_dataset()) == "heat_map"
    assert choose_kind(sweep_dataset().isel(local_steps=0)) == "optimum"
    with pytest.raises(CannotDrawError, match="numbers to draw"):
        choose_kind(xr.Dataset({"anything": 1.0}))


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("pie", Options(), "learning"),
        ("local_steps", Options(), "several local_steps"),
        ("heat_map", Options(), "two fields"),
        ("optimum", Options(x="colour"), "x = 'colour'"),
        ("performance", Options(height=0.1), "height"),
        ("performance", Options(x_limits=(2, 1)), "x_limits"),
        ("mixing", Options(y_limits=(0, float("nan"))), "y_limits"),
        ("performance", Options(style="nowhere.mplstyle"), "nowhere"),
    ],
)
def test_refusals_name_what_is_missing(kind: str, options: Options, named: str) -> None:
    with pytest.raises(CannotDrawError, match=named):
        draw_picture(kind, run_dataset(), options)


def test_axes_that_cannot_be_logarithmic_are_refused() -> None:
    data = run_dataset()
    data["accuracy"] = data.accuracy - 2
    with pytest.raises(CannotDrawError, match="not positive"):
        draw_picture("performance", data, Options(y_scale="log"))
    options = Options(y_scale="log")
    assert draw_picture("learning", data, options).figure.axes[0].get_yscale() == "log"
    with pytest.raises(CannotDrawError, match="heat map"):
        draw_picture("heat_map", sweep_dataset(), Options(x_scale="log"))


def test_too_many_lines_are_refused_and_a_number_that_is_none() -> None:
    wide = xr.concat([sweep_dataset()] * 5, xr.DataArray(range(5), dims="seeds", name="seeds"))
    with pytest.raises(CannotDrawError, match="at most 8"):
        draw_picture("mixing", wide)
    data = run_dataset()
    data["beta"][0, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        draw_picture("learning", data)


@pytest.mark.parametrize("kind", ["learning", "coefficients", "performance", "noise", "mixing", "optimum"])
@pytest.mark.parametrize("size", ["page", "column"])
def test_legends_cover_no_panel_and_labels_are_not_cut(kind: str, size: str) -> None:
    figure = draw_picture(kind, run_dataset(), Options(size=size)).figure  # type: ignore[arg-type]
    figure.draw_without_rendering()
    whole = figure.bbox
    for axis in figure.axes:
        for label in (axis.xaxis.label, axis.yaxis.label):
            box = label.get_window_extent()
            assert whole.x0 - 1 <= box.x0, label.get_text()
            assert box.x1 <= whole.x1 + 1, label.get_text()
            assert whole.y0 - 1 <= box.y0, label.get_text()
            assert box.y1 <= whole.y1 + 1, label.get_text()
        for legend in figure.legends:
            assert not legend.get_window_extent().overlaps(axis.get_window_extent())


def test_grey_and_styles_of_ones_own(tmp_path: pathlib.Path) -> None:
    data = run_dataset()
    figure = draw_picture("performance", data, Options(look="grey", size="column")).figure
    assert figure.get_figwidth() == pytest.approx(3.3)
    own = tmp_path / "own.mplstyle"
    own.write_text("lines.linestyle: --\naxes.labelsize: 11\n", encoding="utf-8")
    axis = draw_picture("learning", data, Options(style=str(own))).figure.axes[0]
    assert axis.xaxis.label.get_fontsize() == 11
    own.write_text("no.such.setting: 1\n", encoding="utf-8")
    with pytest.raises(CannotDrawError, match="style"):
        draw_picture("learning", data, Options(style=str(own)))


def test_an_option_that_no_picture_follows_is_refused() -> None:
    data = run_dataset()
    for options, said in (
        (Options(x="clients"), "x = 'clients'"),
        (Options(of="accuracy"), "of = 'accuracy'"),
    ):
        with pytest.raises(CannotDrawError, match=f"{said}.*learning does not depend on it"):
            draw_picture("learning", data, options)
    assert len(draw_pictures(["learning", "noise"], data, Options(spread="each", y_scale="linear"))) == 2
    with pytest.raises(CannotDrawError, match="left out: learning, noise does not depend"):
        draw_pictures(["learning", "noise"], data, Options(x="clients"))


@pytest.mark.parametrize(("look", "shades"), [("colour", "cividis"), ("grey", "gray")])
def test_a_map_has_the_shades_of_its_look(look: Look, shades: str) -> None:
    axis = draw_picture("heat_map", sweep_dataset(), Options(look=look)).figure.axes[0]
    drawn = axis.collections[0].get_cmap()
    assert drawn is not None
    assert drawn.name == shades
