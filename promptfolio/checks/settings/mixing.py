"""Predicted against empirical optimal mixing for one symmetric setting, along a training run."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions, departures
from promptfolio.checks.optimum import (
    best_theta,
    mean_log_error,
    mean_of_logarithms,
    regret,
    theta_interval,
)
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.experiment import Experiment, MixingScheme, Precision
from simulate.results.notices import with_notices
from simulate.running.runner import Progress, run
from simulate.validation import ConfigurationError
from theory.dynamics.symmetric_ratio import best_mixing, predicted_ratio, symmetric_tau
from theory.mixing.joint_law import joint_mixing
from theory.mixing.leading_order import mixing_from_odds, posthoc_odds
from theory.mixing.training_time import posthoc_odds_at
from theory.model.accuracy import accuracy

SMALLEST_STEP = 1e-4
"""Least spacing of a grid of θ; finer ones tell neighbouring ratios apart no better than interpolation does."""
ROUNDING_STEPS = 16
"""Spacings of a run's arithmetic within which ratios of different θ tie."""


def theta_grid(step: float) -> tuple[float, ...]:
    """θ from 0 to 1 in equal steps, both ends included.

    Raises:
        ConfigurationError: unless the step divides 1 and leaves at least one θ between 0 and 1.

    Example:
        >>> theta_grid(0.25)
        (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    if not SMALLEST_STEP <= step <= 0.5 or abs(1 / step - round(1 / step)) > 1e-6:
        raise ConfigurationError("theta_step", step, f"a number from {SMALLEST_STEP:g} to 0.5 that divides 1")
    return tuple(np.linspace(0, 1, round(1 / step) + 1).round(10).tolist())


def predicted_mixing(setting: SymmetricSetting, scheme: MixingScheme, step: int) -> float:
    """θ* after ``step`` rounds: (T20) for post-hoc, (T21) for joint, (T25) maximised for detached training."""
    equal, eta = setting.equal_clients, setting.learning_rate
    if scheme == "posthoc":
        return float(mixing_from_odds(posthoc_odds_at(equal, step, eta)))
    if scheme == "joint":
        return float(joint_mixing(posthoc_odds(equal)))  # at every t
    return best_mixing(equal, scheme, step, eta)


def predicted_ratios(
    setting: SymmetricSetting, scheme: MixingScheme, theta: Sequence[float], steps: Sequence[int]
) -> np.ndarray:
    """R(θ) after each number of rounds by (T14), shape (steps, thetas)."""
    grid, time = np.asarray(theta)[None, :], np.asarray(steps)[:, None]
    tau = symmetric_tau(setting.equal_clients, scheme, grid, time, setting.learning_rate)
    ratio = predicted_ratio(setting.equal_clients, scheme, grid, tau)
    return np.broadcast_to(ratio, (time.size, grid.size))


def mixing_experiment(
    setting: SymmetricSetting,
    scheme: MixingScheme,
    steps: Sequence[int],
    theta: Sequence[float],
    *,
    replicates: int = 1,
    seed: int = 0,
    precision: Precision = "float32",
    engine: str = "auto",
) -> Experiment:
    """The experiment that `compare_mixing` runs; the arguments are the same.

    Raises:
        ConfigurationError: naming the first field that is not allowed.
    """
    return setting.experiment(
        scheme=scheme,
        theta=tuple(theta),
        rounds=max(steps),
        record=tuple(steps),
        replicates=replicates,
        seed=seed,
        precision=precision,
        engine=engine,
    )


def compare_mixing(
    setting: SymmetricSetting,
    scheme: MixingScheme,
    steps: Sequence[int],
    theta: Sequence[float],
    *,
    replicates: int = 1,
    seed: int = 0,
    precision: Precision = "float32",
    engine: str = "auto",
    progress: Progress | None = None,
    memory: float | None = None,
) -> xr.Dataset:
    """Simulate a setting and put the theory beside it.

    Args:
        setting: the symmetric setting.
        scheme: joint, posthoc or detached.
        steps: rounds (of one gradient step each) at which to compare, increasing, from 1.
        theta: grid of mixing coefficients, from 0 to 1.
        replicates, seed, precision, engine, progress, memory: as in `simulate.Experiment` and `simulate.run`.

    Returns:
        ratio (seed, step, theta), the mean over clients of the mixture's ratio R, beside ratio_predicted
        (step, theta), that of (T14); accuracy and accuracy_predicted, likewise, the exact test accuracy and Φ(R);
        log_error, the logarithm of the error 1 − accuracy. Along step:

        - theta_predicted: θ* of the theory, where the predicted ratio is largest;
        - theta_empirical: the θ with the largest ratio, mean over clients and seeds, between the θ of the run by
          interpolation; NaN where all θ are equally good. theta_tied_low, theta_tied_high and theta_flat:
          whether several θ are, and from where to where;
        - theta_low, theta_high: interval that covers θ* with chance 95 %, by the jackknife over seeds; left out,
          being unknown, with one seed. theta_by_seed (seed, step): of each seed;
        - regret_ratio, regret_log_error, regret_accuracy: what the predicted θ loses against the best one;
        - advantage: accuracy at the best θ minus the better end point's.

        Besides band_occupancy and noise_overlap, and the conditions of `assumptions.record`. Its attributes are
        those of the run, with the setting as JSON, and its notices are `departures.of_mixing`.
    """
    experiment = mixing_experiment(
        setting,
        scheme,
        steps,
        theta,
        replicates=replicates,
        seed=seed,
        precision=precision,
        engine=engine,
    )
    result = run(experiment, progress, memory)
    mixture = result.ratio.sel(predictor="mixture")
    rounding = ROUNDING_STEPS * float(np.finfo(precision).eps)
    dims = ("seed", "step", "theta")
    ratio = mixture.astype(np.float64).mean("client", skipna=False).transpose(*dims)
    log_error = mean_log_error(mixture, "client").transpose(*dims)
    measured = result.accuracy.sel(predictor="mixture").mean("client", skipna=False).transpose(*dims)
    mean = measured.mean("seed", skipna=False)
    better_end = np.maximum(mean.isel(theta=0, drop=True), mean.isel(theta=-1, drop=True))
    mean_ratio, errors = ratio.mean("seed", skipna=False), mean_of_logarithms(log_error, "seed")
    best = best_theta(mean_ratio, scheme, rounding=rounding)
    interval = theta_interval(ratio, scheme, rounding=rounding)
    predicted = xr.DataArray([predicted_mixing(setting, scheme, step) for step in steps], dims="step")
    predicted = predicted.assign_coords(step=result.step)
    log_regret = regret(-errors, predicted, scheme)
    ratios = predicted_ratios(setting, scheme, theta, steps)
    described: dict[str, Any] = {
        "ratio": (ratio, "signal-to-noise ratio of the mixture, mean over clients"),
        "ratio_predicted": ((("step", "theta"), ratios), "predicted ratio (T14)"),
        "accuracy": (measured, "test accuracy of the mixture, mean over clients"),
        "accuracy_predicted": ((("step", "theta"), accuracy(ratios)), "Φ of the predicted ratio (T14)"),
        "log_error": (log_error, "logarithm of the test error of the mixture, mean over clients"),
        "theta_predicted": (predicted, "θ* of the theory (T20, T21, T25)"),
        "theta_empirical": (best.theta, "θ with the largest ratio, mean over clients and seeds"),
        "theta_tied_low": (best.tied_low, "smallest θ that is as good as the best"),
        "theta_tied_high": (best.tied_high, "largest θ that is as good as the best"),
        "theta_flat": (best.flat, "whether several θ are equally good"),
        "theta_by_seed": (
            best_theta(ratio, scheme, rounding=rounding).theta,
            "θ with the largest ratio of each seed",
        ),
        "regret_ratio": (
            regret(mean_ratio, predicted, scheme),
            "ratio at the best θ minus at the predicted θ",
        ),
        "regret_log_error": (log_regret, "log of the error at the predicted θ minus at the best θ"),
        "regret_accuracy": (
            # of two logarithms that may be far below 0, and far apart
            -np.exp(errors.min("theta", skipna=False) + log_regret) * np.expm1(-log_regret),
            "accuracy at the best θ minus at the predicted θ",
        ),
        "advantage": (
            mean.max("theta", skipna=False) - better_end,
            "accuracy at the best θ minus the better prompt's",
        ),
    }
    if replicates > 1:
        meaning = "end of the 95 % interval of θ*, jackknife over seeds"
        described["theta_low"] = interval.low, f"lower {meaning}"
        described["theta_high"] = interval.high, f"upper {meaning}"
    variables = {
        name: values.drop_vars(["predictor", "round"], errors="ignore").assign_attrs(
            long_name=meaning, units="1"
        )
        if isinstance(values, xr.DataArray)
        else (*values, {"long_name": meaning, "units": "1"})
        for name, (values, meaning) in described.items()
    }
    about = {"scheme": scheme, "setting": json.dumps(dataclasses.asdict(setting))}
    data = xr.Dataset(variables, attrs={**result.attrs, **about})
    data = assumptions.record(data.assign(assumptions.of_runs(result)), experiment)
    return with_notices(data, departures.of_mixing(experiment, data))
