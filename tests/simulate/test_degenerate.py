"""Runs whose numbers mean less than they seem to say so."""

from typing import Any

import numpy as np
import pytest

from simulate import Experiment, Hierarchy, run, run_hierarchy
from simulate.results.notices import notices_of

SMALL = Experiment(
    clients=3, samples=(3,), noise_dim=40, rounds=4, theta=(0.0, 0.5, 1.0), record=(0, 4), learning_rate=1e-3
)


def notices(experiment: Experiment) -> list[str]:
    return notices_of(run(experiment).attrs)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scheme": "posthoc", "replicates": 2},
        {"scheme": "detached", "engine": "gram"},
        {"engine": "gram", "gram": "wishart", "init_std": 0.1},
        {"engine": "prompt", "precision": "float32", "theta": (0.0,)},
        {"prior_feature_sq": 0.5, "class_prior": (0.9,), "prompt_dim": 0},
        {"activation": "softplus", "groups": (0, 0, 0), "prompt_dim": 0},
    ],
    ids=lambda fields: ",".join(fields),
)
def test_ordinary_runs_have_nothing_to_say(fields: dict[str, Any]) -> None:
    assert notices(SMALL.replace(**fields)) == []


def test_no_slope() -> None:
    flat = SMALL.replace(activation="tanh", replicates=2)
    first, *others = notices(flat)
    assert first == (
        "nothing was learned: no prompt moved, as tanh has no slope at signal_offset = 1000, noise_offset = 1000"
    )
    assert others == [
        "every recorded accuracy is 0.5, which is chance",
        "all 2 replicates have the same results to the last bit: their spread of 0 is no error bar",
    ]


def test_a_rate_that_rounds_to_nothing() -> None:
    # One client: an average over several would round the initial prompts.
    still = SMALL.replace(
        learning_rate=1e-100,
        init_std=1.0,
        clients=1,
        samples=(3,),
        groups=(),
        class_prior=(0.5,),
        prompt_dim=0,
    )
    assert notices(still) == [
        "nothing was learned: no prompt moved: learning_rate = 1e-100 or optimizer_options leave no step"
    ]


def test_signal_without_noise() -> None:
    clean = SMALL.replace(activation="tanh", signal_offset=1.0)
    result = run(clean)
    last = result.isel(step=-1, theta=1)
    assert np.isposinf(last.ratio).all()
    assert (last.accuracy == 1).all()
    silent, infinite = notices_of(result.attrs)
    assert silent == "no prompt's noise rows moved, as tanh has no slope at noise_offset = 1000"
    assert infinite.startswith("21 of 54 recorded ratios are infinite: no noise was memorised there")


def test_noise_without_signal() -> None:
    memory = SMALL.replace(global_feature_sq=0.0, local_feature_sq=0.0)
    assert notices(memory) == [
        "no prompt's task-relevant rows moved, whose features have squared norm 0",
        "every recorded accuracy is 0.5, which is chance",
    ]


def test_clients_that_never_took_part() -> None:
    (absent,) = notices(
        SMALL.replace(
            clients=30, groups=(), class_prior=(0.5,), prompt_dim=0, samples=(2,), participation=0.1
        )
    )
    assert absent.startswith("the local prompt of client ")
    assert absent.endswith("never moved: it counts in means over clients untrained")


def test_beyond_the_linear_band_and_momentum_without_bound() -> None:
    bent = SMALL.replace(signal_offset=1e-4, noise_offset=1e-5, theta=(0.5,))
    assert notices(bent) == [
        "every prompt has left the linear band (max |z|/c >= 1): results that presume it do not apply"
    ]
    # A local prompt that has no weight in training stays where it was.
    assert notices(bent.replace(theta=(0.0, 0.5))) == []
    (endless,) = notices(SMALL.replace(optimizer_options=(("momentum", 1.0),)))
    assert endless.startswith("momentum = 1: steps add up without bound")


def test_nothing_but_the_start() -> None:
    assert notices(SMALL.replace(record=(0,))) == [
        "only round 0 is recorded: results are those before training"
    ]


def test_digits_that_a_prompt_of_r_d_cannot_hold() -> None:
    small = SMALL.replace(engine="prompt", precision="float32", noise_std=1e-8, noise_feature_sq=9.0)
    result = run(small)
    (rounded,) = notices_of(result.attrs)
    last = abs(result.isel(step=-1)).max()
    # Along a row of norm ‖w‖, a coefficient moves by ‖w‖ times what the prompt moves.
    along_nu, along_xi = float(last.gamma_own) / 7.9**0.5, float(last.phi_max) / 3
    assert along_nu > float(last.beta) / 3.4**0.5
    assert rounded.startswith(f"moves along ξ are {along_xi / along_nu:.1g} of those along ν")
    assert rounded.endswith("engine = coefficient keeps the digits of both")


def test_levels_have_notices_too() -> None:
    experiment = Experiment(clients=4, samples=(3,), noise_dim=40, rounds=2, activation="tanh")
    result = run_hierarchy(Hierarchy(experiment, ((0, 0, 1, 1),), ((0.5, 0.3, 0.2),)))
    assert notices_of(result.attrs) == ["every recorded accuracy is 0.5, which is chance"]
