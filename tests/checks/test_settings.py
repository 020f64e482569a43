"""Settings of the checks mean what they say, in simulation."""

import numpy as np
import pytest

from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate import run


@pytest.mark.parametrize(("noise_std", "noise_feature_sq"), [(1.0, 1.0), (0.5, 1.0), (2.0, 0.3)])
def test_a_setting_reaches_its_strength_whatever_the_noise(noise_std: float, noise_feature_sq: float) -> None:
    setting = SymmetricSetting(
        noise_dim=8000, noise_std=noise_std, noise_feature_sq=noise_feature_sq, step_size=0.01
    )
    result = run(setting.experiment(rounds=1, record=(1,), scheme="posthoc"))
    ratio = result.ratio.sel(predictor="local").isel(seed=0, theta=0, step=0)
    # A sample's squared noise norm has relative standard error (2/L)^½ = 0.016, and samples overlap by as much.
    np.testing.assert_allclose(ratio, setting.strength, rtol=0.06)
    # The rate in units of which the step is given: margins then grow by ηκ_L/2 in the first step.
    margin = result.margin_mean.sel(predictor="local").isel(seed=0, theta=0, step=0)
    np.testing.assert_allclose(margin, setting.step_size / 2, rtol=0.06)
