"""Specifications: what they resolve to, and that each mistake is refused in one line."""

import itertools
import math
import os
import pathlib
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from promptfolio.sweep import Specification, cell_name, parse_specification, read_specification
from promptfolio.sweep.cell import canonical_fields, canonical_json, compiled_shape
from promptfolio.sweep.fields import field_kinds
from simulate import ConfigurationError, Experiment
from simulate.former_names import LATER_FIELDS


def parsed(text: str) -> Specification:
    return parse_specification(tomllib.loads(text))


def experiments(text: str) -> list[Experiment]:
    return [cell.experiment for cell in parsed(text).cells]


def test_grid_and_together_are_crossed() -> None:
    sweep = parsed("""
        [experiment]
        rounds = 5
        [grid]
        seed = [3, 4]
        [[together]]
        noise_dim = [50, 60, 70]
        local_feature_sq = [1, 2, 3]
        [[together]]
        clients = [2, 3]
        samples = [[5, 6], 7]
    """)
    assert sweep.varied == ("seed", "noise_dim", "local_feature_sq", "clients", "samples")
    assert len(sweep.cells) == 2 * 3 * 2
    assert str(sweep.cells[1]) == "seed = 3, noise_dim = 50, local_feature_sq = 1, clients = 3, samples = 7"
    assert sweep.cells[0].experiment == Experiment(
        rounds=5, seed=3, noise_dim=50, local_feature_sq=1.0, clients=2, samples=(5, 6)
    )
    assert [cell.experiment.seed for cell in sweep.cells] == [3] * 6 + [4] * 6


def test_an_entry_of_a_list_is_what_one_would_write_in_experiment() -> None:
    assert experiments("experiment.theta = [0, 0.5]") == [Experiment(theta=(0.0, 0.5))]
    assert experiments("grid.theta = [0, 0.5]") == [Experiment(theta=(0.0,)), Experiment(theta=(0.5,))]
    assert experiments("grid.theta = [[0, 0.5], 1]") == [
        Experiment(theta=(0.0, 0.5)),
        Experiment(theta=(1.0,)),
    ]
    assert experiments("experiment.samples = 7") == [Experiment(samples=(7,))]
    assert experiments("grid.groups = [[], [0, 0, 1, 1]]") == [Experiment(), Experiment(groups=(0, 0, 1, 1))]
    options = experiments("grid.optimizer_options = [{}, { momentum = 0.9, nesterov = 1 }]")
    assert [each.optimizer_options for each in options] == [(), (("momentum", 0.9), ("nesterov", 1.0))]


def test_fields_that_derive_from_varied_ones_follow_them() -> None:
    small, large = experiments("experiment.rounds = 3\ngrid.clients = [2, 3]")
    assert (small.groups, large.groups, large.prompt_dim) == ((0, 1), (0, 1, 2), large.rows)


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("theta = { from = 0, to = 1, points = 41 }", "theta", tuple(i / 40 for i in range(41))),
        ("theta = { from = 0.1, to = 0.9, points = 9 }", "theta", tuple(i / 10 for i in range(1, 10))),
        ("record = { from = 0, to = 100, points = 5 }", "record", (0, 25, 50, 75, 100)),
        ("record = { from = 1, to = 100, points = 4, spacing = 'log' }", "record", (1, 5, 22, 100)),
        (
            "theta = { from = 1e-4, to = 1, points = 5, spacing = 'log' }",
            "theta",
            (1e-4, 1e-3, 1e-2, 0.1, 1.0),
        ),
    ],
)
def test_ranges(text: str, field: str, expected: tuple[float, ...]) -> None:
    (experiment,) = experiments(f"[experiment]\n{text}")
    assert getattr(experiment, field) == expected  # to the last bit: equal cells must have equal names


def test_points_of_a_logarithmic_range_have_equal_ratios() -> None:
    (experiment,) = experiments(
        "[experiment]\ntheta = { from = 0.003, to = 0.9, points = 6, spacing = 'log' }"
    )
    assert (experiment.theta[0], experiment.theta[-1]) == (0.003, 0.9)
    for before, after in itertools.pairwise(experiment.theta):
        assert after / before == pytest.approx(300 ** (1 / 5), rel=1e-10)


def test_a_range_in_the_grid_is_a_list_of_its_points() -> None:
    assert [each.rounds for each in experiments("grid.rounds = { from = 10, to = 30, points = 3 }")] == [
        10,
        20,
        30,
    ]
    one_each = experiments("grid.theta = { from = 0, to = 1, points = 3 }")
    assert [each.theta for each in one_each] == [(0.0,), (0.5,), (1.0,)]
    whole = experiments("grid.theta = [{ from = 0, to = 1, points = 3 }]")
    assert [each.theta for each in whole] == [(0.0, 0.5, 1.0)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[experiments]\nclients = 2", ("table = 'experiments'", "[[together]]")),
        ("clients = 2", ("table = 'clients'", "[experiment]")),
        ("experiment = 3", ("experiment = 3", "a table")),
        ("grid = [1]", ("grid = [1]", "a table")),
        ("[together]\nclients = [2]", ("together", "[[together]]")),
        ("together = [3]", ("together = 3", "table of lists")),
        ("[[together]]", ("together = {}", "table of lists")),
        ("[experiment]\ncolour = 1", ("experiment = 'colour'", "clients, samples")),
        ("[grid]\ncolour = [1]", ("grid = 'colour'", "clients, samples")),
        ("[[together]]\ncolour = [1]", ("together = 'colour'", "clients, samples")),
        ("[experiment]\nclients = [2]", ("experiment.clients = [2]", "an integer")),
        ("[experiment]\nclients = 2.0", ("experiment.clients = 2.0", "an integer")),
        ("[experiment]\nclients = true", ("experiment.clients = True", "an integer")),
        ("[experiment]\nnoise_std = '1'", ("experiment.noise_std = '1'", "a number")),
        ("[experiment]\nnoise_std = true", ("experiment.noise_std = True", "a number")),
        ("[experiment]\nnoise_std = nan", ("noise_std = nan", "finite")),
        (f"[experiment]\nnoise_std = 1{'0' * 400}", ("experiment.noise_std", "finite")),
        ("[experiment]\nscheme = 3", ("experiment.scheme = 3", "a text")),
        ("[experiment]\nscheme = 'apart'", ("scheme = 'apart'", "joint, posthoc, detached")),
        ("[experiment]\nsamples = ['a']", ("experiment.samples = 'a'", "an integer")),
        ("[experiment]\nsamples = [[5]]", ("experiment.samples = [[5]]", "a list of integers")),
        ("[experiment]\ntheta = 1979-05-27", ("experiment.theta", "a number")),
        ("[experiment]\nclients = { from = 1, to = 2, points = 2 }", ("experiment.clients", "an integer")),
        ("[experiment]\noptimizer_options = [1]", ("experiment.optimizer_options = [1]", "a table of names")),
        ("[experiment]\noptimizer_options.momentum = 'x'", ("experiment.optimizer_options.momentum = 'x'",)),
        ("[grid]\nclients = 4", ("grid.clients = 4", "belongs in [experiment]")),
        ("[grid]\nclients = []", ("grid.clients = []", "at least one value")),
        ("[grid]\nclients = [2, 2]", ("grid.clients = '2'", "once")),
        ("[grid]\nnoise_std = [1, 1.0]", ("grid.noise_std = '1'", "once")),
        ("[grid]\nclients = [[2]]", ("grid.clients = [2]", "an integer")),
        ("[grid]\nscheme = { from = 0, to = 1, points = 2 }", ("grid.scheme", "a list")),
        ("[experiment]\nclients = 2\n[grid]\nclients = [2]", ("field = 'clients'", "[experiment] has it")),
        ("[grid]\nseed = [2]\n[[together]]\nseed = [1]", ("field = 'seed'", "[grid] has it")),
        (
            "[[together]]\nseed = [2]\n[[together]]\nseed = [1]",
            ("field = 'seed'", "[[together]] has it"),
        ),
        (
            "[[together]]\nseed = [1, 2]\nclients = [2]",
            ("together", "equal length", "seed has 2, clients has 1"),
        ),
        ("[[together]]\nseed = [1, 1]\nclients = [2, 2]", ("together = '1, 2'", "once")),
        ("[grid]\ntheta = { from = 0, to = 1 }", ("grid.theta", "points is missing")),
        ("[grid]\ntheta = { from = 0, to = 1, points = 1 }", ("grid.theta.points = 1", ">= 2")),
        ("[grid]\ntheta = { from = 0, to = 1, points = 10000000 }", ("grid.theta.points", "at most")),
        ("[grid]\ntheta = { from = 1, to = 0, points = 3 }", ("grid.theta.to = 0.0", "> 1")),
        ("[grid]\ntheta = { from = 0, to = inf, points = 3 }", ("grid.theta.to = inf", "finite")),
        ("[grid]\ntheta = { from = 0, to = 1, points = 3, step = 1 }", ("grid.theta.step = 1", "left out")),
        ("[grid]\ntheta = { from = 0, to = 1, points = 3, spacing = 'cubic' }", ("spacing = 'cubic'", "log")),
        (
            "[grid]\ntheta = { from = 0, to = 1, points = 3, spacing = 'log' }",
            ("grid.theta.from = 0.0", "> 0"),
        ),
        ("[grid]\nrounds = { from = 1, to = 2, points = 3 }", ("grid.rounds", "points are integers")),
        ("[grid]\nrounds = { from = 1, to = 2.5, points = 3 }", ("grid.rounds.to = 2.5", "an integer")),
        (
            "[grid]\nseed = { from = 0, to = 999, points = 1000 }\nrounds = { from = 1, to = 999, points = 999 }",
            ("grid = '999000 cells'", "at most 100000"),
        ),
        ("[grid]\nclients = [4, 0]", ("clients = 0", ">= 1", "(in the cell clients = 0)")),
        (
            "[experiment]\nclients = 2\n[grid]\nsamples = [5, [5, 5, 5]]\nseed = [8]",
            ("samples = (5, 5, 5)", "clients = 2 entries", "(in the cell samples = [5, 5, 5], seed = 8)"),
        ),
        ("[grid\n", ("spec = ", "valid TOML", "line 1")),
    ],
)
def test_mistakes_are_refused_in_one_line(tmp_path: pathlib.Path, text: str, named: tuple[str, ...]) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_specification(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in named:
        assert part in message


@pytest.mark.parametrize("content", [None, b"\xff\xfe[grid]"])
def test_files_that_cannot_be_read(tmp_path: pathlib.Path, content: bytes | None) -> None:
    path = tmp_path / "spec.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"spec = .*spec\.toml"):
        read_specification(path)


SPELT = """
    [experiment]
    clients = 3
    samples = {samples}
    global_feature_sq = {signal}
    theta = {theta}
    rounds = 4
    optimizer_options = {{ {options} }}
"""


def test_a_cell_has_one_name_however_it_is_spelt() -> None:
    (one,) = experiments(
        SPELT.format(samples="5", signal="3", theta="[0, 0.5]", options="momentum = 0.5, nesterov = 1")
    )
    (other,) = experiments(
        SPELT.format(
            samples="[5, 5, 5]",
            signal="3.0",
            theta="{ from = -0.0, to = 0.5, points = 2 }",
            options="nesterov = 1, momentum = 0.5",
        )
    )
    by_hand = Experiment(
        clients=3,
        samples=(5,),
        global_feature_sq=3,
        theta=(0, 0.5),
        rounds=4,
        optimizer_options=(("nesterov", 1), ("momentum", 0.5)),
        record=(0, 1, 2, 3, 4),
    )
    assert cell_name(one) == cell_name(other) == cell_name(by_hand)
    assert Experiment.from_json(canonical_json(one)) == one


def test_every_field_changes_the_name() -> None:
    base = Experiment(clients=2, samples=(4,), rounds=3, noise_dim=30)
    changes: dict[str, dict[str, Any]] = {
        "clients": {"clients": 3, "samples": (4,), "groups": (), "class_prior": (0.5,), "prompt_dim": 0},
        "samples": {"samples": (4, 5)},
        "groups": {"groups": (0, 0)},
        "noise_dim": {"noise_dim": 29, "prompt_dim": 0},
        "prompt_dim": {"prompt_dim": 40},
        "activation": {"activation": "softplus"},
        "scheme": {"scheme": "posthoc"},
        "finetune_steps": {"scheme": "finetuned", "finetune_steps": 2, "record": ()},
        "theta": {"theta": (0.25,)},
        "class_prior": {"class_prior": (0.5, 0.6)},
        "optimizer": {"optimizer": "adam", "engine": "prompt"},
        "optimizer_options": {"optimizer_options": (("momentum", 0.5),)},
        "record": {"record": (3,)},
        "rounds": {"rounds": 4},
        "engine": {"engine": "prompt"},
        "gram": {"gram": "wishart", "engine": "gram"},
        "precision": {"precision": "float32"},
        "prior_feature_sq": {"prior_feature_sq": 1.0, "prompt_dim": 0},
    }
    kinds = field_kinds()
    names = {cell_name(base)}
    for field, kind in kinds.items():
        small = {"integer": 2, "number": 0.125}
        changed = base.replace(**changes.get(field, {field: small.get(kind)}))
        names.add(cell_name(changed))
    assert len(names) == 1 + len(kinds)


def test_a_later_field_changes_the_name_unless_it_has_its_default() -> None:
    tuned = Experiment(clients=2, samples=(4,), rounds=3, noise_dim=30, scheme="finetuned", finetune_steps=1)
    assert cell_name(tuned) != cell_name(tuned.replace(finetune_steps=2))
    assert set(field_kinds()) >= LATER_FIELDS
    plain = canonical_fields(tuned.replace(scheme="joint", finetune_steps=0, record=()))
    assert not LATER_FIELDS & set(plain)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 1e-7),
        ("init_std", 1e-9),
        ("noise_std", 1.0),
        ("local_feature_sq", 7.9),
        ("theta", (0.5,)),
        ("optimizer_options", (("momentum", 0.5),)),
        ("seed", 2**32 - 2),
    ],
)
def test_names_tell_the_closest_numbers_apart(field: str, value: Any) -> None:
    def next_to(value: Any) -> Any:
        if isinstance(value, float):
            return math.nextafter(value, math.inf)
        if isinstance(value, int):
            return value + 1
        return tuple(each if isinstance(each, str) else next_to(each) for each in value)

    base = Experiment(clients=2, samples=(4,), rounds=3, noise_dim=30, **{field: value})
    assert cell_name(base) != cell_name(base.replace(**{field: next_to(value)}))
    twice = base.replace(learning_rate=2 * base.learning_rate)
    assert len({cell_name(base), cell_name(twice)}) == 2


def test_numbers_of_options_change_the_name() -> None:
    momenta = (0.5, 0.9, 0.9 + 1e-16 * 2)
    names = {cell_name(Experiment(optimizer_options=(("momentum", momentum),))) for momentum in momenta}
    assert len(names) == len(set(momenta)) == 3


def test_small_step_sizes_are_different_cells() -> None:
    sweep = parse_specification({"experiment": {"clients": 2}, "grid": {"learning_rate": [1e-7, 2e-7]}})
    assert len({cell.name for cell in sweep.cells}) == 2
    assert [str(cell) for cell in sweep.cells] == ["learning_rate = 1e-07", "learning_rate = 2e-07"]


def test_names_do_not_depend_on_the_process() -> None:
    code = (
        "from simulate import Experiment; from promptfolio.sweep import cell_name\n"
        "print(cell_name(Experiment(clients=2, theta=(0.1, 0.7), optimizer_options=(('momentum', 0.9),))))"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(names) == 1
    assert len(names.pop().strip()) == 16


def test_the_shape_tells_apart_what_the_compiler_does() -> None:
    base = Experiment(clients=2, rounds=3)
    assert compiled_shape(base) == compiled_shape(
        base.replace(seed=1, learning_rate=0.1, global_feature_sq=9.0)
    )
    for change in (
        {"theta": (0.1, 0.2)},
        {"scheme": "posthoc"},
        {"label_noise": 0.1},
        {"samples": (11, 10)},
    ):
        assert compiled_shape(base) != compiled_shape(base.replace(**change))
