"""Every recorded number is finite, or the run fails and says which is not."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from simulate.configuration import momentum_of
from simulate.experiment import Experiment
from simulate.results.finiteness import NonFiniteError
from simulate.results.measure import Measurement

_LARGEST = {"float32": "3.4e38", "float64": "1.8e308"}


def records_of(experiment: Experiment, measurement: Measurement) -> dict[str, np.ndarray]:
    """The records of a measurement that must be finite, by name, with axes (seeds, trainings, records, …).

    Two kinds of NaN stand for what does not exist: γ of other groups where there is one group, and single noise
    coordinates where only inner products were drawn. A ratio is infinite where no noise was memorised, and has left
    the numbers only as NaN.
    """
    prompts = measurement.prompts._asdict()
    if experiment.group_count == 1:
        del prompts["gamma_other"]
    if experiment.gram == "wishart":
        del prompts["phi_max"]
    predictors = {
        f"{name} of {which}": np.where(np.isnan(values), values, 0) if name == "ratio" else values
        for which, records in (("a prompt alone", measurement.singles), ("the mixture", measurement.mixtures))
        for name, values in records._asdict().items()
    }
    return {**prompts, "noise_inner": measurement.noise_inner, **predictors}


def first_non_finite(records: Mapping[str, np.ndarray]) -> dict[int, tuple[int, str]]:
    """By replicate: its first record with a number that is not finite, and the first such number in words.

    Args:
        records: arrays with axes (seeds, trainings, records, …).

    Example:
        >>> first_non_finite({"beta": np.ones((2, 1, 3)), "loss": np.array([[[0, np.nan, 1]], [[1, 2, 3]]])})
        {0: (1, 'loss = nan')}
    """
    found: dict[int, tuple[int, str]] = {}
    for name, values in records.items():
        finite = np.isfinite(values)
        if finite.all():
            continue
        bad = ~finite.all(axis=(1, *range(3, values.ndim)))
        for replicate in np.flatnonzero(bad.any(axis=1)).tolist():
            record = int(np.argmax(bad[replicate]))
            if replicate not in found or record < found[replicate][0]:
                here = values[replicate, :, record]
                found[replicate] = record, f"{name} = {here[~np.isfinite(here)].flat[0]:g}"
    return found


def require_finite(
    experiment: Experiment,
    records: Mapping[str, np.ndarray],
    rounds: Sequence[int],
    replicates: Sequence[int] | None = None,
) -> None:
    """Raise `NonFiniteError` for the first replicate with a number that is not finite.

    Args:
        experiment: what was run.
        records: as in `first_non_finite`.
        rounds: of the records.
        replicates: their numbers; None for 0, 1 ….
    """
    for position, (record, quantity) in sorted(first_non_finite(records).items()):
        replicate = position if replicates is None else int(replicates[position])
        raise NonFiniteError(quantity, replicate, int(rounds[record]), likely_cause(experiment))


def margin_rate(experiment: Experiment) -> float:
    """κ of the client with fewest samples before training: its local prompt's margin rate (T8).

    κ = s_t² (a + b + ‖w_0‖²) + s_n² L σ_p² e / n with slopes h'(0) = s_t and s_n of the task-relevant and the noise
    rows; both are 2 for ReLU.

    Example:
        >>> round(margin_rate(Experiment(global_feature_sq=3, local_feature_sq=7, noise_dim=100)), 9)
        80.0
    """
    one = experiment
    signal, noise = (slope_at_start(one, offset) ** 2 for offset in (one.signal_offset, one.noise_offset))
    shared = one.global_feature_sq + one.local_feature_sq + one.prior_feature_sq
    # Products, since Python's powers raise an error instead of becoming infinite.
    energy = one.noise_dim * one.noise_feature_sq * one.noise_std * one.noise_std
    return signal * shared + noise * energy / min(one.samples)


def slope_at_start(experiment: Experiment, offset: float) -> float:
    """h'(0) = 2 σ'(c) of a row with class offset c.

    Example:
        >>> slope_at_start(Experiment(), 1e3), slope_at_start(Experiment(activation="tanh"), 1e3)
        (2.0, 0.0)
    """
    if experiment.activation == "softplus":
        return 2 / (1 + math.exp(-offset))
    if experiment.activation == "tanh":
        return 2 / math.cosh(offset) ** 2 if offset < 300 else 0.0
    if experiment.activation == "relu_power":
        power = experiment.activation_parameter
        with np.errstate(over="ignore"):
            return float(2 * power * np.float64(offset) ** (power - 1))
    return 2.0


def likely_cause(experiment: Experiment) -> str:
    """Why numbers of an experiment are not finite, and what would be safe, in words.

    A step of plain gradient descent lowers the loss while η <= 4/κ, as the logistic loss bends by at most 1/4; with
    momentum m while η <= 4(1−m)/κ. κ is constant for ReLU and leaky ReLU in their linear band, and no larger
    outside it; for other activations it is known before training alone.

    Example:
        >>> likely_cause(Experiment(learning_rate=1e300, noise_dim=11100))
        'learning_rate = 1e+300; at most 0.000892 (4/κ, κ the margin rate of the fastest client) is safe'
        >>> likely_cause(Experiment(optimizer_options=(("momentum", 1.2),)))
        'momentum = 1.2: steps add up without bound unless it is below 1'
    """
    momentum, rate = momentum_of(experiment.optimizer_options), margin_rate(experiment)
    if experiment.optimizer != "sgd":
        cause = (
            f"learning_rate = {experiment.learning_rate:g} with optimizer {experiment.optimizer}; try less"
        )
    elif abs(momentum) >= 1:
        cause = f"momentum = {momentum:g}: steps add up without bound unless it is below 1"
    elif 0 < rate < math.inf and experiment.learning_rate > (safe := 4 * (1 - abs(momentum)) / rate):
        bound = "4/κ" if momentum == 0 else "4(1−momentum)/κ"
        constant = experiment.activation in ("relu", "leaky_relu")
        when = "is safe" if constant else "is safe while slopes are those before training"
        cause = (
            f"learning_rate = {experiment.learning_rate:g}; at most {safe:.3g} ({bound}, κ the margin rate of"
        )
        cause += f" the fastest client) {when}"
    elif experiment.activation == "relu_power":
        cause = f"activation_parameter = {experiment.activation_parameter:g}: slopes grow with the prompts;"
        cause += f" try less than learning_rate = {experiment.learning_rate:g}"
    else:
        sizes = ("global_feature_sq", "local_feature_sq", "noise_feature_sq", "noise_std", "init_std")
        named = ", ".join(f"{name} = {getattr(experiment, name):g}" for name in sizes)
        cause = f"sizes of the model ({named}) whose products leave {experiment.precision}"
    if experiment.precision == "float32":
        cause += f"; or numbers above {_LARGEST['float32']}, which precision = float64 can hold"
    return cause
