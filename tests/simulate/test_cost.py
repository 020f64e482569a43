"""Estimates before the work: they follow the shapes, and hold the results that runs really have."""

import itertools

import pytest

from simulate import Experiment, run
from simulate.engines.choice import choose_engine
from simulate.engines.registry import engine_named
from simulate.running import cost
from simulate.running.batching import sizes_of
from simulate.running.cost import cost_of, result_bytes
from simulate.running.memory import machine_memory

SMALL = Experiment(clients=3, samples=(4,), noise_dim=30, rounds=40, theta=(0.0, 0.3, 1.0), replicates=2)


@pytest.mark.parametrize("changes", [{}, {"scheme": "posthoc"}, {"precision": "float32"}])
def test_the_estimated_size_of_results_is_that_of_a_run(changes: dict[str, str]) -> None:
    experiment = SMALL.replace(**changes)
    assert result_bytes(experiment) == pytest.approx(run(experiment).nbytes, rel=0.25)


@pytest.mark.parametrize(
    "larger",
    [
        {"replicates": 5000},
        {"noise_dim": 3_000_000, "prompt_dim": 0},
        {"theta": tuple(i / 2000 for i in range(2000))},
    ],
)
def test_larger_experiments_cost_more(larger: dict[str, int]) -> None:
    small, large = cost_of(SMALL), cost_of(SMALL.replace(**larger))
    assert large.memory > small.memory
    assert large.seconds > small.seconds


def test_a_budget_bounds_what_runs_at_a_time() -> None:
    experiment = SMALL.replace(replicates=10_000, noise_dim=10_000, prompt_dim=0)
    narrow, wide = cost_of(experiment, memory=0.5), cost_of(experiment, memory=50)
    assert wide.memory - narrow.memory == pytest.approx(49.5 * 2**30, rel=1e-6)
    assert narrow.results == wide.results


@pytest.mark.parametrize(
    ("scheme", "trainings", "products"), [("joint", 3, 2), ("detached", 3, 4), ("posthoc", 1, 4)]
)
def test_the_work_of_training_is_that_of_its_products(scheme: str, trainings: int, products: int) -> None:
    experiment = SMALL.replace(scheme=scheme, local_steps=5, record=(0, 30))
    samples, rows = 3 * 4, 1 + 3 + 30
    steps = 2 * trainings * 30 * 5  # replicates, θ, rounds until the last record, local steps
    assert engine_named("coefficient").training_work(experiment) == steps * products * samples * rows
    # Of the kernel of all samples once a round; of each client's block twice in a step, and once in the first.
    kernel = 2 * trainings * 30 * (samples**2 + 3 * 4**2 * 9)
    assert engine_named("gram").training_work(experiment) == kernel


def test_the_rate_of_products_is_their_multiplications_over_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 0.5)  # every product takes half a second
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert cost.product_rate.__wrapped__("float32") == 2 * 512**3


def test_every_local_step_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "product_rate", lambda _: float("inf"))
    once, often = cost_of(SMALL), cost_of(SMALL.replace(local_steps=7))
    assert often.seconds == pytest.approx(7 * once.seconds)


def test_memory_is_that_of_all_arrays_or_the_budget_or_the_smallest_batch() -> None:
    experiment = SMALL.replace(replicates=50)
    sizes = sizes_of(experiment, choose_engine(experiment))
    results = 3 * result_bytes(experiment)
    everything, smallest = 50 * (sizes.replicate + 3 * sizes.theta), sizes.replicate + sizes.theta
    between = (everything + smallest) / 2
    for budget, arrays in ((1e12, everything), (between, between), (1.0, smallest)):
        assert cost_of(experiment, budget / 2**30).memory == pytest.approx(arrays + results)


def test_the_machine_has_memory() -> None:
    assert machine_memory() > 2**28
