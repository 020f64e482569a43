"""The literal model, its coefficient-space form and its form in the space of samples are the same run."""

from typing import Any

import jax
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from simulate import Experiment, run
from simulate.experiment import Precision, TrainingScheme
from tests.support import double_by_default
from tests.tolerances import RELATIVE

SMALL = Experiment(
    clients=3,
    samples=(5, 7, 3),
    groups=(0, 1, 0),
    noise_dim=40,
    noise_std=0.8,
    noise_feature_sq=1.7,
    prompt_dim=50,
    init_std=0.1,
    theta=(0.0, 0.3, 1.0),
    rounds=6,
    local_steps=2,
    participation=0.6,
    learning_rate=1e-2,
    signal_offset=0.5,
    noise_offset=0.3,
    replicates=2,
)


PRECISIONS = st.sampled_from(["float64", "float32"])


def largest_difference(experiment: Experiment) -> float:
    """Largest difference between the two full engines, as `difference`."""
    return difference(run(experiment.replace(engine="prompt")), run(experiment.replace(engine="coefficient")))


def difference(first: xr.Dataset, second: xr.Dataset) -> float:
    """Largest difference between two results over all recorded variables, relative to each one's size."""
    assert set(first) == set(second)
    first, second = first.astype(float), second.astype(float)
    assert all((first[name].isnull() == second[name].isnull()).all() for name in first)
    return max(
        float(abs(first[name] - second[name]).max() / abs(first[name]).max().clip(min=1e-30))
        for name in first
        if first[name].notnull().any()
    )


def gram_difference(experiment: Experiment) -> float:
    """Largest difference between the coefficient and the Gram engine, which must have run to the end."""
    gram = run(experiment.replace(engine="gram"))
    assert gram.attrs["engine_used"] == "gram"
    assert not gram.fallback.any()
    return difference(run(experiment.replace(engine="coefficient")), gram)


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_engines_agree_beyond_the_linear_band(scheme: str) -> None:
    result = run(SMALL.replace(scheme=scheme))
    assert result.band_occupancy.max() > 1.1, "the run must leave the linear band to test anything"
    assert largest_difference(SMALL.replace(scheme=scheme)) < RELATIVE["float64"]


@pytest.mark.parametrize(
    ("activation", "parameter"), [("leaky_relu", 0.2), ("softplus", 0.0), ("tanh", 0.0), ("relu_power", 2.0)]
)
def test_engines_agree_for_other_activations(activation: str, parameter: float) -> None:
    experiment = SMALL.replace(activation=activation, activation_parameter=parameter, rounds=3, record=(3,))
    assert largest_difference(experiment) < RELATIVE["float64"]


def test_engines_agree_with_momentum_in_both_precisions() -> None:
    momentum = SMALL.replace(optimizer_options=(("momentum", 0.9),), learning_rate=2e-3, record=(6,))
    assert largest_difference(momentum) < RELATIVE["float64"]
    assert largest_difference(momentum.replace(precision="float32")) < RELATIVE["float32"]


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_engines_agree_with_wrong_labels_and_unequal_priors(scheme: str) -> None:
    experiment = SMALL.replace(
        scheme=scheme,
        label_noise=0.3,
        class_prior=(0.9, 0.5, 0.2),
        prior_feature_sq=2.0,
        record=(6,),
        precision="float64",
    )
    result = run(experiment)
    assert (result.flipped_share > 0).any()
    assert (result.bias != 0).all()
    assert largest_difference(experiment) < RELATIVE["float64"]


@settings(max_examples=6, deadline=None)
@given(
    samples=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    scheme=st.sampled_from(["joint", "posthoc", "detached"]),
    theta=st.floats(0, 1),
    local_steps=st.integers(1, 3),
    local_feature_sq=st.sampled_from([0.0, 2.0]),
    label_noise=st.sampled_from([0.0, 0.4]),
    prior_feature_sq=st.sampled_from([0.0, 1.5]),
    seed=st.integers(0, 2**31 - 1),
    precision=PRECISIONS,
)
def test_engines_agree_on_random_configurations(
    samples: list[int],
    scheme: TrainingScheme,
    theta: float,
    local_steps: int,
    local_feature_sq: float,
    label_noise: float,
    prior_feature_sq: float,
    seed: int,
    precision: Precision,
) -> None:
    experiment = Experiment(
        clients=len(samples),
        samples=tuple(samples),
        groups=tuple(k % 2 for k in range(len(samples))),
        local_feature_sq=local_feature_sq,
        label_noise=label_noise,
        class_prior=(0.8,),
        prior_feature_sq=prior_feature_sq,
        noise_dim=15,
        scheme=scheme,
        theta=(theta,),
        local_steps=local_steps,
        rounds=4,
        learning_rate=1e-2,
        init_std=0.05,
        signal_offset=0.4,
        noise_offset=0.4,
        seed=seed,
        precision=precision,
    )
    assert largest_difference(experiment) < RELATIVE[precision]


LINEAR_NOISE = SMALL.replace(noise_offset=30.0)


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_gram_engine_agrees_with_signals_beyond_the_linear_band(scheme: str) -> None:
    experiment = LINEAR_NOISE.replace(scheme=scheme)
    assert run(experiment).band_occupancy.max() > 1.1, "signals must leave the linear band to test anything"
    assert gram_difference(experiment) < RELATIVE["float64"]
    noisy = experiment.replace(
        label_noise=0.3, class_prior=(0.9, 0.5, 0.2), prior_feature_sq=2.0, prompt_dim=0
    )
    assert gram_difference(noisy.replace(activation="leaky_relu", record=(2, 6))) < RELATIVE["float64"]


def test_gram_engine_agrees_with_momentum_in_both_precisions() -> None:
    momentum = LINEAR_NOISE.replace(
        optimizer_options=(("momentum", 0.9), ("nesterov", 1.0)), learning_rate=2e-3
    )
    assert gram_difference(momentum) < RELATIVE["float64"]
    assert gram_difference(momentum.replace(precision="float32")) < RELATIVE["float32"]


@settings(max_examples=6, deadline=None)
@given(
    samples=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    scheme=st.sampled_from(["joint", "posthoc", "detached"]),
    thetas=st.lists(st.floats(0, 1), min_size=1, max_size=3, unique=True),
    local_steps=st.integers(1, 3),
    participation=st.sampled_from([0.5, 1.0]),
    optimizer_options=st.sampled_from([(), (("momentum", 0.5),)]),
    local_feature_sq=st.sampled_from([0.0, 2.0]),
    label_noise=st.sampled_from([0.0, 0.4]),
    prior_feature_sq=st.sampled_from([0.0, 1.5]),
    init_std=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 2**31 - 1),
    precision=PRECISIONS,
)
def test_gram_engine_agrees_on_random_configurations(
    samples: list[int], thetas: list[float], **options: Any
) -> None:
    experiment = Experiment(
        clients=len(samples),
        samples=tuple(samples),
        groups=tuple(k % 2 for k in range(len(samples))),
        class_prior=(0.8,),
        noise_dim=15,
        theta=tuple(thetas),
        rounds=4,
        record=(1, 4),
        learning_rate=1e-2,
        signal_offset=0.4,
        noise_offset=10.0,
        replicates=2,
        **options,
    )
    assert gram_difference(experiment) < RELATIVE[experiment.precision]


def test_float32_is_the_float64_run_rounded() -> None:
    double, single = run(SMALL), run(SMALL.replace(precision="float32"))
    np.testing.assert_allclose(single.accuracy, double.accuracy, rtol=RELATIVE["float32"])


def test_precision_is_not_a_lasting_side_effect() -> None:
    before = jax.config.read("jax_enable_x64")
    run(SMALL.replace(rounds=1, record=(1,), precision="float64"))
    assert jax.config.read("jax_enable_x64") == before


@pytest.mark.parametrize("engine", ["prompt", "coefficient", "gram"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_precision_that_jax_is_set_to_does_not_matter(engine: str, precision: Precision) -> None:
    experiment = LINEAR_NOISE.replace(engine=engine, precision=precision, label_noise=0.2)
    with double_by_default():
        double = run(experiment)
    xr.testing.assert_identical(double, run(experiment))
