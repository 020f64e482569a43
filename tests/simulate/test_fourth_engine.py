"""A further engine takes one class and its registration: here a loop over rounds, in NumPy."""

import dataclasses
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from simulate import Engine, Experiment, register_engine, run
from simulate.engines import registry
from simulate.engines.coefficient import ENGINE as COEFFICIENT
from simulate.results.snapshot import take_snapshot


class Loop(Engine):
    name = "loop"
    arrays, measure = COEFFICIENT.arrays, COEFFICIENT.measure

    def obstacle(self, experiment: Experiment) -> str:
        return "" if experiment.local_steps == 1 else "when there are several local steps"

    def draw(self, program: Any, layout: Any, parameters: Any, keys: Any) -> Any:
        program = dataclasses.replace(program, engine=COEFFICIENT.name)
        return COEFFICIENT.draw(program, layout, parameters, keys)

    def start(self, program: Any, layout: Any, parameters: Any, worlds: Any, trained: Any) -> Any:
        z = np.concatenate([worlds.initial_global[:, None], worlds.initial_local], axis=1)
        return np.repeat(z[:, None], trained.size, axis=1)  # (seeds, thetas, prompts, rows)

    def advance(self, prepared: Any, states: Any, gaps: Any) -> Any:
        parameters, data = prepared.parameters, prepared.worlds.data
        x, y, weights = map(np.asarray, data)
        theta, share = np.asarray(prepared.trained)[:, None, None], np.asarray(parameters.client_weights)
        rate = np.asarray(2 * parameters.learning_rate * parameters.squared_norms)
        snapshot = partial(take_snapshot, prepared.program, parameters)
        of_thetas = jax.vmap(lambda data, z: snapshot(data, **z), (None, 0))
        records = []
        for gap in gaps:
            for _ in range(gap):  # in ReLU's linear band, where text features are 2z
                feature = 2 * ((1 - theta) * states[:, :, :1] + theta * states[:, :, 1:])
                margins = y[:, None] * np.einsum("sknr,stkr->stkn", x, feature)
                pull = np.einsum("stkn,sknr->stkr", (weights * y)[:, None] / (1 + np.exp(margins)), x)
                average = np.sum(share[:, None] * pull, axis=2, keepdims=True)
                states = states + rate * np.concatenate([(1 - theta) * average, theta * pull], axis=2)
            records.append(jax.vmap(of_thetas)(data, {"initial": prepared.states, "present": states}))
        return states, jax.tree.map(lambda *leaves: np.stack(leaves, axis=2), *records)


def test_a_registered_engine_runs_what_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    register_engine(Loop())
    experiment = Experiment(noise_dim=40, rounds=4, theta=(0.2, 0.7), replicates=2, init_std=0.1)
    result, expected = run(experiment.replace(engine="loop")), run(experiment)
    assert (result.attrs["engine_used"], expected.attrs["engine_used"]) == ("loop", "coefficient")
    for name in expected:
        np.testing.assert_allclose(result[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=name)
