"""(T25): the detached scheme's ratio follows its own mean field."""

import numpy as np
import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.mixing import predicted_ratios
from promptfolio.checks.settings.residuals import accumulated_residuals
from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.checks.settings.unequal import Case, collect_cases, ratio_error, unequal
from simulate.running.runner import run
from theory.dynamics.symmetric_ratio import symmetric_tau

CLAIM = Claim(
    name="detached",
    equation="T25",
    provenance="derived",
    title="Detached scheme",
    statement="Trained on its own loss, the global prompt learns at every θ; with weights (1−θ)τ_G and θ²τ_L the"
    " ratio of the mixture follows from two scalar recursions for equal clients, and from T12 for unequal ones.",
    bound="asymptotic",
    figure="theta_predicted_empirical",
    cost=2,
    together="mean_field",
)

THETA = (0.2, 0.5, 0.8)


def collect(scale: Scale) -> xr.Dataset:
    """Equal clients (K=4, n=10, χ=1, ηκ_L=0.2) and unequal ones with local steps, at three θ and three times."""
    setting = SymmetricSetting(noise_dim=2000 if scale == "quick" else 8000)
    steps = (5, 50) if scale == "quick" else (5, 50, 500)
    experiment = setting.experiment(
        scheme="detached", theta=THETA, rounds=max(steps), record=steps, replicates=3, precision="float32"
    )
    result = run(experiment)
    times = np.asarray(steps)[:, None]
    tau = symmetric_tau(setting.equal_clients, "detached", THETA, times, setting.learning_rate)
    case, noise_dim = Case("detached", 5), 2500 if scale == "quick" else 6000
    many = collect_cases((case,), (noise_dim,)).isel(case=0, noise_dim=0, drop=True)
    data = xr.Dataset(
        {
            "ratio": result.ratio.sel(predictor="mixture").mean(("client", "seed"), skipna=False),
            "ratio_predicted": (("step", "theta"), predicted_ratios(setting, "detached", THETA, steps)),
            "tau": accumulated_residuals(result, experiment).mean(("client", "seed"), skipna=False),
            "tau_predicted": (("step", "theta", "prompt"), np.stack(tau, axis=-1)),
            "unequal_ratio": many.ratio.rename(step="unequal_step"),
            "unequal_ratio_predicted": many.ratio_predicted.rename(step="unequal_step"),
            "noise_dim": ("setting", [setting.noise_dim, noise_dim]),
        },
        coords={"setting": ["equal", "unequal"]},
        attrs=result.attrs,
    ).drop_vars(["predictor", "round"], errors="ignore")
    data = data.assign(assumptions.of_runs(result, many))
    return assumptions.record(data, experiment, unequal(case, noise_dim))


def judge(data: xr.Dataset) -> Finding:
    """τ and the mean ratio of equal clients within 1 % at L = 8000; every unequal client's ratio within four of its
    standard errors."""
    # noise vectors overlap by about 1/√L
    allowed = 0.01 * np.sqrt(8000 / float(data.noise_dim.sel(setting="equal")))
    return Finding(
        CLAIM,
        (
            compare(
                "R relative to its prediction, minus 1, mean over equal clients",
                data.ratio / data.ratio_predicted - 1,
                0,
                bound="asymptotic",
                tolerance=allowed,
            ),
            compare(
                "τ of both prompts (from β) relative to its prediction, minus 1, mean over equal clients",
                data.tau / data.tau_predicted - 1,
                0,
                bound="asymptotic",
                tolerance=allowed,
            ),
            compare(
                "R_k of each of several unequal clients relative to its prediction, minus 1, E = 5",
                data.unequal_ratio / data.unequal_ratio_predicted - 1,
                0,
                bound="asymptotic",
                tolerance=ratio_error(int(data.noise_dim.sel(setting="unequal"))),
            ),
        ),
        assumptions.measured(data, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL),
    )
