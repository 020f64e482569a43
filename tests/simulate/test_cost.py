"""Estimates before the work: they follow the shapes, and hold the results that runs really have."""

import pytest

from simulate import Experiment, run
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


def test_the_machine_has_memory() -> None:
    assert machine_memory() > 2**28
