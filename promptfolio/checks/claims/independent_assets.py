"""(T18): the optimum if the two prompts had seen disjoint data."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Assumption, Claim, Finding, Scale, compare
from promptfolio.checks.largest import largest
from promptfolio.checks.settings.assets import maximise_ratio
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.experiment import Experiment
from simulate.running.portfolio import Portfolio, train_portfolio
from theory.mixing.advantage import optimal_ratio_squared
from theory.mixing.independent_assets import independent_odds
from theory.mixing.leading_order import mixing_from_odds
from theory.mixing.moments import Moments

CLAIM = Claim(
    name="independent_assets",
    equation="T18",
    provenance="derived",
    title="Independent assets",
    statement="If the local prompt's data are not part of the global average, θ*/(1−θ*) = (a+b)/(Ka+χb), and the"
    " squared ratios add.",
    bound="asymptotic",
    cost=4,
)


def collect(scale: Scale) -> xr.Dataset:
    """Global prompts of one replicate mixed with local prompts of the next, which saw other data."""
    rows: list[dict[str, float]] = []
    portfolios: list[Portfolio] = []
    experiments: list[Experiment] = []
    cases = ((4, 1), (4, 2)) if scale == "quick" else ((4, 1), (4, 2), (8, 1), (8, 4))
    for case, (clients, group_size) in enumerate(cases):
        setting = SymmetricSetting(
            clients=clients,
            group_size=group_size,
            noise_dim=8000 if scale == "quick" else 40000,
            step_size=0.02,
        )
        experiment = setting.experiment(
            scheme="posthoc", rounds=1, record=(1,), replicates=4, precision="float32"
        )
        portfolio = train_portfolio(experiment)
        experiments.append(experiment)
        portfolios.append(portfolio)
        own = 1 + np.asarray(experiment.groups)
        predicted = float(mixing_from_odds(independent_odds(setting.equal_clients)))
        noise = slice(1 + experiment.group_count, None)
        for seed in range(experiment.replicates):
            h_global = portfolio.feature_global[seed, 0].astype(float)
            h_locals = portfolio.feature_local[seed - 1, 0].astype(float)
            for client, h_local in enumerate(h_locals):
                moments = Moments(
                    signal_global=h_global[0] + h_global[own[client]],
                    signal_local=h_local[0] + h_local[own[client]],
                    noise_global=h_global[noise] @ h_global[noise],
                    noise_local=h_local[noise] @ h_local[noise],
                    noise_cross=h_global[noise] @ h_local[noise],
                )
                theta, best = (float(found[0]) for found in maximise_ratio(moments))
                rows.append(
                    {
                        "setting": case,
                        "clients": clients,
                        "group_size": group_size,
                        "theta": theta,
                        "theta_predicted": predicted,
                        "ratio_squared": best**2,
                        "ratio_squared_predicted": float(
                            optimal_ratio_squared(moments.ratio_global, moments.ratio_local, 0.0)
                        ),
                        "correlation": float(moments.correlation),
                    }
                )
    columns = {name: ("pair", [row[name] for row in rows]) for name in rows[0]}
    conditions = assumptions.of_runs(*portfolios)
    data = xr.Dataset({**columns, **conditions}, attrs={"experiment": experiment.to_json()})
    return assumptions.record(data, *experiments)


def judge(data: xr.Dataset) -> Finding:
    """θ* and the sum of squares, as means over pairs of one setting; the assets must be uncorrelated."""
    means = data.set_coords("setting").groupby("setting").mean(skipna=False)
    return Finding(
        CLAIM,
        (
            compare(
                "θ* of pairs of prompts trained on disjoint data",
                means.theta,
                means.theta_predicted,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "R*² of the best mixture, relative to R_G² + R_L²",
                means.ratio_squared / means.ratio_squared_predicted,
                1,
                bound="asymptotic",
                tolerance=0.03,
            ),
        ),
        (
            Assumption(
                "correlation of the two prompts' noise, mean over pairs",
                largest(abs(means.correlation)),
                0.02,
            ),
            *assumptions.measured(
                data,
                linear_band=True,
                near_orthogonal=assumptions.NEAR_ORTHOGONAL,
                step=0.1,
                equal_group_sizes=True,
            ),
        ),
    )
