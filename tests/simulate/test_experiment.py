"""Experiments: what is refused and how it is said, what is resolved, what depends on the seed."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulate import ConfigurationError, Experiment, run
from simulate.engines.choice import choose_engine
from simulate.model.optimizer import build_optimizer, optimizer_names
from tests.tolerances import RELATIVE, assert_agree

NAN, INFINITY = float("nan"), float("inf")
THETAS = tuple(i / 20 for i in range(21))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clients", 0),
        ("clients", 2.5),
        ("clients", True),
        ("samples", (0,)),
        ("samples", (3, 4)),
        ("samples", ()),
        ("groups", (0, 1)),
        ("groups", (0, 2, 2, 2)),
        ("groups", (0, -1, 0, 0)),
        ("global_feature_sq", -1.0),
        ("local_feature_sq", NAN),
        ("noise_feature_sq", 0.0),
        ("noise_std", 0.0),
        ("noise_std", -1.0),
        ("noise_std", INFINITY),
        ("noise_dim", 0),
        ("label_noise", -0.1),
        ("label_noise", 1.1),
        ("class_prior", ()),
        ("class_prior", (0.5, 0.5)),
        ("class_prior", (1.5,)),
        ("class_prior", (NAN,)),
        ("prior_feature_sq", -1.0),
        ("activation", "gelu"),
        ("signal_offset", 0.0),
        ("noise_offset", INFINITY),
        ("prompt_dim", 7),
        ("init_std", -0.1),
        ("scheme", "both"),
        ("theta", ()),
        ("theta", (0.5, 1.1)),
        ("theta", (-0.1,)),
        ("theta", (NAN,)),
        ("theta", (0.5, 0.5)),
        ("rounds", 0),
        ("local_steps", 0),
        ("participation", 0.0),
        ("participation", 1.5),
        ("optimizer", "sdg"),
        ("learning_rate", 0.0),
        ("learning_rate", "fast"),
        ("learning_rate", True),
        ("record", (5, 4)),
        ("record", (101,)),
        ("record", (-1,)),
        ("engine", "kernel"),
        ("gram", "drawn"),
        ("precision", "float16"),
        ("seed", -1),
        ("replicates", 0),
    ],
)
def test_bad_fields_are_named_with_value_and_remedy(field: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Experiment(**{field: value})
    assert caught.value.field == field
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(field)
    assert "must be" in message


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="linear in the gradient"):
        Experiment(engine="coefficient", optimizer="adam")
    with pytest.raises(ConfigurationError, match=r"optimizer_options\[momemtum\]"):
        Experiment(optimizer_options=(("momemtum", 0.9),))
    with pytest.raises(ConfigurationError, match=r"optimizer_options\[learning_rate\]"):
        Experiment(optimizer_options=(("learning_rate", 0.1),))
    with pytest.raises(ConfigurationError, match=r"optimizer_options\[momentum\]"):
        Experiment(optimizer_options=(("momentum", NAN),))
    with pytest.raises(ConfigurationError, match="activation_parameter"):
        Experiment(activation="relu_power", activation_parameter=0.5)
    for slope in (-0.1, 1.1):
        with pytest.raises(ConfigurationError, match="activation_parameter"):
            Experiment(activation="leaky_relu", activation_parameter=slope)


def test_an_open_choice_of_the_engine_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    short = Experiment(clients=10, samples=(20,), rounds=5, record=(5,), replicates=8, theta=THETAS)
    long = short.replace(rounds=500, record=(500,))
    assert (short.engine, long.engine) == ("auto", "auto")
    assert (choose_engine(short).name, choose_engine(long).name) == ("coefficient", "gram")
    text = long.to_json()
    monkeypatch.setattr("simulate.engines.gram.engine.MARGIN", 1e6)
    assert choose_engine(long).name == "coefficient"
    assert Experiment.from_json(text) == long
    assert long.replace(seed=0).to_json() == text


def test_what_no_engine_can_run_is_refused_in_one_line() -> None:
    with pytest.raises(
        ConfigurationError, match="one that can run the experiment: not coefficient when gram"
    ) as caught:
        Experiment(gram="wishart", activation="tanh")
    assert "not gram when activation = 'tanh'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_round_trip_and_its_errors() -> None:
    experiment = Experiment(
        clients=3, samples=(1, 2, 3), theta=(0.1, 0.2), optimizer_options=(("momentum", 0.5),)
    )
    assert Experiment.from_json(experiment.to_json()) == experiment
    with pytest.raises(ConfigurationError, match="JSON"):
        Experiment.from_json("{")
    with pytest.raises(ConfigurationError, match="fields"):
        Experiment.from_json('{"client": 3}')


@pytest.mark.parametrize("engine", ["auto", "coefficient", "gram", "prompt"])
def test_building_an_experiment_does_not_load_jax(engine: str) -> None:
    code = "import sys; from simulate import Experiment; "
    code += f"Experiment(engine={engine!r}); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


TINY = Experiment(clients=3, samples=(4,), noise_dim=20, rounds=3, learning_rate=1e-2, init_std=0.1)


@pytest.mark.parametrize(
    ("clients", "fraction", "expected"),
    [
        (4, 1.0, 4),
        (4, 0.6, 2),
        (4, 0.65, 3),
        (5, 0.5, 3),
        (4, 0.625, 3),
        (4, 0.1, 1),
        (10, 0.04, 1),
        (7, 0.3, 2),
    ],
)
def test_participants_are_the_rounded_fraction_and_never_none(
    clients: int, fraction: float, expected: int
) -> None:
    assert Experiment(clients=clients, participation=fraction).participants == expected


def test_same_seed_same_numbers_other_seed_other_numbers() -> None:
    first, again, other = run(TINY), run(TINY), run(TINY.replace(seed=1))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert (first.signal.sel(step=0) != other.signal.sel(step=0)).all(), "another initialisation"
    assert (first.phi_norm.isel(step=-1) != other.phi_norm.isel(step=-1)).all(), "other data"


def test_replicates_do_not_depend_on_how_many_run_together() -> None:
    together = run(TINY.replace(replicates=3))
    alone = run(TINY)
    for name in alone:
        assert_agree(together[name].sel(seed=[0]), alone[name], 1e-12, name)
    assert (together.phi_norm.isel(seed=1, step=-1) != together.phi_norm.isel(seed=2, step=-1)).all()


def test_recording_fewer_rounds_changes_nothing_recorded() -> None:
    every = run(TINY.replace(rounds=40, record=tuple(range(41)), local_steps=2))
    some = run(TINY.replace(rounds=40, record=(0, 7, 33), local_steps=2))
    np.testing.assert_array_equal(some["round"], [0, 7, 33])
    np.testing.assert_array_equal(some.step, [0, 14, 66])
    expected = every.sel(step=some.step)
    for name in some:
        assert_agree(some[name], expected[name], 1e-12, name)


def test_defaults_beyond_the_model_change_nothing() -> None:
    """Label noise and priors draw from streams of their own, and a fair prior is the plain model's coin."""
    spelt_out = TINY.replace(label_noise=0.0, class_prior=(0.5, 0.5, 0.5), prior_feature_sq=0.0)
    assert spelt_out == TINY
    plain, noisy = run(TINY), run(TINY.replace(label_noise=1e-9))
    for name in plain:
        assert_agree(noisy[name], plain[name], RELATIVE["float64"], name)


def test_progress_counts_rounds_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    run(
        TINY.replace(rounds=40, record=tuple(range(41))),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert len(seen) > 3
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (40, 40)


def test_equal_shapes_are_traced_once(calls_of: Callable[[str], list[str]]) -> None:
    experiment = TINY.replace(noise_dim=19, prompt_dim=0)  # no other test's shape
    traces = calls_of("simulate.engines.rows.run._trainings")
    run(experiment)
    first = len(traces)
    assert first > 0
    run(experiment.replace(learning_rate=0.02, noise_std=2.0, local_feature_sq=1.0, seed=5, groups=(2, 0, 1)))
    run(experiment.replace(label_noise=0.2, class_prior=(0.3,)))
    assert len(traces) == first
    run(experiment.replace(local_steps=7))
    assert len(traces) > first


@pytest.mark.parametrize("name", optimizer_names())
def test_every_listed_optimizer_updates_from_gradients_alone(name: str) -> None:
    prompts = (jnp.ones(3, jnp.float32), jnp.ones(3, jnp.float32))
    optimizer = build_optimizer(name, (), 1e-3)
    with jax.numpy_dtype_promotion("standard"):  # several optimizers of optax promote integers themselves
        state = optimizer.init(prompts)
        for _ in range(2):
            updates, state = optimizer.update(prompts, state, prompts)
    for update in updates:
        assert np.isfinite(update).all()
        assert (update != 0).all()


def test_adaptive_optimizers_run_in_prompt_space() -> None:
    adam = TINY.replace(optimizer="adam", engine="auto", learning_rate=1e-3)
    with jax.numpy_dtype_promotion("standard"):
        result = run(adam)
    assert result.attrs["engine_used"] == "prompt"
    assert (result.training_loss.isel(step=-1) < result.training_loss.isel(step=0)).all()


def test_coordinates_are_those_of_the_experiment() -> None:
    experiment = Experiment(
        clients=3,
        samples=(2, 5, 1),
        groups=(0, 1, 0),
        theta=(0.7, 0.1),
        noise_dim=20,
        rounds=4,
        record=(0, 2, 4),
        local_steps=3,
        replicates=2,
    )
    result = run(experiment)
    expected = {
        "step": [0, 6, 12],
        "round": [0, 2, 4],
        "theta": [0.7, 0.1],
        "seed": [0, 1],
        "client": [0, 1, 2],
        "samples": [2, 5, 1],
        "group": [0, 1, 0],
        "prompt": ["global", "local"],
        "predictor": ["global", "local", "mixture"],
    }
    assert {name: result[name].values.tolist() for name in result.coords} == expected
    assert result["round"].dims == ("step",)
    assert result.attrs["engine_used"] in ("coefficient", "gram", "prompt")
    assert result.attrs["band_occupancy_is"] == "exact"


def test_result_says_what_it_is() -> None:
    result = run(TINY)
    assert Experiment.from_json(result.attrs["experiment"]) == TINY
    assert json.loads(result.attrs["versions"])["jax"]
    assert result.attrs["git_commit"]
    assert result.attrs["format_version"] == "2"
    for name in result:
        assert result[name].attrs["long_name"]
        assert result[name].attrs["units"]
