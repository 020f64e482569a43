"""Runs whose numbers are right and mean less than they seem to: sentences for the result's notices."""

import math
from collections.abc import Iterator

import numpy as np
import xarray as xr

from simulate.configuration import momentum_of
from simulate.experiment import Experiment
from simulate.results.finite_records import slope_at_start

_CHANCE = 0.5
_DIGITS = 1e3
"""Times the rounding of the largest: what is smaller has fewer than three digits."""


def degenerate(experiment: Experiment, result: xr.Dataset) -> list[str]:
    """What a reader must know of a result before its numbers are taken for what they look like.

    Args:
        experiment: what was run.
        result: as `simulate.run` or `simulate.run_hierarchy` returns it.

    Example:
        >>> from simulate.running.runner import run
        >>> flat = run(Experiment(activation="tanh", clients=2, samples=(3,), noise_dim=20, rounds=2))
        >>> degenerate(Experiment(activation="tanh"), flat)[0]
        'nothing was learned: no prompt moved, as tanh has no slope at signal_offset = 1000, noise_offset = 1000'
    """
    if experiment.record[-1] == 0:
        return ["only round 0 is recorded: results are those before training"]
    return [
        *_unmoved(experiment, result),
        *_accuracies(result),
        *_beyond(experiment, result),
        *_rounded(experiment, result),
    ]


def _unmoved(experiment: Experiment, result: xr.Dataset) -> Iterator[str]:
    """Prompts that training left where they started."""
    if "phi_norm" not in result:
        return
    last = result.isel(step=-1)
    noise = last.phi_norm != 0
    signal = (last.beta != 0) | (last.gamma_own != 0) | (last.gamma_other.fillna(0) != 0)
    if experiment.constant_rows and experiment.init_std == 0:
        signal |= last.bias != 0
    flat = [
        f"{name} = {getattr(experiment, name):g}"
        for name in ("signal_offset", "noise_offset")
        if slope_at_start(experiment, getattr(experiment, name)) == 0
    ]
    slope = f", as {experiment.activation} has no slope at {', '.join(flat)}" if flat else ""
    moved = signal | noise
    if not moved.any():
        small = f": learning_rate = {experiment.learning_rate:g} or optimizer_options leave no step"
        yield f"nothing was learned: no prompt moved{slope or small}"
        return
    for rows, what in ((signal, "task-relevant rows"), (noise, "noise rows")):
        if not rows.any():
            switched_off = experiment.global_feature_sq == experiment.local_feature_sq == 0
            reason = ", whose features have squared norm 0" if switched_off and rows is signal else slope
            yield f"no prompt's {what} moved{reason}"
    others = [dim for dim in moved.dims if dim not in ("seed", "client", "prompt")]
    absent = ~moved.any(others).sel(prompt="local")
    if absent.any() and (np.asarray(experiment.theta) > 0).any():
        pairs = np.argwhere(absent.transpose("seed", "client").values)
        first = f"client {pairs[0][1]} in replicate {pairs[0][0]}"
        more = f" and {len(pairs) - 1} more" if len(pairs) > 1 else ""
        yield f"the local prompt of {first}{more} never moved: it counts in means over clients untrained"


def _accuracies(result: xr.Dataset) -> Iterator[str]:
    """Accuracies, ratios and losses that are the same everywhere, or infinite."""
    trained = result.isel(step=result["round"].values > 0)
    if bool((abs(trained.accuracy - _CHANCE) < 1e-12).all()):
        yield "every recorded accuracy is 0.5, which is chance"
    last = trained.isel(step=-1)
    names = ("accuracy", "ratio", "training_loss")
    if result.sizes["seed"] > 1 and all(_alike(last[name]) for name in names):
        count = result.sizes["seed"]
        yield f"all {count} replicates have the same results to the last bit: their spread of 0 is no error bar"
    if infinite := int(np.isinf(result.ratio).sum()):
        yield (
            f"{infinite} of {result.ratio.size} recorded ratios are infinite: no noise was memorised there"
            " (σ_p ‖H_ξ‖ is 0, or too small to divide by), and accuracy is 1 or 0"
        )


def _alike(values: xr.DataArray) -> bool:
    """Whether all replicates have the same values."""
    return bool((values == values.isel(seed=0)).all())


def _beyond(experiment: Experiment, result: xr.Dataset) -> Iterator[str]:
    """Prompts where the results of the linear band say nothing, and momentum without bound."""
    piecewise = experiment.activation in ("relu", "leaky_relu")
    exact = result.attrs.get("band_occupancy_is", "exact") == "exact"
    if piecewise and exact and bool((result.band_occupancy.isel(step=-1) >= 1).all()):
        yield "every prompt has left the linear band (max |z|/c >= 1): results that presume it do not apply"
    momentum = momentum_of(experiment.optimizer_options)
    if experiment.optimizer == "sgd" and abs(momentum) >= 1:
        yield f"momentum = {momentum:g}: steps add up without bound, so that results depend on the number of rounds"


def _rounded(experiment: Experiment, result: xr.Dataset) -> Iterator[str]:
    """Moves that a prompt of R^d cannot hold beside its largest ones; other engines keep every row by itself."""
    if result.attrs.get("engine_used") != "prompt":
        return
    last = result.isel(step=-1)
    of_rows = (
        ("beta", "global_feature_sq", "μ"),
        ("gamma_own", "local_feature_sq", "ν"),
        ("phi_max", "noise_feature_sq", "ξ"),
    )
    moves = {
        row: float(abs(last[name]).max()) / math.sqrt(getattr(experiment, square))
        for name, square, row in of_rows
        if getattr(experiment, square) > 0
    }
    largest = max(moves, key=lambda row: moves[row])
    for row, move in moves.items():
        if 0 < move < _DIGITS * np.finfo(experiment.precision).eps * moves[largest]:
            yield (
                f"moves along {row} are {move / moves[largest]:.1g} of those along {largest}, near the rounding of"
                f" {experiment.precision} prompts: engine = coefficient keeps the digits of both"
            )
