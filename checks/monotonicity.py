"""How θ* moves: down with more clients, up with more client-specific signal, down with alignment."""

import numpy as np
import xarray as xr

from checks import assumptions
from checks.claim import Claim, Finding, Scale, compare
from checks.mixing_sweep import along, mixing_sweep

CLAIM = Claim(
    name="monotonicity",
    equation="T17",
    provenance="paper",
    title="More users: global; more heterogeneity: local",
    statement="More users push the optimum towards the global prompt, data heterogeneity towards the local one"
    " (stated about the paper's θ figure): θ* falls with K at χ = 1, rises with b/a, falls with χ.",
    bound="statistical",
    figure="mixing_curves",
)

DIRECTIONS = {"clients": -1, "local_share": 1, "alignment": -1}
"""Sweep and the sign of θ*'s change along it."""


def collect(scale: Scale) -> xr.Dataset:
    """The sweep over K, χ and b/a."""
    return mixing_sweep(scale)


def judge(data: xr.Dataset) -> Finding:
    """Every change of θ* between neighbouring settings has the right sign, by more than two standard errors."""
    comparisons = []
    for sweep, sign in DIRECTIONS.items():
        theta = along(data, sweep).theta_by_seed.transpose("setting", "seed")
        change = sign * theta.diff("setting")
        standard_error = np.sqrt(
            (theta.var("seed", ddof=1) / data.sizes["seed"]).rolling(setting=2).sum()[1:]
        )
        comparisons.append(
            compare(
                f"change of θ* along {sweep}, {'down' if sign < 0 else 'up'} counted positive",
                change.mean("seed"),
                2 * standard_error.values,
                bound="lower",
                tolerance=0,
            )
        )
    return Finding(
        CLAIM, tuple(comparisons), (assumptions.linear_band(data), assumptions.near_orthogonal_noise(data))
    )
