"""(T17): θ* falls with more clients, rises with more client-specific signal, falls with group size."""

import numpy as np
import xarray as xr
from scipy.stats import t

from promptfolio.checks import assumptions
from promptfolio.checks.claim import (
    DETECTION_POWER,
    Claim,
    Comparison,
    Finding,
    Scale,
    StatisticalTest,
    compare,
)
from promptfolio.checks.largest import largest
from promptfolio.checks.settings.mixing_sweep import along, mixing_sweep
from promptfolio.checks.significance import t_missed

CLAIM = Claim(
    name="monotonicity",
    equation="T17",
    provenance="paper",
    title="More users: global prompt; more heterogeneity: local prompt",
    statement="More users push the optimum towards the global prompt, data heterogeneity towards the local one"
    " (stated about the paper's θ figure): θ* falls with K at χ = 1, rises with b/a, falls with χ.",
    bound="statistical",
    figure="mixing_curves",
    bears_on=("users", "heterogeneity"),
    cost=4,
    together="mixing_sweep",
)

CHANCE = 1e-4
"""Chance, for all changes of one sweep together, that seeds alone look like a change of the right sign."""

DIRECTIONS = {"clients": -1, "local_share": 1, "group_size": -1}
"""Sweep and the sign of θ*'s change along it."""

_NAMES = {
    "clients": "the number of clients K",
    "local_share": "the share b/(a+b) of client-specific signal",
    "group_size": "the group size χ",
}


def collect(scale: Scale) -> xr.Dataset:
    """The sweep over K, χ and b/a."""
    return mixing_sweep(scale)


def judge(data: xr.Dataset) -> Finding:
    """Every change of θ* between neighbouring settings has the right sign, beyond what seeds explain."""
    comparisons = tuple(_changes(data, sweep, sign) for sweep, sign in DIRECTIONS.items())
    return Finding(
        CLAIM,
        comparisons,
        assumptions.measured(
            data,
            linear_band=True,
            near_orthogonal=assumptions.NEAR_ORTHOGONAL,
            step=0.1,
            equal_group_sizes=True,
        ),
    )


def _changes(data: xr.Dataset, sweep: str, sign: int) -> Comparison:
    """One-sided t-tests of neighbouring settings, with the variance over seeds pooled over the sweep."""
    settings, seeds = along(data, sweep), data.sizes["seed"]
    theta = settings.theta_by_seed.transpose("setting", "seed")
    change = sign * theta.mean("seed", skipna=False).diff("setting").values
    expected = sign * settings.theta_predicted.diff("setting").values
    standard_error = float(np.sqrt(2 * theta.var("seed", ddof=1, skipna=False).mean(skipna=False) / seeds))
    freedom = theta.sizes["setting"] * (seeds - 1)
    # Where seeds agree exactly, a change must still exceed what the grid of θ can tell.
    grid_step = largest(np.diff(data.theta.values))
    needed = largest(float(t.isf(CHANCE / change.size, freedom)) * standard_error, grid_step)
    error = largest(standard_error, grid_step)
    missed = t_missed(expected / error, needed / error, freedom).sum()
    test = StatisticalTest(
        name="one-sided t-test of the mean over replicates, pooled variance",
        sample_size=seeds,
        false_alarm=float(missed),
        detectable=needed + float(t.ppf(DETECTION_POWER, freedom)) * standard_error,
    )
    return compare(
        f"{'fall' if sign < 0 else 'rise'} of θ* with {_NAMES[sweep]}, more than seeds explain",
        change,
        needed,
        bound="lower",
        tolerance=0,
        test=test,
    )
