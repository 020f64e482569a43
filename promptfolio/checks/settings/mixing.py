"""Predicted against empirical optimal mixing for one symmetric setting, along a training run."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.experiment import Precision, TrainingScheme
from simulate.running.runner import Progress, run
from simulate.validation import ConfigurationError
from theory.dynamics.symmetric_ratio import best_mixing, predicted_ratio, symmetric_tau
from theory.mixing.joint_law import joint_mixing
from theory.mixing.leading_order import mixing_from_odds, posthoc_odds
from theory.mixing.training_time import posthoc_odds_at
from theory.model.accuracy import accuracy


def theta_grid(step: float) -> tuple[float, ...]:
    """θ from 0 to 1 in equal steps, both ends included.

    Raises:
        ConfigurationError: unless the step divides 1.

    Example:
        >>> theta_grid(0.25)
        (0.0, 0.25, 0.5, 0.75, 1.0)
    """
    if not 0 < step <= 1 or abs(1 / step - round(1 / step)) > 1e-6:
        raise ConfigurationError("theta_step", step, "a number in (0, 1] that divides 1")
    return tuple(np.linspace(0, 1, round(1 / step) + 1).round(10).tolist())


def predicted_mixing(setting: SymmetricSetting, scheme: TrainingScheme, step: int) -> float:
    """θ* after ``step`` rounds: (T20) for post-hoc, (T21) for joint, (T25) maximised for detached training."""
    equal, eta = setting.equal_clients, setting.learning_rate
    if scheme == "posthoc":
        return float(mixing_from_odds(posthoc_odds_at(equal, step, eta)))
    if scheme == "joint":
        return float(joint_mixing(posthoc_odds(equal)))  # at every t
    return best_mixing(equal, scheme, step, eta)


def predicted_ratios(
    setting: SymmetricSetting, scheme: TrainingScheme, theta: Sequence[float], steps: Sequence[int]
) -> np.ndarray:
    """R(θ) after each number of rounds by (T14), shape (steps, thetas)."""
    grid, time = np.asarray(theta)[None, :], np.asarray(steps)[:, None]
    tau = symmetric_tau(setting.equal_clients, scheme, grid, time, setting.learning_rate)
    ratio = predicted_ratio(setting.equal_clients, scheme, grid, tau)
    return np.broadcast_to(ratio, (time.size, grid.size))


def compare_mixing(
    setting: SymmetricSetting,
    scheme: TrainingScheme,
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
        accuracy (seed, step, theta), the mean over clients of the exact test accuracy; accuracy_predicted
        (step, theta) = Φ(T14); theta_predicted and theta_empirical (step), the latter maximising the mean over
        seeds; theta_by_seed (seed, step); advantage (step), accuracy at the best θ minus the better end point's;
        band_occupancy and noise_overlap; and the conditions of `assumptions.record`.
    """
    experiment = setting.experiment(
        scheme=scheme,
        theta=tuple(theta),
        rounds=max(steps),
        record=tuple(steps),
        replicates=replicates,
        seed=seed,
        precision=precision,
        engine=engine,
    )
    result = run(experiment, progress, memory)
    measured = result.accuracy.sel(predictor="mixture").mean("client").transpose("seed", "step", "theta")
    mean = measured.mean("seed")
    best = mean.max("theta")
    better_end = np.maximum(mean.isel(theta=0, drop=True), mean.isel(theta=-1, drop=True))
    described = {
        "accuracy": (measured, "test accuracy of the mixture, mean over clients"),
        "accuracy_predicted": (
            (("step", "theta"), accuracy(predicted_ratios(setting, scheme, theta, steps))),
            "Φ of the predicted ratio (T14)",
        ),
        "theta_predicted": (
            ("step", [predicted_mixing(setting, scheme, step) for step in steps]),
            "θ* of the theory (T20, T21, T25)",
        ),
        "theta_empirical": (mean.idxmax("theta"), "θ with the best accuracy, mean over seeds"),
        "theta_by_seed": (measured.idxmax("theta"), "θ with the best accuracy of each seed"),
        "advantage": (best - better_end, "accuracy at the best θ minus that of the better prompt alone"),
    }
    variables = {
        name: values.drop_vars(["predictor", "round"], errors="ignore").assign_attrs(
            long_name=meaning, units="1"
        )
        if isinstance(values, xr.DataArray)
        else (*values, {"long_name": meaning, "units": "1"})
        for name, (values, meaning) in described.items()
    }
    data = xr.Dataset(variables, attrs={**result.attrs, "scheme": scheme})
    return assumptions.record(data.assign(assumptions.of_runs(result)), experiment)
