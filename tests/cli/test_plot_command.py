"""`promptfolio plot` and `--figure`: every ending, the same file again, and one clear line for what cannot be."""

import json
import pathlib

import numpy as np
import pytest
import xarray as xr

import promptfolio
from figures.pictures import draw_picture
from promptfolio.federation import federation_of
from promptfolio.plotting.prepare import prepared
from promptfolio.plotting.sources import read_material
from simulate import Experiment, run
from simulate.results.stored import load_result, save_result
from simulate.validation import ConfigurationError
from theory import best_mixing

EXPERIMENT = Experiment(
    clients=3,
    samples=(4, 6, 8),
    noise_dim=4000,
    theta=tuple(np.linspace(0, 1, 11).tolist()),
    rounds=4,
    record=(1, 2, 4),
    replicates=2,
)
BEGINNINGS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Folder with the result of `EXPERIMENT`, and two that differ in their seed's and noise's number."""
    folder = tmp_path_factory.mktemp("results")
    save_result(folder / "run.nc", run(EXPERIMENT))
    (folder / "both").mkdir()
    for steps in (1, 3):
        one = Experiment(
            clients=2,
            noise_dim=20000,
            learning_rate=2e-5,
            scheme="posthoc",
            local_steps=steps,
            rounds=3,
            theta=(0.0, 0.5, 1.0),
            replicates=2,
        )
        save_result(folder / "both" / f"{steps}.nc", run(one))
    return folder


@pytest.mark.parametrize("ending", list(BEGINNINGS))
def test_every_ending_and_the_same_file_again(
    capsys: pytest.CaptureFixture[str], stored: pathlib.Path, tmp_path: pathlib.Path, ending: str
) -> None:
    contents = []
    for name in ("one", "other"):
        out = tmp_path / f"{name}.{ending}"
        assert (
            promptfolio.main(["plot", str(stored / "run.nc"), "--kind", "learning", "--out", str(out)]) == 0
        )
        contents.append(out.read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(BEGINNINGS[ending])
    printed = capsys.readouterr().out
    assert "β, coefficient of the feature all clients share (T4)" in printed
    if ending == "svg":
        assert "coefficient of the feature all clients share (T4)" in contents[0].decode()


def test_all_kinds_have_a_file_each(stored: pathlib.Path, tmp_path: pathlib.Path) -> None:
    out = tmp_path / "run.png"
    words = ["plot", str(stored / "run.nc"), "--kind", "performance", "optimum", "--size", "column"]
    assert promptfolio.main([*words, "--at", "client=1", "--out", str(out)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-optimum.png", "run-performance.png"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--out", "x.gif"), ("out", "x.gif", ".svg")),
        (("--out", "x.png", "--kind", "pie"), ("kind", "pie", "learning")),
        (("--out", "x.png", "--kind", "local_steps"), ("kind", "local_steps", "several local_steps")),
        (("--out", "x.png", "--at", "step=3"), ("at step", "3", "1, 2, 4")),
        (("--out", "x.png", "--at", "colour=3"), ("at", "colour", "step")),
        (("--out", "x.png", "--at", "step"), ("at", "FIELD=VALUE")),
        (("--out", "run.nc"), ("out", "run.nc")),
        (("--out", "x.png", "--x-limits", "2", "1"), ("x_limits",)),
        (("--out", "x.png", "--style", "nowhere"), ("style", "nowhere")),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stored: pathlib.Path,
    words: tuple[str, ...],
    named: tuple[str, ...],
) -> None:
    monkeypatch.chdir(stored)
    before = sorted(stored.iterdir())
    assert promptfolio.main(["plot", "run.nc", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    for part in named:
        assert part in line
    assert sorted(stored.iterdir()) == before


def test_files_that_hold_no_result_are_refused_by_name(stored: pathlib.Path, tmp_path: pathlib.Path) -> None:
    damaged = tmp_path / "damaged.nc"
    content = bytearray((stored / "run.nc").read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    for path, reason in (
        (damaged, "checksum"),
        (tmp_path / "no.nc", "missing"),
        (tmp_path / "empty", "results"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ConfigurationError, match=reason) as refusal:
            read_material([path])
        assert str(path) in str(refusal.value)


def test_predictions_and_best_theta_stand_beside_a_run(stored: pathlib.Path) -> None:
    data = read_material([stored / "run.nc"])
    federation = federation_of(EXPERIMENT)
    exact = best_mixing(federation, "joint", 4, EXPERIMENT.learning_rate)
    np.testing.assert_allclose(data.client_theta_predicted.sel(step=4), exact, atol=0.005)
    np.testing.assert_allclose(data.client_theta_empirical, data.client_theta_predicted, atol=0.05)
    assert (data.theta_low <= data.theta_empirical).all()
    mixture = data.ratio.sel(predictor="mixture").mean("seed", skipna=False)
    np.testing.assert_allclose(mixture, data.predicted_ratio.transpose(*mixture.dims), rtol=0.1)
    assert "samples = [4, 6, 8]" in data.attrs["described"]


def test_coefficients_of_equal_clients_have_their_closed_form(stored: pathlib.Path) -> None:
    for steps in (1, 3):
        data = read_material([stored / "both" / f"{steps}.nc"])
        for name in ("beta", "gamma_own", "phi_norm"):
            measured = data[name].mean(("seed", "client"), skipna=False).isel(step=slice(1, None))
            predicted = data[f"predicted_{name}"].isel(step=slice(1, None))
            np.testing.assert_allclose(measured, predicted.transpose(*measured.dims), rtol=0.1)


def test_several_files_are_joined_along_what_differs(stored: pathlib.Path) -> None:
    data = read_material([stored / "both"])
    assert data.sizes["local_steps"] == 2
    assert data["local_steps"].attrs["long_name"] == "E, gradient steps of each client in a round"
    one = read_material([stored / "both" / "3.nc"])
    np.testing.assert_allclose(data.beta.sel(local_steps=3), one.beta.mean("client", skipna=False))
    figure = draw_picture("local_steps", data).figure
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["E = 1", "E = 3", "predicted"]
    with pytest.raises(ConfigurationError, match="different experiments"):
        read_material([stored / "run.nc", stored / "run.nc"])


def test_a_run_without_what_predictions_assume_has_none(stored: pathlib.Path) -> None:
    result = load_result(stored / "run.nc")
    assert "predicted_ratio" in prepared(result)
    for changed in (EXPERIMENT.replace(init_std=0.1), EXPERIMENT.replace(participation=0.5)):
        assert "predicted_ratio" not in prepared(result.assign_attrs(experiment=changed.to_json()))
    for name, value in (("band_occupancy", 1.5), ("noise_overlap", 0.2)):
        assert "predicted_ratio" not in prepared(result.assign({name: result[name] * 0 + value}))


SMALL = ("--clients", "2", "--samples", "4", "--noise-dim", "30", "--rounds", "3")


def test_commands_draw_what_they_computed(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(
        "[experiment]\nclients = 2\nnoise_dim = 30\nrounds = 2\ntheta = [0, 0.5, 1]\n[grid]\nsamples = [2, 4]\n",
        encoding="utf-8",
    )
    commands = {
        "simulate": ("simulate", *SMALL, "--json", "-"),
        "mixing": (
            "mixing",
            "--noise-dim",
            "300",
            "--rounds",
            "1",
            "--theta-step",
            "0.25",
            "--clients",
            "2",
            "4",
        ),
        "sweep": ("sweep", str(spec), "--out", str(tmp_path / "cells"), "--workers", "0"),
    }
    for name, words in commands.items():
        picture = tmp_path / f"{name}.svg"
        assert promptfolio.main([*words, "--figure", str(picture)]) == 0
        printed = capsys.readouterr().out
        assert picture.read_bytes().startswith(b"<?xml")
        if name == "simulate":
            json.loads(printed)
        else:
            assert str(picture) in printed.replace("\n", "")


def test_a_figure_of_nothing_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    words = ["simulate", *SMALL, "--record", "3", "--figure", str(tmp_path / "x.png")]
    assert promptfolio.main(words) == 2
    assert "single recorded round" in capsys.readouterr().err
    assert promptfolio.main(["simulate", *SMALL, "--figure", "x.gif"]) == 2
    assert ".svg" in capsys.readouterr().err


def test_a_study_on_clip_features_becomes_a_comparison() -> None:
    from tests.figures.test_figures import clip_dataset

    data = clip_dataset().assign_attrs(study="{}")
    found = prepared(data)
    expected = data.chosen_theta.sel(choice="predicted", drop=True).mean("seed", skipna=False)
    xr.testing.assert_allclose(found.theta_predicted, expected, check_dim_order=False)
    figure = draw_picture("mixing", found).figure
    posthoc = (
        data.overall_accuracy.sel(split="test", scheme="posthoc").isel(step=-1).mean("seed", skipna=False)
    )
    drawn = [np.asarray(line.get_ydata(), float) for line in figure.axes[0].lines]
    assert any(each.shape == posthoc.shape and np.allclose(each, posthoc) for each in drawn)
