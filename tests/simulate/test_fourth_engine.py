"""A further engine takes one class and its registration: here a loop over rounds, in NumPy."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import pytest

from simulate import Engine, Experiment, register_engine, run
from simulate.engines import registry
from simulate.engines.coefficient import ENGINE as LIKE
from simulate.results.snapshot import take_snapshot


class Loop(Engine):
    name = "loop"

    def obstacle(self, experiment: Experiment) -> str:
        return "" if experiment.local_steps == 1 else "when there are several local steps"

    def arrays(self, experiment: Experiment) -> Any:
        return LIKE.arrays(experiment)

    def draw(self, program: Any, layout: Any, parameters: Any, keys: Any) -> Any:
        return LIKE.draw(dataclasses.replace(program, engine=LIKE.name), layout, parameters, keys)

    def start(self, program: Any, layout: Any, parameters: Any, worlds: Any, trained: Any) -> Any:
        z = np.concatenate([worlds.initial_global[:, None], worlds.initial_local], axis=1)
        return np.repeat(z[:, None], trained.size, axis=1)  # (seeds, thetas, prompts, rows)

    def advance(self, prepared: Any, states: Any, gaps: Any) -> Any:
        numbers, theta = prepared.parameters, np.asarray(prepared.trained)[:, None, None]
        (x, y, weights), records = map(np.asarray, prepared.worlds.data), []
        share, step = map(
            np.asarray, (numbers.client_weights, 2 * numbers.learning_rate * numbers.squared_norms)
        )
        shot = functools.partial(take_snapshot, prepared.program, numbers)
        one = jax.vmap(lambda data, z: jax.vmap(lambda z: shot(data, **z))(z))
        for gap in gaps:
            for _ in range(gap):  # in ReLU's linear band, where text features are 2z
                feature = 2 * ((1 - theta) * states[:, :, :1] + theta * states[:, :, 1:])
                margins = y[:, None] * np.einsum("sknr,stkr->stkn", x, feature)
                pull = np.einsum("stkn,sknr->stkr", (weights * y)[:, None] / (1 + np.exp(margins)), x)
                averaged = np.sum(share[:, None] * pull, axis=2, keepdims=True)
                states = states + step * np.concatenate([(1 - theta) * averaged, theta * pull], axis=2)
            records.append(one(prepared.worlds.data, {"initial": prepared.states, "present": states}))
        return states, jax.tree.map(lambda *leaves: np.stack(leaves, axis=2), *records)

    def measure(self, experiment: Experiment, worlds: Any) -> Any:
        return LIKE.measure(experiment, worlds)


def test_a_registered_engine_runs_what_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    register_engine(Loop())
    experiment = Experiment(noise_dim=40, rounds=4, theta=(0.2, 0.7), replicates=2, init_std=0.1)
    result, expected = run(experiment.replace(engine="loop")), run(experiment)
    assert (result.attrs["engine_used"], expected.attrs["engine_used"]) == ("loop", "coefficient")
    for name in expected:
        np.testing.assert_allclose(result[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=name)
