"""Residuals read from β are those that were accumulated, under every scheme."""

import pytest
from numpy.testing import assert_allclose

from promptfolio.checks.settings.mixing_sweep import SWEEPS, _few
from promptfolio.checks.settings.residuals import accumulated_residuals
from simulate import run
from simulate.experiment import Experiment, TrainingScheme


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_the_first_step_from_zero_accumulates_half_the_learning_rate(scheme: TrainingScheme) -> None:
    """Every residual is 1/2 at the start, whatever the prompt, its weight and the scheme."""
    experiment = Experiment(scheme=scheme, noise_dim=50, theta=(0.0, 0.3, 1.0), rounds=1, record=(1,))
    tau = accumulated_residuals(run(experiment), experiment)
    trained = tau.notnull()
    assert_allclose(tau.values[trained.values], experiment.learning_rate / 2, rtol=1e-4)
    if scheme == "posthoc":
        assert trained.all()
        return
    assert trained.sel(theta=0.3).all()
    assert not trained.sel(theta=0.0, prompt="local").any()
    assert bool(trained.sel(theta=1.0, prompt="global").all()) == (scheme == "detached")


def test_a_quick_sweep_keeps_where_no_advantage_is_predicted() -> None:
    """Where b = 1 the global prompt alone knows nothing: the last of the local shares."""
    kept = _few(SWEEPS["local_share"])
    assert [setting.local_share for setting in kept] == [0.1, 0.3, 1.0]
