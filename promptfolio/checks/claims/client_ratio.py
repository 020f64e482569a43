"""(T14): the ratio and the accuracy of every client, predicted at any θ and time."""

import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.unequal import Case, collect_cases, ratio_error
from theory.model.accuracy import accuracy

CLAIM = Claim(
    name="client_ratio",
    equation="T12, T14",
    provenance="derived",
    title="Predicted ratio of every client",
    statement="With unequal n_k, groups and local steps, under each scheme, at any θ and time, the ratio R_k of a"
    " client's mixture follows from p_j, n_j and the accumulated residuals, and its accuracy is Φ(R_k).",
    bound="asymptotic",
    cost=3,
    together="mean_field",
)


def collect(scale: Scale) -> xr.Dataset:
    """Unequal clients under the schemes, with and without local steps."""
    if scale == "quick":
        return collect_cases((Case("joint", 5), Case("detached", 5)), (2500,))
    cases = [Case(scheme, steps) for scheme in ("joint", "posthoc", "detached") for steps in (1, 5)]
    return collect_cases(cases, (6000,))


def judge(data: xr.Dataset) -> Finding:
    """Every client within four standard errors of its ratio, at every θ and time."""
    allowed = ratio_error(int(data.noise_dim.max()))
    axes = data.ratio_predicted.dims
    predicted = accuracy(data.ratio_predicted.values)
    return Finding(
        CLAIM,
        (
            compare(
                "R_k of each client relative to its prediction, minus 1",
                data.ratio / data.ratio_predicted - 1,
                0,
                bound="asymptotic",
                tolerance=allowed,
            ),
            compare(
                "accuracy of each client",
                data.accuracy.transpose(*axes),
                predicted,
                bound="asymptotic",
                # R φ(R), by which a relative error of R enters Φ(R), is at most 0.242
                tolerance=0.242 * allowed,
            ),
        ),
        assumptions.measured(data, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL),
    )
