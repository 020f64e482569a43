"""(T12): the margins of unequal clients follow a recursion with one number per client."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Comparison, Finding, Scale, compare
from promptfolio.checks.largest import largest
from promptfolio.checks.settings.unequal import SAMPLES, SEEDS, Case, collect_cases

CLAIM = Claim(
    name="mean_field",
    equation="T12",
    provenance="derived",
    title="General mean field",
    statement="With unequal n_k, groups, E local steps and any θ, each client's training margin and accumulated"
    " residual follow a recursion with one number per client and prompt; the error vanishes as L grows.",
    bound="asymptotic",
    cost=3,
    together="mean_field",
)


def collect(scale: Scale) -> xr.Dataset:
    """Five local steps per round under the three schemes, at a small and a large L."""
    if scale == "quick":
        return collect_cases((Case("joint", 5),), (500, 2500))
    return collect_cases((Case("joint", 5), Case("posthoc", 5), Case("detached", 5)), (500, 6000))


def margin_error(noise_dim: xr.DataArray) -> xr.DataArray:
    """Three standard errors of a client's mean margin, relative, with dimension client.

    The samples' noise vectors are not quite orthogonal. Within a client that changes the mean margin by a share of
    standard deviation √(2/L), through the other clients' part of the average by √((N/n_k − 1)/L).
    """
    counts = np.asarray(SAMPLES)
    spread = np.sqrt(np.maximum(2, counts.sum() / counts - 1))
    return 3 * xr.DataArray(spread, dims="client") / np.sqrt(noise_dim * SEEDS)


def judge(data: xr.Dataset) -> Finding:
    """At the largest L within three standard errors, at every recorded step; and closer than at the smallest."""
    data = data.transpose(..., "client")
    large = data.isel(noise_dim=-1)
    where = f"L = {int(large.noise_dim)}"
    allowed = margin_error(large.noise_dim)
    margins = data.margin / data.margin_predicted - 1
    taus = data.tau_local / data.tau_predicted.sel(prompt="local") - 1
    comparisons: list[Comparison] = []
    for predictor in data.predictor.values:
        comparisons.append(
            compare(
                f"training margin of each client ({predictor}) relative to its prediction, minus 1, {where}",
                margins.isel(noise_dim=-1).sel(predictor=predictor),
                0,
                bound="asymptotic",
                tolerance=allowed,
            )
        )
    comparisons.append(
        compare(
            f"τ of each local prompt (from β) relative to its prediction, minus 1, {where}",
            taus.isel(noise_dim=-1),
            0,
            bound="asymptotic",
            # as a margin rises its residual falls, which takes back more than half of the error
            tolerance=-largest(-allowed) / 2,
        )
    )
    for what, error in (("τ", taus), ("the mixture's margin", margins.sel(predictor="mixture"))):
        size = np.sqrt((error**2).mean(("step", "theta", "client"), skipna=False))
        comparisons.append(
            compare(
                f"root mean square error of {what} at the largest L, at most that at the smallest",
                size.isel(noise_dim=-1),
                size.isel(noise_dim=0),
                bound="upper",
                tolerance=0,
            )
        )
    return Finding(
        CLAIM,
        tuple(comparisons),
        assumptions.measured(large, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL),
    )
