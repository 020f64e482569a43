"""(T21): under joint training θ* = √odds/(1+√odds), at every time."""

import xarray as xr

from promptfolio.checks import assumptions
from promptfolio.checks.claim import Claim, Finding, Scale, compare
from promptfolio.checks.settings.mixing import compare_mixing, theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting

CLAIM = Claim(
    name="joint_law",
    equation="T21",
    provenance="derived",
    title="Joint training: square-root law",
    statement="Trained through the mixture, both prompts grow in proportion to their own weight, so"
    " θ*_joint = √odds/(1+√odds), whatever the training time.",
    bound="asymptotic",
    figure="theta_predicted_empirical",
    bears_on=("closed_form",),
    cost=5,
)

FULL_SETTINGS = (
    SymmetricSetting(),
    SymmetricSetting(clients=2, local_share=0.3),
    SymmetricSetting(local_share=0.4),
    SymmetricSetting(local_share=0.95),
    SymmetricSetting(clients=8),
    SymmetricSetting(clients=8, group_size=4),
    SymmetricSetting(clients=16),
)


def collect(scale: Scale) -> xr.Dataset:
    """Joint training over the grid of θ: the first setting for long, the others up to 50 rounds."""
    noise_dim, grid = (4000, 0.02) if scale == "quick" else (8000, 0.01)
    # A hundred trainings, one for each θ, take little time in the space of samples.
    engine: str = "auto" if scale == "quick" else "gram"
    parts: list[xr.Dataset] = []
    for base in FULL_SETTINGS[:1] if scale == "quick" else FULL_SETTINGS:
        setting = SymmetricSetting(**{**vars(base), "noise_dim": noise_dim})
        steps = (1, 5, 50) if parts or scale == "quick" else (1, 5, 50, 300)
        # Few clients leave few samples to average over; more seeds make up for them.
        part = compare_mixing(
            setting, "joint", steps, theta_grid(grid), replicates=max(1, 8 // setting.clients), engine=engine
        )
        coords = {name: getattr(setting, name) for name in ("clients", "group_size", "local_share")}
        part = part.assign(accuracy=part.accuracy.mean("seed", skipna=False)).drop_dims("seed")
        # times that a setting was not run for have no yes or no, and one seed has no interval
        part = part.drop_vars(["theta_flat", "theta_low", "theta_high"], errors="ignore")
        parts.append(part.assign_coords(coords))
    return xr.concat(parts, "setting", join="outer")


def judge(data: xr.Dataset) -> Finding:
    """θ* within 0.02 and accuracy curves within 0.005, at every time and in every setting."""
    data = data.stack(run=("setting", "step"))
    # the times each setting was run for
    compared = ("theta_empirical", "theta_predicted", "accuracy", "accuracy_predicted")
    data = data.dropna("run", how="all", subset=compared)
    return Finding(
        CLAIM,
        (
            compare(
                "θ* of joint training at every time",
                data.theta_empirical,
                data.theta_predicted,
                bound="asymptotic",
                tolerance=0.02,
            ),
            compare(
                "accuracy of jointly trained mixtures at every θ and time",
                data.accuracy.transpose("run", "theta"),
                data.accuracy_predicted.transpose("run", "theta"),
                bound="asymptotic",
                tolerance=0.005,
            ),
        ),
        assumptions.measured(
            data, linear_band=True, near_orthogonal=assumptions.NEAR_ORTHOGONAL, equal_group_sizes=True
        ),
    )
