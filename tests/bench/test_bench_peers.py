"""The plain loops train what the simulator trains: otherwise comparing their speeds would say nothing."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr

from promptfolio.bench.peers import PEERS, Peer
from promptfolio.bench.peers.problem import Prompts, problem_of
from simulate import ConfigurationError, Experiment, run
from tests.tolerances import RELATIVE

# Unequal clients, started anywhere; the larger rows of either kind pass their offset on the way.
EXPERIMENT = Experiment(
    clients=3,
    samples=(4, 6, 5),
    groups=(0, 1, 0),
    noise_dim=12,
    init_std=0.05,
    label_noise=0.2,
    theta=(0.35,),
    rounds=12,
    local_steps=2,
    learning_rate=2e-2,
    record=(12,),
    signal_offset=0.1,
    noise_offset=0.05,
    engine="coefficient",
)


EXPERIMENTS = (EXPERIMENT, EXPERIMENT.replace(seed=1))


def _own_mark(peer: Peer) -> Any:
    """PyTorch is large and optional: `pytest -m torch` runs what needs it where it is installed."""
    return pytest.param(peer, id=peer.name, marks=pytest.mark.torch if peer.needs == "torch" else ())


@pytest.fixture(scope="module", params=[_own_mark(peer) for peer in PEERS])
def peer(request: pytest.FixtureRequest) -> Peer:
    pytest.importorskip(request.param.needs)
    return request.param


@pytest.fixture(scope="module")
def trained(peer: Peer) -> list[Prompts]:
    """By the loop's last variant, from each experiment's draws."""
    train = list(peer.variants().values())[-1]
    return [train(problem_of(one), 0.35, one.rounds) for one in EXPERIMENTS]


@pytest.fixture(scope="module")
def results() -> list[xr.Dataset]:
    return [run(one).isel(seed=0, step=-1, theta=0) for one in EXPERIMENTS]


def test_offsets_are_reached(results: list[xr.Dataset]) -> None:
    """Or the agreement below would not try both slopes of the encoder."""
    signals, noise = EXPERIMENT.signal_offset, EXPERIMENT.noise_offset
    assert any((result.phi_max > 1.3 * noise).any() for result in results)
    assert any((abs(result.beta) > 1.3 * signals).any() for result in results)
    assert any((abs(result.beta) < signals).any() for result in results)


def test_coefficients_are_the_simulators(trained: list[Prompts], results: list[xr.Dataset]) -> None:
    for experiment, prompts, result in zip(EXPERIMENTS, trained, results, strict=True):
        problem = problem_of(experiment)
        moved = {
            "global": np.broadcast_to(prompts.z_global - problem.initial_global, prompts.z_local.shape),
            "local": prompts.z_local - problem.initial_local,
        }
        for name, rows in moved.items():
            expected = result.sel(prompt=name)
            own = rows[np.arange(3), 1 + np.asarray(EXPERIMENT.groups)]
            phi = rows[:, 1 + EXPERIMENT.group_count :]
            for ours, theirs in (
                (rows[:, 0], expected.beta),
                (own, expected.gamma_own),
                (np.linalg.norm(phi, axis=1), expected.phi_norm),
                (abs(phi).max(axis=1), expected.phi_max),
            ):
                np.testing.assert_allclose(ours, theirs.values, rtol=RELATIVE["float64"])


def test_accuracy_is_the_simulators(trained: list[Prompts], results: list[xr.Dataset]) -> None:
    for experiment, prompts, result in zip(EXPERIMENTS, trained, results, strict=True):
        offset = problem_of(experiment).offset

        def encode(z: np.ndarray, offset: np.ndarray = offset) -> np.ndarray:
            return np.maximum(z + offset, 0) - np.maximum(-z + offset, 0)

        mixture = 0.65 * encode(prompts.z_global) + 0.35 * encode(prompts.z_local)
        signal = mixture[:, 0] + mixture[np.arange(3), 1 + np.asarray(EXPERIMENT.groups)]
        noise = np.linalg.norm(mixture[:, 1 + EXPERIMENT.group_count :], axis=1)
        expected = result.accuracy.sel(predictor="mixture").values
        np.testing.assert_allclose(ndtr(signal / noise), expected, rtol=RELATIVE["float64"])


def test_variants_agree(peer: Peer, trained: list[Prompts]) -> None:
    problem = problem_of(EXPERIMENT)
    for train in peer.variants().values():
        again = train(problem, 0.35, EXPERIMENT.rounds)
        np.testing.assert_allclose(again.z_local, trained[0].z_local, rtol=RELATIVE["float64"])


@pytest.mark.parametrize(
    "changes",
    [{"scheme": "posthoc"}, {"participation": 0.5}, {"activation": "tanh"}, {"optimizer": "adam"}],
)
def test_what_the_loops_do_not_do_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(changes))):
        problem_of(EXPERIMENT.replace(engine="auto", **changes))
