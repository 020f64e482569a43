"""Numbers that commands print and write stand under their own names."""

import itertools
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest
import xarray as xr
from rich.table import Table
from rich.text import Text

import promptfolio
from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.cli import clip, cost, mixing
from simulate import Experiment, run


def entries(drawn: Table) -> list[dict[str, str]]:
    """The rows of a table as text, by the headings of its columns."""
    heads = [column.header.plain if isinstance(column.header, Text) else "" for column in drawn.columns]
    columns = [[cell.plain for cell in column.cells if isinstance(cell, Text)] for column in drawn.columns]
    return [dict(zip(heads, row, strict=True)) for row in zip(*columns, strict=True)]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], xr.Dataset]:
    """The rows of a comparison as JSON, and its dataset."""
    folder = tmp_path_factory.mktemp("mixing")
    words = "mixing --clients 3 --noise-dim 400 --samples 5 --rounds 1 4 --theta-step 0.125 --replicates 3"
    more = ["--schemes", "joint", "--out", str(folder), "--json", str(folder / "rows.json")]
    assert promptfolio.main([*words.split(), *more]) == 0
    (path,) = folder.glob("*.nc")
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    return rows, xr.load_dataset(path, engine="h5netcdf")


def test_rows_of_a_comparison_are_those_of_its_dataset(
    compared: tuple[list[dict[str, Any]], xr.Dataset],
) -> None:
    rows, data = compared
    assert [row["rounds"] for row in rows] == data.step.values.tolist() == [1, 4]
    for row in rows:
        at = data.sel(step=row["rounds"])
        for name in ("ratio", "accuracy"):
            seeds = at[name].transpose("theta", "seed").values
            curve = seeds.sum(axis=1) / 3
            predicted = at[f"{name}_predicted"].values
            assert row[f"{name}_global"] == pytest.approx(curve[0])
            assert row[f"{name}_local"] == pytest.approx(curve[-1])
            assert row[f"{name}_best"] == pytest.approx(max(curve))
            assert row[f"{name}_best_predicted"] == pytest.approx(max(predicted))
            if name == "accuracy":
                gaps = [abs(one - other) for one, other in zip(curve, predicted, strict=True)]
                assert row["largest_curve_error"] == pytest.approx(max(gaps))
        alike = ("predicted", "empirical", "low", "high", "tied_low", "tied_high")
        for name in (*(f"theta_{each}" for each in alike), "regret_ratio", "regret_accuracy"):
            assert row[name] == float(at[name]), name
        assert row["theta_low"] < row["theta_empirical"] < row["theta_high"]
        assert row["accuracy_global"] != pytest.approx(row["accuracy_local"])
        assert row["seeds"] == 3


ABOVE = np.array([0.01, 0.2, *[0.02] * 7])
"""By how much a predicted curve is above the measured one, at each θ."""


def test_the_largest_error_of_a_curve_may_be_below_it(
    compared: tuple[list[dict[str, Any]], xr.Dataset],
) -> None:
    _, data = compared
    far = data.assign(accuracy_predicted=data.accuracy.mean("seed") + ABOVE)
    far["accuracy_predicted"] = far.accuracy_predicted - 0.05
    setting = SymmetricSetting(**json.loads(data.attrs["setting"]))
    for row in mixing._rows(setting, "joint", far):
        assert row["largest_curve_error"] == pytest.approx(0.15)
    low = far.assign(accuracy_predicted=far.accuracy_predicted - 0.2)
    for row in mixing._rows(setting, "joint", low):
        assert row["largest_curve_error"] == pytest.approx(0.24)


def test_columns_of_a_comparison_hold_what_their_headings_say() -> None:
    numbers = (0.1234 + index / 100 for index in itertools.count())
    keys = (*mixing._THETA, *mixing._REGRET, *(key for _, key, _ in mixing._COLUMNS))
    rows: list[dict[str, Any]] = [{key: next(numbers) for key in keys} | {"theta_flat": False} for _ in "ab"]
    for index, row in enumerate(rows):
        row |= {
            "scheme": "joint",
            "clients": 4 + index,
            "group_size": 2,
            "noise_dim": 30,
            "rounds": 7 + index,
        }
        row["local_share"] = 0.7
    drawn = mixing._table(rows)
    assert isinstance(drawn.title, Text)
    assert drawn.title.plain.endswith(": χ = 2, b/(a+b) = 0.7, L = 30")
    for row, shown in zip(rows, entries(drawn), strict=True):
        assert shown == {
            "scheme": "joint",
            "K": str(row["clients"]),
            "T": str(row["rounds"]),
            "θ* predicted": f"{row['theta_predicted']:.3f}",
            "θ* empirical": f"{row['theta_empirical']:.3f}",
            "95 % interval": f"{row['theta_low']:.3f}–{row['theta_high']:.3f}",
            "R lost": f"{row['regret_ratio']:.1e}",
            "R mixture": f"{row['ratio_best']:.4g}",
            "R predicted": f"{row['ratio_best_predicted']:.4g}",
            "global": f"{row['accuracy_global']:.4f}",
            "local": f"{row['accuracy_local']:.4f}",
            "mixture": f"{row['accuracy_best']:.4f}",
            "predicted": f"{row['accuracy_best_predicted']:.4f}",
        }


def test_simulate_prints_the_last_step(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    words = "simulate --clients 2 --samples 4 6 --noise-dim 30 --rounds 3 --theta 0.2 0.7 --replicates 2"
    assert promptfolio.main([*words.split(), "--json", str(tmp_path / "run.json")]) == 0
    printed = capsys.readouterr().out
    data = run(Experiment(clients=2, samples=(4, 6), noise_dim=30, rounds=3, theta=(0.2, 0.7), replicates=2))
    summary = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    lines = [re.findall(r"\d[\d.]*", line) for line in printed.splitlines() if re.search(r"0\.[27] ", line)]
    assert "After 3 rounds" in printed
    for theta, row, line in zip((0.2, 0.7), summary["thetas"], lines, strict=True):
        at = data.sel(theta=theta, step=3).transpose(..., "predictor")

        def mean(name: str, predictor: str, at: xr.Dataset = at) -> float:
            return float(np.mean(at[name].sel(predictor=predictor).values))

        expected = {
            "mixture": mean("accuracy", "mixture"),
            "global": mean("accuracy", "global"),
            "local": mean("accuracy", "local"),
            "ratio": mean("ratio", "mixture"),
            "loss": mean("training_loss", "mixture"),
        }
        assert row["theta"] == theta
        for name, value in expected.items():
            assert row[name] == pytest.approx(value), name
        assert line == [f"{theta:g}", *(f"{value:.4f}" for value in expected.values())]


ACCURACIES = {
    "global prompt": "global",
    "local prompts": "local",
    "mixture at predicted θ*": "posthoc_predicted",
    "joint pair": "joint_validation",
    "detached pair": "detached_validation",
}
MEANS = {
    "over images": "",
    "mean of clients": "_client_mean",
    "± over clients": "_client_std",
    "worst client": "_worst_client",
    "trained classes": "_trained",
    "untrained classes": "_untrained",
    "harmonic mean": "_harmonic",
}


def summary_of_a_study() -> dict[str, Any]:
    """A summary of numbers that all differ."""
    numbers = (0.101 + index / 1000 for index in itertools.count())

    def number() -> dict[str, float]:
        return {"mean": next(numbers), "std": next(numbers)}

    rounds = []
    for index in (2, 9):
        names = [key + end for key in (*ACCURACIES.values(), "posthoc_best") for end in MEANS.values()]
        names += ["theta_posthoc_predicted", "theta_posthoc_best", "posthoc_regret", "generalisation_local"]
        record: dict[str, Any] = {name: number() for name in names}
        ends = [f"theta_posthoc_predicted_{end}" for end in ("low", "high")]
        rounds.append(record | dict.fromkeys(ends, record["theta_posthoc_predicted"]) | {"round": index})
    baseline = {end.removeprefix("_"): number() for end in MEANS.values() if end}
    return {
        "synthetic": 0,
        "bank": "some.npz",
        "backbone": "an encoder",
        "seeds": 2,
        "baseline": {"name": "zero-shot", "mean": 0.907, "std": 0.908, **baseline},
        "reused": {"mean": 0.0, "std": 0.0},
        "rounds": rounds,
    }


def test_clip_prints_each_number_under_its_heading() -> None:
    summary = summary_of_a_study()
    title, drawn = clip._table(summary)
    assert title == "some.npz, an encoder: test accuracy over all images, mean of 2 seeds; zero-shot 0.907"
    columns = ("round", "global", "local", "θ* predicted", "best θ", "regret, points", "joint", "detached")
    keys = ("global", "local", "theta_posthoc_predicted", "theta_posthoc_best", "posthoc_regret")
    for record, shown in zip(summary["rounds"], entries(drawn), strict=True):
        means = [record[key]["mean"] for key in (*keys, "joint_validation", "detached_validation")]
        digits = (3, 3, 2, 2, 2, 3, 3)
        said = [f"{mean:.{places}f}" for mean, places in zip(means, digits, strict=True)]
        assert [shown[column] for column in columns] == [str(record["round"]), *said]
    both = [column for column in drawn.columns if isinstance(column.header, Text)]
    accuracies = [[*column.cells] for column in both if column.header.plain == "accuracy"]  # type: ignore[union-attr]
    for cells, key in zip(accuracies, ("posthoc_predicted", "posthoc_best"), strict=True):
        assert [str(cell) for cell in cells] == [f"{each[key]['mean']:.3f}" for each in summary["rounds"]]


def test_clip_prints_the_last_rounds_means_under_their_headings() -> None:
    summary = summary_of_a_study()
    baseline, last = summary["baseline"], summary["rounds"][-1]
    drawn = clip._last_round(summary)
    assert isinstance(drawn.title, Text)
    assert drawn.title.plain.startswith("after round 9:")
    first, *others = entries(drawn)

    def said(number: dict[str, float]) -> str:
        return f"{number['mean']:.3f} ± {number['std']:.3f}"

    assert first[""] == "zero-shot"
    assert first["over images"] == "0.907 ± 0.908"
    for head, end in MEANS.items():
        if end:
            assert first[head] == said(baseline[end.removeprefix("_")])
    assert [row[""] for row in others] == list(ACCURACIES)
    for row in others:
        for head, end in MEANS.items():
            assert row[head] == said(last[ACCURACIES[row[""]] + end])
    everywhere = {"global prompt": said(last["global"]), "local prompts": said(last["generalisation_local"])}
    for row in others:
        assert row["all clients' images"] == everywhere.get(row[""], "")


def test_clip_says_which_images_were_used() -> None:
    summary = {
        "train_split": "a",
        "validation_split": "b",
        "test_split": "c",
        "train_images": 11.0,
        "validation_images": 22.5,
        "test_images": 33.0,
        "dropped_images": 4,
        "label_conflicts": 1,
        "bank_sha256": "0123456789abcdef" * 4,
    }
    assert clip._images(summary) == (
        "trained on 11 images of split a, θ chosen on 22.5 of b, tested on 33 of c; 4 repeated images not used, 1"
        " of them with another label; bank sha256 0123456789abcdef…"
    )


def test_sizes_are_binary_gigabytes() -> None:
    assert (cost._size(2.5 * 2**30), cost._size(2000 * 2**30)) == ("2.5 GiB", "2,000.0 GiB")
