"""Reference values of the theory's numerical section, reproduced through the checks."""

import numpy as np
import pytest

from promptfolio.checks.claims.per_client import collect
from promptfolio.checks.settings.mixing import compare_mixing, theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting

pytestmark = pytest.mark.usefixtures("optimised")


def test_per_client_mixing() -> None:
    data = collect("full")
    predicted = {"posthoc": [0.062, 0.187, 0.257, 0.479], "joint": [0.204, 0.324, 0.370, 0.490]}
    measured = {"posthoc": [0.065, 0.185, 0.255, 0.48], "joint": [0.205, 0.32, 0.37, 0.49]}
    for scheme, values in predicted.items():
        at = data.sel(scheme=scheme)
        np.testing.assert_allclose(at.theta_predicted, values, atol=5e-4)
        # The grid's step is 0.01, and the reference itself is a mean over twelve other seeds.
        np.testing.assert_allclose(at.theta_empirical, measured[scheme], atol=0.02)


def test_symmetric_mixing_at_large_width() -> None:
    setting, steps = SymmetricSetting(noise_dim=40000), (1, 5, 50)
    posthoc = compare_mixing(setting, "posthoc", steps, theta_grid(0.01))
    np.testing.assert_allclose(posthoc.theta_predicted, [0.373, 0.390, 0.501], atol=5e-4)
    np.testing.assert_allclose(posthoc.theta_empirical, [0.37, 0.38, 0.50], atol=0.02)
    joint = compare_mixing(setting, "joint", (1, 5), theta_grid(0.05))
    np.testing.assert_allclose(joint.theta_predicted, 0.433, atol=5e-4)
    np.testing.assert_allclose(joint.theta_empirical, 0.433, atol=0.02 + 0.025)  # half a grid step
    for data in (posthoc, joint):
        curve = data.accuracy.mean("seed").isel(step=-1)
        np.testing.assert_allclose(
            [curve.sel(theta=0), curve.sel(theta=1), curve.max()], [0.777, 0.788, 0.8166], atol=0.005
        )
