"""Batches, devices and memory change how a run is computed, never what comes out."""

import contextlib
import math
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from simulate import ConfigurationError, Experiment, run
from simulate.engines.gram.run import advance_gram
from simulate.engines.rows.run import advance
from simulate.running.batching import GIB, Batching, batches, batching_for
from simulate.running.devices import Layout
from simulate.running.prepared import Prepared, prepare
from tests.support import ROOT

BASE = Experiment(
    clients=3,
    samples=(4, 6, 5),
    noise_dim=60,
    init_std=0.1,
    theta=(0.1, 0.4, 0.6, 0.8, 1.0),
    rounds=6,
    record=(2, 6),
    local_steps=2,
    participation=0.7,
    learning_rate=1e-2,
    signal_offset=0.5,
    noise_offset=30.0,
    engine="gram",
    replicates=5,
)
COEFFICIENT = BASE.replace(engine="coefficient")
WIDE = COEFFICIENT.replace(noise_dim=30000, prompt_dim=0)


def budget_for(experiment: Experiment, replicates: int, thetas: int) -> float:
    """A memory budget that leads to batches of this size."""
    for budget in np.geomspace(1e-6, 1, 2000):
        try:
            batching = batching_for(experiment, experiment.replicates, float(budget))
        except ConfigurationError:
            continue
        if (batching.replicates, batching.thetas) == (replicates, thetas):
            return float(budget)
    raise AssertionError("no budget gives such batches")


def same(first: xr.Dataset, second: xr.Dataset, tolerance: float = 1e-10) -> None:
    assert set(first) == set(second)
    for name in first:
        if first[name].dtype == bool:
            assert (first[name] == second[name]).all()
        else:
            largest = float(abs(first[name]).max())
            np.testing.assert_allclose(
                first[name], second[name], rtol=tolerance, atol=tolerance * largest, err_msg=name
            )


@pytest.mark.parametrize("engine", ["coefficient", "gram", "prompt"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 5)])
def test_batches_do_not_change_results(engine: str, size: tuple[int, int]) -> None:
    experiment = BASE.replace(engine=engine)
    whole = batching_for(experiment, 5, None)
    assert (whole.replicates, whole.thetas) == (5, 5), "the other run must be in one piece"
    same(run(experiment), run(experiment, memory=budget_for(experiment, *size)))


def test_batches_do_not_change_what_one_training_serves() -> None:
    posthoc = BASE.replace(scheme="posthoc")
    same(run(posthoc), run(posthoc, memory=budget_for(posthoc, 2, 1)))


@pytest.mark.parametrize("seeds_at_once", [0, 1, 2])
@pytest.mark.parametrize("thetas_at_once", [1, 2])
@pytest.mark.parametrize("clients_in_turn", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_groups_on_a_device_do_not_change_results(
    seeds_at_once: int, thetas_at_once: int, clients_in_turn: bool, momentum: float
) -> None:
    options = (("momentum", momentum),) if momentum else ()
    experiment = COEFFICIENT.replace(
        replicates=4, theta=(0.1, 0.4, 0.6, 0.8), optimizer_options=options, noise_offset=0.5
    )
    gaps = jnp.asarray([2, 4])
    with jax.enable_x64(True):
        plain, grouped = (
            prepare(experiment, layout=layout)
            for layout in (Layout(), Layout(1, 1, seeds_at_once, thetas_at_once, clients_in_turn))
        )
        expected, measured = (advance(*each.constants, each.states, gaps)[1] for each in (plain, grouped))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13), expected, measured)


@pytest.mark.parametrize(
    ("engine", "traced"),
    [
        ("coefficient", "simulate.engines.rows.run._trainings"),
        ("gram", "simulate.engines.gram.run.train_gram"),
    ],
)
def test_batches_and_cells_of_one_shape_share_a_program(
    engine: str, traced: str, calls_of: Callable[[str], list[str]]
) -> None:
    experiment = BASE.replace(engine=engine, noise_dim=59, prompt_dim=0)  # no other test's shape
    memory = budget_for(experiment, 1, 2)
    traces = calls_of(traced)
    run(experiment.replace(replicates=1, theta=(0.2, 0.3)), memory=memory)
    first = len(traces)
    assert first > 0
    run(experiment.replace(seed=3, learning_rate=2e-3), memory=memory)
    run(experiment.replace(replicates=3, noise_std=0.5, theta=(0.0, 0.5, 0.7)), memory=memory)
    assert len(traces) == first
    run(experiment.replace(theta=(0.0,), replicates=2))
    assert len(traces) > first


def test_rounds_of_all_batches_are_counted() -> None:
    seen: list[tuple[int, int]] = []
    run(BASE, progress=lambda done, total: seen.append((done, total)), memory=budget_for(BASE, 1, 2))
    assert seen[-1] == (5 * 3 * 6, 5 * 3 * 6)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_only_replicates_that_leave_the_band_fall_back() -> None:
    many = BASE.replace(replicates=12, signal_offset=1e3)
    everywhere = ("theta", "step", "client", "prompt")
    largest = run(many.replace(engine="coefficient")).band_occupancy.max(everywhere)
    # With a band as wide as the median replicate's largest excursion, half of the replicates leave it.
    narrow = many.replace(noise_offset=many.noise_offset * float(np.median(largest)))
    result, exact = run(narrow), run(narrow.replace(engine="coefficient"))
    fallback = result.fallback.values
    assert 0 < fallback.sum() < 12
    assert fallback[exact.band_occupancy.max(everywhere).values >= 1].all()
    same(result.drop_vars("fallback"), exact.drop_vars("fallback"))
    in_pieces = run(narrow, memory=budget_for(narrow, 1, 2))
    np.testing.assert_array_equal(in_pieces.fallback, fallback)
    same(result, in_pieces)


@pytest.mark.parametrize(
    "experiment",
    [
        BASE.replace(replicates=40, theta=tuple(i / 40 for i in range(41)), precision="float32"),
        WIDE.replace(theta=tuple(i / 8 for i in range(9)), replicates=2, precision="float32"),
        WIDE.replace(replicates=1, record=tuple(range(7))),
        WIDE.replace(replicates=3, scheme="posthoc"),
    ],
)
def test_cores_do_not_change_a_single_digit(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    results, threads = [], []
    for cores in (1, 2, 3):
        monkeypatch.setattr("simulate.running.batching.processor_cores", lambda cores=cores: cores)
        threads.append(batching_for(experiment, experiment.replicates, None).threads)
        results.append(run(experiment))
    assert threads == sorted(threads)
    assert threads[0] == 1 < threads[1]
    for result in results[1:]:
        xr.testing.assert_identical(result, results[0])


def test_as_many_threads_as_the_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulate.running.batching.processor_cores", lambda: 4)
    experiment = WIDE.replace(replicates=4)
    threads = []
    for budget in np.geomspace(0.01, 10, 40):
        with contextlib.suppress(ConfigurationError):
            threads.append(batching_for(experiment, experiment.replicates, float(budget)).threads)
    assert threads == sorted(threads)
    assert set(threads) >= {1, 2, 4}


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"memory = 1e-06 .* at least .* one replicate at one θ"):
        run(BASE, memory=1e-6)
    with pytest.raises(ConfigurationError, match="memory = 0 "):
        run(BASE, memory=0)


def test_the_last_batch_is_filled_up() -> None:
    pieces = batches(np.arange(7), 3)
    assert [piece.tolist() for piece in pieces] == [[0, 1, 2], [3, 4, 5], [6, 6, 6]]


LARGE = Experiment(
    clients=10, samples=(20,), noise_dim=2000, theta=tuple(i / 20 for i in range(21)), rounds=50, record=(50,)
)


@pytest.mark.parametrize(
    "experiment",
    [
        LARGE.replace(engine="coefficient", replicates=4),
        LARGE.replace(engine="coefficient", replicates=4, optimizer_options=(("momentum", 0.9),)),
        LARGE.replace(engine="coefficient", replicates=2, record=tuple(range(51)), scheme="posthoc"),
        LARGE.replace(engine="gram", replicates=16),
        LARGE.replace(engine="gram", replicates=16, gram="wishart", noise_dim=10**6, prompt_dim=0),
        LARGE.replace(engine="prompt", replicates=1, noise_dim=300, prompt_dim=0),
    ],
)
def test_a_budget_covers_the_arrays_of_a_batch(experiment: Experiment) -> None:
    batching = batching_for(experiment, experiment.replicates, None)
    alive = batching.threads * most_bytes_alive(experiment, batching)
    needed = smallest_budget(experiment, batching) * GIB
    assert alive < needed, "the estimate promises too much"
    assert needed < 8 * alive, "the estimate wastes memory"


def most_bytes_alive(experiment: Experiment, batching: Batching) -> int:
    """Of a batch's arrays, if operations run one after another and an array lives until its last use."""
    with jax.enable_x64(True):
        first = prepare(
            experiment,
            np.arange(batching.replicates),
            np.resize(experiment.trained_thetas, batching.thetas),
            batching.layout,
        )
        return _bytes_alive(_traced(experiment, first, records=-(-len(experiment.record) // 16)))


def _bytes_alive(jaxpr: Any) -> int:
    def size(variables: Iterable[Any]) -> int:
        return sum(math.prod(each.aval.shape) * each.aval.dtype.itemsize for each in set(variables))

    def named(variables: Iterable[Any]) -> set[Any]:
        return {each for each in variables if not hasattr(each, "val")}  # others are literals

    given = {*jaxpr.invars, *jaxpr.constvars}
    last_use = {each: number for number, step in enumerate(jaxpr.eqns) for each in named(step.invars)}
    last_use |= dict.fromkeys(named(jaxpr.outvars), len(jaxpr.eqns))
    alive = most = size(given)
    for number, step in enumerate(jaxpr.eqns):
        within = max((_bytes_alive(inner) - size(inner.invars) for inner in _inner(step)), default=0)
        most = max(most, alive + max(within, size(step.outvars)))
        done = {each for each in named(step.invars) - given if last_use[each] == number}
        unused = {each for each in step.outvars if each not in last_use}
        alive += size(step.outvars) - size(done) - size(unused)
    return most


def _traced(experiment: Experiment, first: Prepared, records: int = 1) -> Any:
    """The operations that training consists of, before anything is compiled."""
    function = advance_gram if experiment.engine == "gram" else advance
    arguments = (*first.constants, first.states, jnp.asarray([1] * records))
    return function.compiled(first.layout).trace(*arguments).jaxpr.jaxpr


def _inner(operation: Any) -> Iterator[Any]:
    """The operations inside of one: a loop's body, a called function."""
    for value in operation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(part, "jaxpr", part)
            if hasattr(inner, "eqns"):
                yield inner


def smallest_budget(experiment: Experiment, batching: Batching) -> float:
    """The least budget in GiB under which a batch is this large."""
    low, high = 0.0, 64.0
    for _ in range(40):
        middle = (low + high) / 2
        try:
            small = batching_for(experiment, experiment.replicates, middle) != batching
        except ConfigurationError:
            small = True
        low, high = (middle, high) if small else (low, middle)
    return high


CHILD = """
import sys
import jax
from simulate import Experiment, run
from simulate.running.batching import batching_for

devices, folder, *texts = sys.argv[1:]
assert len(jax.devices()) == int(devices)
for number, text in enumerate(texts):
    experiment = Experiment.from_json(text)
    layout = batching_for(experiment, experiment.replicates, None).layout
    result = run(experiment).assign_attrs(parts=[layout.seeds, layout.thetas])
    result.to_netcdf(f"{folder}/{number}.nc", engine="h5netcdf")
"""


@pytest.mark.parametrize(
    ("devices", "divided"), [(2, [(2, 1), (2, 1), (1, 2)]), (8, [(8, 1), (8, 1), (2, 4)])]
)
def test_results_do_not_depend_on_the_number_of_devices(
    tmp_path: pathlib.Path, devices: int, divided: list[tuple[int, int]]
) -> None:
    momentum = COEFFICIENT.replace(optimizer_options=(("momentum", 0.5),))
    few = BASE.replace(replicates=1 if devices == 2 else 2)
    experiments = (BASE, momentum, few)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    texts = [each.to_json() for each in experiments]
    subprocess.run(
        [sys.executable, "-c", CHILD, str(devices), str(tmp_path), *texts],
        check=True,
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )
    for number, (experiment, parts) in enumerate(zip(experiments, divided, strict=True)):
        with xr.open_dataset(tmp_path / f"{number}.nc", engine="h5netcdf") as result:
            assert tuple(result.attrs["parts"]) == parts
            same(run(experiment), result.load(), 1e-6)


@pytest.mark.parametrize("experiment", [COEFFICIENT, BASE, BASE.replace(engine="prompt")])
def test_every_product_of_training_asks_for_full_precision(experiment: Experiment) -> None:
    with jax.enable_x64(True):
        first = prepare(experiment)
        steps = _operations(_traced(experiment, first))
    asked = [step.params["precision"] for step in steps if "precision" in step.params]
    assert asked
    assert set(asked) == {(jax.lax.Precision.HIGHEST,) * 2}


def _operations(jaxpr: Any) -> list[Any]:
    """All operations, those inside of others included."""
    within = [each for step in jaxpr.eqns for inner in _inner(step) for each in _operations(inner)]
    return [*jaxpr.eqns, *within]


def test_how_carefully_a_run_is_compiled_changes_rounding_only() -> None:
    experiment = COEFFICIENT.replace(noise_offset=0.5)
    gaps = jnp.asarray([2, 4])
    with jax.enable_x64(True):
        runs = [prepare(experiment, layout=Layout(brief=brief)) for brief in (False, True)]
        careful, quick = (advance(*each.constants, each.states, gaps)[1] for each in runs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13), careful, quick)
    assert batching_for(experiment, 5, None).layout.brief
    assert not batching_for(experiment.replace(rounds=10**9, record=(10**9,)), 5, None).layout.brief
