"""(T20): under post-hoc mixing θ* drifts with training time, because the local prompt saturates first."""

import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.mixing import compare_mixing, theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting

CLAIM = Claim(
    name="training_time",
    equation="T20",
    provenance="derived",
    title="Drift with training time (post-hoc)",
    statement="The local prompt saturates earlier, so post-hoc odds*(t) = odds* · τ_G(t)/τ_L(t): θ* rises"
    " from its leading-order value to that of odds* · κ_L/κ_G.",
    bound="asymptotic",
    figure="theta_over_time",
    bears_on=("closed_form",),
)


TIMES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def collect(scale: Scale) -> xr.Dataset:
    """K=4, n=10, χ=1, b/(a+b)=0.7, ηκ_L=0.2, at 1 to 5000 rounds."""
    noise_dim, steps = (8000, (1, 5, 20, 50, 200)) if scale == "quick" else (40000, TIMES)
    setting = SymmetricSetting(noise_dim=noise_dim)
    return compare_mixing(setting, "posthoc", steps, theta_grid(0.005), replicates=3)


def judge(data: xr.Dataset) -> Finding:
    """θ* within 0.02 and accuracy curves within 0.005 at every time; at least half of the predicted drift."""
    drift = data.theta_predicted[-1] - data.theta_predicted[0]
    return Finding(
        CLAIM,
        (
            compare(
                "θ* of post-hoc mixing at every time",
                data.theta_empirical,
                data.theta_predicted,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "accuracy of post-hoc mixtures at every θ and time",
                data.accuracy.mean("seed", skipna=False).transpose("step", "theta"),
                data.accuracy_predicted,
                bound="asymptotic",
                tolerance=0.005,
            ),
            compare(
                "rise of θ* over the run, at least half of its prediction",
                data.theta_empirical[-1] - data.theta_empirical[0],
                drift / 2,
                bound="lower",
                tolerance=0,
            ),
        ),
        assumptions.measured(
            data,
            linear_band=True,
            near_orthogonal=assumptions.NEAR_ORTHOGONAL,
            # T20 takes time as continuous: at ηκ = 0.2 its first θ* is 0.005 too large, in proportion to ηκ.
            step=0.5,
            equal_group_sizes=True,
        ),
    )
