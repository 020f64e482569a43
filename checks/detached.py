"""(T25): the detached protocol's ratio follows its own mean field."""

import numpy as np
import xarray as xr

from checks import assumptions
from checks.claim import Claim, Finding, Scale, compare
from checks.mixing import predicted_ratios
from checks.setting import SymmetricSetting
from simulate.runner import run

CLAIM = Claim(
    name="detached",
    equation="T25",
    provenance="derived",
    title="Detached protocol",
    statement="Trained on its own loss the global prompt is never starved; with weights (1−θ)τ_G and θ²τ_L the"
    " ratio of the mixture follows from two scalar recursions.",
    bound="asymptotic",
    figure="theta_predicted_empirical",
)

THETA = (0.2, 0.5, 0.8)


def collect(scale: Scale) -> xr.Dataset:
    """K=4, n=10, χ=1, ηκ_L=0.2 at three θ and three times."""
    setting = SymmetricSetting(noise_dim=2000 if scale == "quick" else 8000)
    steps = (5, 50) if scale == "quick" else (5, 50, 500)
    experiment = setting.experiment(
        protocol="detached", theta=THETA, rounds=max(steps), record=steps, replicates=3, precision="float32"
    )
    result = run(experiment).sel(predictor="mixture")
    data = result[["band_occupancy", "noise_overlap"]].assign(ratio=result.ratio.mean(("client", "seed")))
    data["ratio_predicted"] = (("step", "theta"), predicted_ratios(setting, "detached", THETA, steps))
    return data.assign_attrs(result.attrs)


def judge(data: xr.Dataset) -> Finding:
    """The mean ratio within 2 % at every θ and time."""
    return Finding(
        CLAIM,
        (
            compare(
                "R / predicted",
                data.ratio.transpose("step", "theta") / data.ratio_predicted,
                np.ones(1),
                bound="asymptotic",
                tolerance=0.02,
            ),
        ),
        (assumptions.linear_band(data), assumptions.near_orthogonal_noise(data)),
    )
