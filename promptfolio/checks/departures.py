"""Which assumptions of the toolkit's predictions a run breaks, in words.

Three kinds of prediction are told apart. Leading order is θ* after the first steps and what follows from it (T17 to
T19, T22; T21 carries it through joint training); the mean field gives margins, coefficients and ratios at any time
(T8, T9, T12 to T14, T20, T25); the sandwich bounds margins at every step (T10, T11).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.largest import largest
from simulate.experiment import Experiment

LARGEST_LOAD = 0.1
"""N/L up to which noise counts as nearly orthogonal: what T14 leaves out is of order n/L (T29)."""
SMALL_STEP = 0.5
"""ηκ up to which the closed forms in continuous time (T9, T20) follow discrete steps."""
PROVED_STEP = 4.0
"""ηκ up to which the sandwich is proved."""
FIRST_STEPS = 0.1
"""ηκt up to which training counts as its first steps."""
FOLLOWED = 0.05
"""Relative difference between measured and predicted ratios from which it is mentioned."""
COARSE = 0.1
"""Spacing of θ above which it is mentioned that θ* lies between two of them."""

_LEADING, _MEAN_FIELD, _SANDWICH = (
    "leading order (T17 to T19)",
    "mean field (T8 to T14)",
    "sandwich (T10, T11)",
)
_IN_TIME = {
    "joint": "T9, T20, T21",
    "posthoc": "T9, T20, T21",
    "detached": "T9, T20, T21",
    "finetuned": "T9, T31",
}
_FOLLOWS = {
    "posthoc": "(T20) follows θ* in time",
    "detached": "(T25) follows θ* in time",
    "finetuned": "(T31) says when fine-tuning is at its best",
}
_ALL = (_LEADING, _MEAN_FIELD, _SANDWICH)


def of_run(experiment: Experiment, data: xr.Dataset) -> list[str]:
    """One sentence for every assumption that a run breaks, with the predictions that need it.

    Args:
        experiment: what was run.
        data: its result, with band_occupancy and noise_overlap.

    Raises:
        FloatingPointError: as `assumptions.of_runs`.

    Example:
        >>> measured = xr.Dataset({"band_occupancy": 0.1, "noise_overlap": 0.05})
        >>> of_run(Experiment(), measured)
        []
        >>> of_run(Experiment(local_steps=5), measured)[0][:66]
        'the closed forms in time (T9, T20, T21) and sandwich (T10, T11) as'
    """
    conditions = assumptions.conditions(data, experiment)
    every = (*_of_model(experiment, conditions), *_of_data(experiment), *_of_training(experiment, conditions))
    return [_sentence(*each) for each in every]


def of_mixing(experiment: Experiment, data: xr.Dataset) -> list[str]:
    """One sentence for every reason why a predicted and an empirical θ* need not agree.

    Args:
        experiment: a symmetric setting as it was run.
        data: the comparison: band_occupancy, noise_overlap; ratio (seed, step, theta) and ratio_predicted
            (step, theta); theta_flat.

    Raises:
        FloatingPointError: as `assumptions.of_runs`.
    """
    conditions = assumptions.conditions(data, experiment)
    law = {"posthoc": "(T20)", "joint": "(T21)", "detached": "(T25)"}[experiment.scheme]
    found = [
        _sentence((f"the prediction {law}",), assumed, here)
        for _, assumed, here in _of_model(experiment, conditions)
    ]
    step = conditions["scaled_step"]
    if experiment.scheme == "posthoc" and step > SMALL_STEP:
        found.append(
            _sentence(
                (f"the prediction {law}",), f"small steps, ηκ at most {SMALL_STEP:g}", f"ηκ = {step:.3g}"
            )
        )
    ratio = data.ratio.mean("seed", skipna=False)
    apart = largest(abs(ratio - data.ratio_predicted) / abs(data.ratio_predicted))
    # the norm of a noise vector varies by 1/√(2L) from client to client
    spread = 4 / np.sqrt(2 * experiment.noise_dim * experiment.clients * experiment.replicates)
    if not apart <= max(FOLLOWED, spread):
        found.append(f"measured ratios differ from the predicted ones (T14) by up to {100 * apart:.2g} %")
    theta = np.asarray(experiment.theta)
    widest = float(np.diff(theta).max())
    if widest > COARSE * (1 + 1e-9):
        found.append(f"θ* is interpolated between θ that are {widest:.3g} apart")
    if bool(data.theta_flat.any()):
        found.append(
            "several θ are equally good at some times (flat): θ* is the middle of them, or unknown if all are"
        )
    return found


_Broken = tuple[tuple[str, ...], str, str]
"""Predictions, what they assume, and what the run does."""


def _of_model(experiment: Experiment, conditions: Mapping[str, float]) -> Iterator[_Broken]:
    """Linear band, activation and overlap of noise vectors."""
    occupancy = conditions["band_occupancy_worst"]
    linear = experiment.activation in ("relu", "leaky_relu") or (
        experiment.activation == "relu_power" and experiment.activation_parameter == 1
    )
    if not linear:
        yield (
            _ALL,
            "an encoder that is linear near zero, as with relu",
            f"activation = {experiment.activation}",
        )
    elif occupancy >= 1:
        yield _ALL, "that every row stays in the linear band, |z|/c < 1", f"|z|/c reaches {occupancy:.3g}"
    overlap, load = conditions["noise_overlap_worst"], conditions["sample_load"]
    if overlap > assumptions.NEAR_ORTHOGONAL or load > LARGEST_LOAD:
        yield (
            (_LEADING, _MEAN_FIELD),
            "nearly orthogonal noise, with an overlap of two samples of at most"
            f" {assumptions.NEAR_ORTHOGONAL:g} and N/L at most {LARGEST_LOAD:g}",
            f"the overlap is {overlap:.3g} and N/L = {load:.3g}",
        )


def _of_data(experiment: Experiment) -> Iterator[_Broken]:
    """Number and equality of clients, and their labels."""
    if experiment.clients == 1:
        yield (_LEADING,), "at least two clients", "clients = 1"
    sizes = {experiment.groups.count(group) for group in experiment.groups}
    equal = "; (T12), (T14) and (T22) take unequal ones"
    if len(set(experiment.samples)) > 1:
        counts = f"from {min(experiment.samples)} to {max(experiment.samples)} samples"
        yield (_LEADING, "the closed forms (T8, T9, T20, T21)"), "equally many samples", counts + equal
    if len(sizes) > 1:
        spread = f"groups of {min(sizes)} to {max(sizes)} clients"
        yield (_LEADING, "the closed forms (T8, T9, T20, T21)"), "groups of equal size", spread + equal
    if experiment.label_noise > 0:
        noisy = f"label_noise = {experiment.label_noise:g}; (T26) covers it"
        yield _ALL[:2], "training labels that are right", noisy
    if experiment.prior_feature_sq > 0:
        constant = f"prior_feature_sq = {experiment.prior_feature_sq:g}; (T27) covers it"
        yield _ALL[:2], "that no coordinate shows the class prior", constant


def _of_training(experiment: Experiment, conditions: Mapping[str, float]) -> Iterator[_Broken]:
    """Start, optimiser, participation, and the length of steps, rounds and training."""
    if experiment.init_std > 0:
        yield _ALL[:2], "prompts that start at zero", f"init_std = {experiment.init_std:g}"
    if experiment.optimizer != "sgd" or experiment.optimizer_options:
        options = "".join(f", {name} = {value:g}" for name, value in experiment.optimizer_options)
        yield _ALL, "plain gradient steps", f"optimizer = {experiment.optimizer}{options}"
    if experiment.participation < 1:
        drawn = f"participation = {experiment.participation:g}; (T28) has its mean effect"
        yield _ALL, "that all clients take part in every round", drawn
    in_time = f"the closed forms in time ({_IN_TIME[experiment.scheme]})"
    step = conditions["scaled_step"]
    if experiment.local_steps > 1:
        steps = f"local_steps = {experiment.local_steps}; (T12) and (T13) follow them"
        yield (in_time, _SANDWICH), "one step per round", steps
    if step > PROVED_STEP:
        yield (in_time, _SANDWICH), f"ηκ at most {PROVED_STEP:g}", f"ηκ = {step:.3g} of the fastest client"
    elif step > SMALL_STEP:
        yield (in_time.replace(", T21", ""),), f"ηκ at most {SMALL_STEP:g}", f"ηκ = {step:.3g}"
    time = step * experiment.steps_after(experiment.record[-1])
    if experiment.scheme != "joint" and time > FIRST_STEPS:
        follows = _FOLLOWS[experiment.scheme]
        yield (
            (_LEADING,),
            f"the first steps, ηκt at most {FIRST_STEPS:g}, unless training is joint",
            f"ηκt = {time:.3g} at the end; {follows}",
        )


def _sentence(predictions: tuple[str, ...], assumed: str, here: str) -> str:
    names = [*predictions[:-2], " and ".join(predictions[-2:])]
    return f"{', '.join(names)} assume{'' if len(predictions) > 1 else 's'} {assumed}; here {here}"
