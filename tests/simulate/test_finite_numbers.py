"""A number is finite and right, or the run is refused and says which number is not and why."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from promptfolio.checks.assumptions import _scaled_step
from simulate import ConfigurationError, Experiment, Hierarchy, run, run_hierarchy
from simulate.experiment import Activation, TrainingScheme
from simulate.model.encoder import Encoder, activation_function
from simulate.model.fresh_samples import count_correct
from simulate.results.finite_records import likely_cause, margin_rate, slope_at_start
from simulate.results.finiteness import NonFiniteError
from simulate.results.measure import Measurement
from simulate.running import runner
from simulate.running.portfolio import train_portfolio
from tests.tolerances import assert_agree

SMALL = Experiment(
    clients=3,
    samples=(4, 2, 3),
    noise_dim=60,
    rounds=6,
    theta=(0.0, 0.5, 1.0),
    record=(0, 1, 6),
    replicates=2,
)
# Rounding of float32, through six rounds.
FEW_DIGITS = 2e-3


def assert_precisions_agree(single: xr.Dataset, double: xr.Dataset) -> None:
    """float32 has a few digits of every recorded number of float64, and nothing is infinite or missing."""
    for name in double:
        if double[name].dtype == np.float64 and not (name == "gamma_other" and double.sizes["client"] == 1):
            assert np.isfinite(single[name]).all(), name
            if name == "margin_spread":  # a difference, which has the rounding of what it is taken from
                size = float(abs(double.margin_mean).max())
                np.testing.assert_allclose(single[name], double[name], rtol=FEW_DIGITS, atol=1e-5 * size)
            else:
                assert_agree(single[name], double[name], FEW_DIGITS, name)


@pytest.mark.parametrize("engine", ["coefficient", "prompt", "gram"])
@pytest.mark.parametrize(
    "fields",
    [
        {"learning_rate": 1e30},
        {"learning_rate": 1e35},
        {"learning_rate": 1e-30},
        {"learning_rate": 1e30, "scheme": "posthoc", "signal_offset": 1e36, "noise_offset": 1e36},
        {"init_std": 1e-12, "learning_rate": 1e-12},
        {"prior_feature_sq": 1.0, "class_prior": (0.8,), "learning_rate": 1e30, "prompt_dim": 0},
        {"optimizer_options": (("momentum", 0.9),), "learning_rate": 1e33},
        {"signal_offset": 1e-30, "noise_offset": 1e-30},
    ],
    ids=lambda fields: ",".join(fields),
)
def test_float32_agrees_with_float64(engine: str, fields: dict[str, Any]) -> None:
    experiment = SMALL.replace(engine=engine, **fields)
    assert_precisions_agree(*(run(experiment.replace(precision=p)) for p in ("float32", "float64")))


def test_the_gram_engine_leaves_sizes_to_others_whose_inner_products_it_cannot_hold() -> None:
    for fields in (
        {"noise_std": 1e-20},
        {"noise_std": 1e15},
        {"init_std": 1e-25},
        {"noise_feature_sq": 1e-31},
    ):
        with pytest.raises(ConfigurationError, match="inner products in float32"):
            SMALL.replace(engine="gram", precision="float32", **fields)
        assert SMALL.replace(engine="gram", **fields).precision == "float64"
    with pytest.raises(ConfigurationError, match="inner products in float64"):
        SMALL.replace(engine="gram", noise_std=1e200)


@pytest.mark.parametrize(
    "fields",
    [
        {"noise_std": 1e-20},
        {"noise_std": 1e-30},
        {"noise_std": 1e18},
        {"global_feature_sq": 1e30},
        {"noise_feature_sq": 1e30},
        {"noise_feature_sq": 1e-30},
        {"activation": "softplus"},
        {"activation": "softplus", "signal_offset": 5.0, "noise_offset": 0.1},
        {"activation": "tanh", "signal_offset": 8.0, "noise_offset": 12.0},
        {"activation": "relu_power", "activation_parameter": 3.0, "learning_rate": 1e-12},
        {"activation": "relu_power", "activation_parameter": 3.0, "learning_rate": 1e3},
        {"optimizer_options": (("momentum", 1.2),), "rounds": 300, "record": (300,)},
    ],
    ids=lambda fields: ",".join(fields),
)
def test_float32_agrees_with_float64_whatever_the_sizes_of_the_model(fields: dict[str, Any]) -> None:
    # The prompt engine holds rows of all sizes in one vector, which rounds the small ones off in either precision.
    experiment = SMALL.replace(engine="coefficient", **fields)
    assert_precisions_agree(*(run(experiment.replace(precision=p)) for p in ("float32", "float64")))


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
@pytest.mark.parametrize("fields", [{"learning_rate": 1e33}, {"learning_rate": 1e-30}, {"noise_std": 1e-20}])
def test_levels_in_float32_agree_with_float64(scheme: TrainingScheme, fields: dict[str, Any]) -> None:
    experiment = Experiment(clients=4, samples=(3,), noise_dim=50, rounds=3, scheme=scheme, **fields)
    single, double = (
        run_hierarchy(
            Hierarchy(experiment.replace(precision=p), ((0, 0, 1, 1),), ((0.5, 0.3, 0.2), (0.0, 0.0, 1.0)))
        )
        for p in ("float32", "float64")
    )
    assert_precisions_agree(single, double)


def test_the_relu_cube_at_large_rates_is_not_chance() -> None:
    cube = Experiment(
        clients=3,
        noise_dim=200,
        rounds=20,
        theta=(0.0, 0.5, 1.0),
        record=(20,),
        activation="relu_power",
        activation_parameter=3.0,
        learning_rate=1.0,
    )
    for precision in ("float32", "float64"):
        last = run(cube.replace(precision=precision)).sel(predictor="mixture", theta=1.0).isel(step=0)
        np.testing.assert_allclose(last.ratio.mean(("seed", "client"), skipna=False), 314.176, rtol=1e-3)
        assert (last.accuracy == 1).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"learning_rate": 3e38},
            r"beta = (inf|nan) in replicate 0, round 1; .*learning_rate = 3e\+38; at most 0\.0",
        ),
        (
            {"rounds": 2000, "record": (0, 2000), "optimizer_options": (("momentum", 1.2),)},
            r"in replicate 0, round 2000; likely cause: momentum = 1\.2: .* below 1",
        ),
        ({"noise_std": 1e37}, r"in replicate 0, round \d.*precision = float64 can hold"),
        (
            {"activation": "relu_power", "activation_parameter": 3.0, "learning_rate": 1e20},
            r"learning_rate = 1e\+20; at most .*e-\d+ \(4/κ.* is safe while slopes are those before training",
        ),
    ],
    ids=["step", "momentum", "noise", "cube"],
)
def test_what_leaves_float32_is_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(NonFiniteError, match=message):
        run(SMALL.replace(precision="float32", engine="coefficient", **fields))


def test_one_diverged_replicate_fails_the_run_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = runner.measure

    def poisoned(*arguments: Any) -> Measurement:
        measured = real(*arguments)
        measured.singles.accuracy[1, :, -1, 0] = np.nan
        return measured

    monkeypatch.setattr(runner, "measure", poisoned)
    with pytest.raises(
        NonFiniteError, match="accuracy of a prompt alone = nan in replicate 1, round 0"
    ) as raised:
        run(SMALL.replace(record=(), replicates=3))
    assert (raised.value.replicate, raised.value.round) == (1, 0)


@pytest.mark.parametrize("field", ["bias", "phi_norm", "noise_norm_sq", "band_occupancy"])
def test_every_kind_of_record_is_looked_at(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    real = runner.measure

    def poisoned(*arguments: Any) -> Measurement:
        measured = real(*arguments)
        values = getattr(measured.prompts, field).copy()
        values[0, 0, 2] = np.inf
        return measured._replace(prompts=measured.prompts._replace(**{field: values}))

    monkeypatch.setattr(runner, "measure", poisoned)
    monkeypatch.setattr(runner, "RECORD_CHUNKS", 1)
    with pytest.raises(NonFiniteError, match=f"{field} = inf in replicate 0, round 6"):
        run(SMALL)


def test_a_replicate_that_falls_back_is_judged_by_its_fallback() -> None:
    # The kernel's coefficients overflow long before prompts would; the coefficient engine takes over.
    far = SMALL.replace(engine="gram", precision="float32", learning_rate=1e34)
    result = run(far)
    assert result.fallback.all()
    assert_precisions_agree(
        result.drop_vars("fallback"), run(far.replace(precision="float64")).drop_vars("fallback")
    )


def test_trained_prompts_that_are_not_finite_are_counted_nowhere() -> None:
    diverged = SMALL.replace(precision="float32", learning_rate=3e38)
    with pytest.raises(NonFiniteError, match="replicate 0, round 6"):
        train_portfolio(diverged)
    with pytest.raises(NonFiniteError, match="replicate 0, round 6"):
        count_correct(diverged, 10)


@pytest.mark.parametrize(
    "field",
    [
        "learning_rate",
        "noise_std",
        "global_feature_sq",
        "local_feature_sq",
        "noise_feature_sq",
        "prior_feature_sq",
        "signal_offset",
        "noise_offset",
        "init_std",
        "activation_parameter",
    ],
)
@pytest.mark.parametrize("value", [1e-39, 1e39])
def test_sizes_that_float32_cannot_hold_are_refused(field: str, value: float) -> None:
    assert SMALL.replace(prompt_dim=0, **{field: value}).precision == "float64"
    with pytest.raises(ConfigurationError, match=f"{field} = .* with precision = float32"):
        SMALL.replace(precision="float32", prompt_dim=0, **{field: value})


def test_the_margin_rate_is_that_of_the_theory() -> None:
    experiment = SMALL.replace(
        prior_feature_sq=0.7, noise_std=0.6, noise_feature_sq=1.3, learning_rate=0.01, prompt_dim=0
    )
    np.testing.assert_allclose(experiment.learning_rate * margin_rate(experiment), _scaled_step(experiment))
    assert "at most" in likely_cause(experiment.replace(learning_rate=4.01 / margin_rate(experiment)))
    assert "at most" not in likely_cause(experiment.replace(learning_rate=3.99 / margin_rate(experiment)))
    for momentum in (0.5, -0.5):
        safe = 4 * (1 - abs(momentum)) / margin_rate(experiment)
        moving = experiment.replace(optimizer_options=(("momentum", momentum),))
        assert f"at most {safe:.3g} " in likely_cause(moving.replace(learning_rate=1.01 * safe))
        assert "at most" not in likely_cause(moving.replace(learning_rate=0.99 * safe))
    for cause in (likely_cause(experiment), likely_cause(experiment.replace(optimizer="adam"))):
        assert "safe" not in cause


def test_the_margin_rate_is_how_fast_margins_grow_at_first() -> None:
    # Before training every residual is 1/2, so that a small step adds η κ/2 to the local prompt's mean margin.
    experiment = Experiment(
        clients=2,
        samples=(9, 3),
        global_feature_sq=100.0,
        local_feature_sq=50.0,
        noise_feature_sq=1.3,
        noise_std=0.2,
        noise_dim=4000,
        activation="softplus",
        signal_offset=0.3,
        noise_offset=1.7,
        scheme="posthoc",
        learning_rate=1e-7,
        rounds=1,
        record=(1,),
        replicates=4,
    )
    growth = run(experiment).margin_mean.sel(predictor="local", client=1).values / experiment.learning_rate
    # The noise's part, half of the whole, is a sum of 4000 squares: 2.2 % for a replicate. Five standard errors.
    np.testing.assert_allclose(growth.mean(), margin_rate(experiment) / 2, rtol=5 * 0.011 / 2)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "softplus", "tanh", "relu_power"])
def test_slopes_at_the_start_are_the_encoders(activation: Activation) -> None:
    parameter = 3.0 if activation == "relu_power" else 0.3
    experiment = Experiment(activation=activation, activation_parameter=parameter)
    encoder = Encoder(activation, jnp.float32(parameter), jnp.full(1, 1.25, jnp.float32))
    np.testing.assert_allclose(
        slope_at_start(experiment, 1.25), encoder.slope(jnp.zeros(1, jnp.float32))[0], rtol=1e-6
    )


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "softplus", "tanh", "relu_power"])
def test_what_is_no_number_stays_none(activation: Activation) -> None:
    nan = jnp.full(1, np.nan, jnp.float32)
    assert np.isnan(Encoder(activation, jnp.float32(2.0), jnp.ones(1, jnp.float32))(nan)).all()
    assert np.isnan(activation_function(activation)(nan, jnp.float32(2.0))).all()


@pytest.mark.parametrize("activation", ["softplus", "tanh", "relu_power"])
def test_smooth_encoders_keep_small_signals_beside_a_large_offset(activation: Activation) -> None:
    offset = jnp.float32(20.0 if activation == "tanh" else 1e3)
    z = jnp.float32([1e-15, 1e-9, 1e-5, -1e-5, 1e-3])
    power = jnp.float32(3.0)
    slope = {
        "softplus": 2.0,
        "tanh": 8 * np.exp(-40.0),
        "relu_power": 6 * float(offset) ** 2,
    }[activation]
    encoder = Encoder(activation, power, jnp.full(5, offset))
    np.testing.assert_allclose(encoder(z), slope * np.asarray(z, float), rtol=2e-5)
    np.testing.assert_allclose(encoder.slope(z), slope, rtol=2e-5)
