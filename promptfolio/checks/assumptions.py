"""Conditions of the theory, measured in the run that a claim is checked on.

`record` puts the measurements into the claim's dataset, `measured` compares them with what the claim needs.
Every claim on simulated training reports all of them; those that it can do without have no limit.
"""

import math
from typing import TYPE_CHECKING

import xarray as xr

from promptfolio.checks.largest import largest
from simulate.experiment import Experiment
from theory.dynamics.margin_rate import local_rate
from theory.model.aggregation import client_group_sizes
from theory.model.federation import EqualClients

if TYPE_CHECKING:
    from promptfolio.checks.claim import Assumption
    from simulate.running.portfolio import Portfolio

# Below this overlap between noise vectors the mean-field results are compared; above it they are not claimed.
NEAR_ORTHOGONAL = 0.1
_CONDITIONS = (
    "band_occupancy_worst",
    "noise_overlap_worst",
    "sample_load",
    "scaled_step",
    "group_size_spread",
)


def record(data: xr.Dataset, *experiments: Experiment) -> xr.Dataset:
    """Put the conditions of the runs behind a dataset into it, each at the worst of the runs.

    Args:
        data: holds band_occupancy and noise_overlap, of any shape, as runs and portfolios report them.
        experiments: the runs.

    Returns:
        The dataset with scalars band_occupancy_worst (max |z|/c), noise_overlap_worst
        (max |⟨x_i,x_j⟩|/‖x_i‖²), sample_load (N/L), scaled_step (ηκ of the fastest client, T8) and the
        heterogeneity: group_size_least and group_size_most (χ_k over clients of all runs, T6), group_size_spread
        (largest over smallest χ_k within a run).

    Raises:
        FloatingPointError: a condition is not a number, because a run diverged.
    """
    return data.assign(conditions(data, *experiments))


def conditions(data: xr.Dataset, *experiments: Experiment) -> dict[str, float]:
    """The scalars that `record` puts into a dataset, by name.

    Raises:
        FloatingPointError: as `record`.
    """
    group_sizes = [client_group_sizes(experiment.groups) for experiment in experiments]
    return {
        **{f"{name}_worst": value for name, value in of_runs(data).items()},
        "sample_load": max(sum(experiment.samples) / experiment.noise_dim for experiment in experiments),
        "scaled_step": max(_scaled_step(experiment) for experiment in experiments),
        "group_size_least": min(float(group_size.min()) for group_size in group_sizes),
        "group_size_most": max(float(group_size.max()) for group_size in group_sizes),
        "group_size_spread": max(float(group_size.max() / group_size.min()) for group_size in group_sizes),
    }


def of_runs(*runs: "xr.Dataset | Portfolio") -> dict[str, float]:
    """The two conditions that `record` looks for, at the worst of some runs or trained portfolios.

    Raises:
        FloatingPointError: one is not a number, because a run diverged.

    Example:
        >>> first, second = (xr.Dataset({"band_occupancy": z, "noise_overlap": 0.05}) for z in (0.2, 0.4))
        >>> of_runs(first, second)
        {'band_occupancy': 0.4, 'noise_overlap': 0.05}
    """
    conditions = {}
    for name in ("band_occupancy", "noise_overlap"):
        conditions[name] = largest(*(getattr(run, name) for run in runs))
        if not math.isfinite(conditions[name]):
            raise FloatingPointError(f"{name} = {conditions[name]}: a run diverged; allowed: finite numbers")
    return conditions


def _scaled_step(experiment: Experiment) -> float:
    fastest = EqualClients(
        # The constant coordinate adds to a margin as the shared feature does, where all labels agree (T27).
        global_feature_sq=experiment.global_feature_sq + experiment.prior_feature_sq,
        local_feature_sq=experiment.local_feature_sq,
        noise_feature_sq=experiment.noise_feature_sq,
        noise_std=experiment.noise_std,
        noise_dim=experiment.noise_dim,
        clients=experiment.clients,
        samples=min(experiment.samples),
    )
    return experiment.learning_rate * float(local_rate(fastest))


def measured(
    data: xr.Dataset,
    *,
    linear_band: bool = False,
    near_orthogonal: float = math.inf,
    load: float = math.inf,
    step: float = math.inf,
    equal_group_sizes: bool = False,
) -> "tuple[Assumption, ...]":
    """Hold the conditions that `record` put into a dataset against what a claim needs.

    Args:
        data: with what `record` added.
        linear_band: whether all pre-activations must stay below their class offset, so that h(z) = 2z exactly.
        near_orthogonal: largest allowed overlap of two samples' noise; `NEAR_ORTHOGONAL` for the mean field.
        load: largest allowed N/L.
        step: largest allowed ηκ.
        equal_group_sizes: whether all clients must have the same χ.
    """
    # Only here: commands that state no claim do without what claims load.
    from promptfolio.checks.claim import Assumption

    # A dataset of several settings holds one value of each.
    least, most = -largest(-data.group_size_least), largest(data.group_size_most)
    worst = {name: largest(data[name]) for name in _CONDITIONS}
    return (
        Assumption(
            "largest |z|/c of any row (linear band: below 1)",
            worst["band_occupancy_worst"],
            1.0 if linear_band else math.inf,
        ),
        Assumption(
            "overlap of two samples' noise, max |⟨x_i,x_j⟩|/‖x_i‖²",
            worst["noise_overlap_worst"],
            near_orthogonal,
        ),
        Assumption("samples per noise coordinate, N/L", worst["sample_load"], load),
        Assumption("step size, ηκ of the fastest client", worst["scaled_step"], step),
        Assumption(
            f"largest over smallest group size χ of a run (over all runs, χ from {least:g} to {most:g})",
            worst["group_size_spread"],
            1.0 if equal_group_sizes else math.inf,
        ),
    )
