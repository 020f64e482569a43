"""(T15): the tangency formula gives the mixture with the largest ratio."""

import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.assets import asset_moments, maximise_ratio, varied_portfolios
from theory.mixing.tangency import optimal_mixing

CLAIM = Claim(
    name="tangency",
    equation="T15",
    provenance="paper",
    title="Optimal mixing in closed form",
    statement="An optimal mixing coefficient exists in closed form (the paper's abstract); here it is the"
    " tangency portfolio of the two prompts, for whatever signals and noise they have learned.",
    bound="exact",
    figure="theta_predicted_empirical",
    bears_on=("closed_form",),
    together="varied_portfolios",
)


def collect(scale: Scale) -> xr.Dataset:
    """Trained pairs of prompts: θ* by formula, and by maximising each mixture's ratio numerically."""
    pairs = varied_portfolios(replicates=2 if scale == "quick" else 10)
    moments = asset_moments(pairs)
    theta, _ = maximise_ratio(moments)
    pairs["theta_formula"] = ("point", optimal_mixing(*moments))
    pairs["theta_searched"] = ("point", theta)
    pairs["interior"] = ((theta > 1e-3) & (theta < 1 - 1e-3)).mean()
    return pairs


def judge(data: xr.Dataset) -> Finding:
    """The two θ* to the precision of the search, and enough of them strictly between 0 and 1."""
    return Finding(
        CLAIM,
        (
            compare(
                "θ* that maximises the simulated ratio, against the formula",
                data.theta_searched,
                data.theta_formula,
                bound="exact",
                tolerance=1e-5,
            ),
            compare(
                "share of pairs of prompts with θ* strictly between 0 and 1",
                data.interior,
                0.3,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(data),
    )
