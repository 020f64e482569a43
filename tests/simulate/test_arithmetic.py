"""A seed means the same draws whatever JAX is set to, and its settings are as they were after a run."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from promptfolio.companion import ClipStudy, draw_synthetic_bank, run_study
from simulate import ConfigurationError, Experiment, Hierarchy, run, run_hierarchy
from simulate.model.fresh_samples import count_correct
from simulate.model.keys import root_key
from simulate.results.provenance import different_setting, settings_of
from simulate.running.arithmetic import arithmetic, numerics
from simulate.running.portfolio import train_portfolio
from simulate.validation import LARGEST_SEED, require_seed

TINY = Experiment(
    clients=4, samples=(3,), noise_dim=20, rounds=2, init_std=0.01, label_noise=0.3, participation=0.5, seed=3
)

# Settings that a user's environment may have, each with another meaning of a seed or other digits unless pinned.
AMBIENT = {
    "jax_default_prng_impl": "rbg",
    "jax_threefry_partitionable": False,
    "jax_default_matmul_precision": "bfloat16",
    "jax_enable_x64": True,
    "jax_random_seed_offset": 7,
    "jax_legacy_prng_key": "error",
    "jax_transfer_guard": "disallow",
}


@contextlib.contextmanager
def ambient(changes: dict[str, Any]) -> Iterator[None]:
    before = {name: jax.config._read(name) for name in changes}
    for name, value in changes.items():
        jax.config.update(name, value)
    try:
        yield
        assert {name: jax.config._read(name) for name in changes} == changes
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def _simulated(precision: Any) -> xr.Dataset:
    return run(TINY.replace(precision=precision))


def _study() -> xr.Dataset:
    study = ClipStudy(
        clients=2,
        rounds=2,
        replicates=2,
        theta_step=0.5,
        trained_theta=(0.5,),
        init_std=0.01,
        participation=0.5,
        partition_seed=5,
    )
    return run_study(study, draw_synthetic_bank(3, classes=4, dim=16))


def _portfolio() -> xr.Dataset:
    portfolio = train_portfolio(TINY.replace(engine="prompt"))
    return xr.Dataset(
        {name: ((), np.sum(np.asarray(getattr(portfolio, name)))) for name in ("weights", "feature_local")}
    )


MEASURED: dict[str, Callable[[], xr.Dataset]] = {
    "float32": lambda: _simulated("float32"),
    "float64": lambda: _simulated("float64"),
    "study": _study,
    "hierarchy": lambda: run_hierarchy(Hierarchy(TINY, ((0, 0, 1, 1),), ((0.5, 0.3, 0.2),))),
    "portfolio": _portfolio,
    "fresh samples": lambda: count_correct(TINY, 50).to_dataset(name="shares"),
}


@pytest.mark.parametrize("what", MEASURED)
def test_no_setting_of_jax_changes_a_result(what: str) -> None:
    expected = MEASURED[what]()
    with ambient(AMBIENT):
        found = MEASURED[what]()
    assert found.drop_attrs(deep=False).identical(expected.drop_attrs(deep=False))
    assert found.attrs == expected.attrs


def test_the_context_is_left_as_it_was_found() -> None:
    def fail() -> None:
        with arithmetic("float64"):
            assert jnp.zeros(1).dtype == jnp.float64
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert jnp.zeros(1).dtype == jnp.float32


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_root_keys_are_those_of_jax(seed: int, precision: Any) -> None:
    with arithmetic(precision):
        expected = jax.random.key_data(jax.random.key(seed, impl="threefry2x32"))
        np.testing.assert_array_equal(jax.random.key_data(root_key(seed)), expected)


def test_seeds_of_one_range_give_different_draws_in_both_precisions() -> None:
    for precision in ("float32", "float64"):
        tiny = TINY.replace(precision=precision)
        overlaps = [run(tiny.replace(seed=seed)).noise_overlap.item() for seed in (0, 1, LARGEST_SEED)]
        assert len(set(overlaps)) == 3


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63, 10**30, 1.0, True, "0", None, np.int64(3)])
def test_seeds_beyond_the_range_are_refused_everywhere(seed: Any) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: require_seed("seed", seed),
        lambda: Experiment(seed=seed),
        lambda: ClipStudy(seed=seed),
    ]
    if type(seed) is int:  # the tests' own type checks refuse the others first
        attempts.append(lambda: draw_synthetic_bank(seed))
    if seed is not None:
        attempts.append(lambda: ClipStudy(partition_seed=seed))
    for attempt in attempts:
        with pytest.raises(ConfigurationError, match=rf"seed.*an integer >= 0 and <= {LARGEST_SEED}$"):
            attempt()


def test_a_result_says_what_its_digits_depend_on() -> None:
    for result in (_simulated("float64"), _study()):
        found = json.loads(result.attrs["numerics"])
        assert (found["generator"], found["threefry_partitionable"]) == ("threefry2x32", True)
        assert (found["matmul_precision"], found["platform"]) == ("highest", jax.default_backend())
        assert found["jax_disable_most_optimizations"] is True  # by the tests' own setting
        assert {"device", "devices", "processor", "xla_flags", "jax_disable_jit"} <= set(found)
    assert json.loads(_simulated("float64").attrs["numerics"])["x64"] is True


def test_settings_that_change_more_than_the_rounding_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(flags: str, versions: str = '{"jax": "1", "numpy": "2"}') -> dict[str, str]:
        monkeypatch.setenv("XLA_FLAGS", flags)
        return settings_of({"versions": versions, "numerics": numerics("float32")})

    plain = settings("")
    assert different_setting(plain, settings("--xla_force_host_platform_device_count=4")) is None
    assert different_setting(plain, settings("--xla_cpu_enable_fast_math=true")) == "xla_flags"
    assert settings("--a --b") == settings("--b  --a")
    assert different_setting(plain, settings("", '{"jax": "2"}')) == "jax"
    assert different_setting(plain, settings("", '{"jax": "1", "numpy": "3"}')) is None
    assert settings_of({}) == settings_of({"versions": "no JSON", "numerics": "[]"}) == {}
    assert different_setting({}, plain) is different_setting(plain, {}) is None


@pytest.mark.parametrize("platforms", ["nosuch", "cuda"])
def test_platforms_that_are_not_there_are_refused_in_one_line(platforms: str) -> None:
    if platforms == "cuda" and jax.default_backend() == "gpu":
        pytest.skip("it is there")
    code = "from simulate.running.devices import local_devices; local_devices()"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "JAX_PLATFORMS": platforms},
        capture_output=True,
        text=True,
    )
    last = answer.stderr.strip().splitlines()[-1]
    assert (
        f"ConfigurationError: JAX_PLATFORMS = '{platforms}' is not allowed: it must be platforms that JAX has"
        in last
    )
