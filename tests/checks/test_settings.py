"""Settings of the checks mean what they say, in simulation."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.special import ndtr

from promptfolio.checks.settings.assets import asset_moments, maximise_ratio, varied_portfolios
from promptfolio.checks.settings.mixing import compare_mixing, mixing_experiment, theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting
from promptfolio.checks.settings.unequal import ratio_error
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


def test_a_comparison_reports_means_regrets_and_advantages_of_its_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the run's ratios of single clients and seeds, where the predicted θ is far from the best."""
    predicted = 0.9
    monkeypatch.setattr("promptfolio.checks.settings.mixing.predicted_mixing", lambda *_: predicted)
    setting = SymmetricSetting(noise_dim=150, samples=30, strength=1.5, step_size=1.0)
    steps, grid = (1, 40), theta_grid(0.05)
    data = compare_mixing(setting, "posthoc", steps, grid, replicates=3)
    found = run(mixing_experiment(setting, "posthoc", steps, grid, replicates=3))
    ratios = found.ratio.sel(predictor="mixture").transpose("seed", "step", "theta", "client").values
    order = ("seed", "step", "theta")
    np.testing.assert_allclose(data.ratio.transpose(*order), ratios.mean(axis=3), rtol=1e-5)
    accuracies = ndtr(ratios.astype(np.float64)).mean(axis=3)
    np.testing.assert_allclose(data.accuracy.transpose(*order), accuracies, rtol=1e-5)
    np.testing.assert_allclose(data.log_error.transpose(*order), np.log(1 - accuracies), rtol=1e-4)
    np.testing.assert_allclose(
        data.accuracy_predicted.transpose("step", "theta"),
        ndtr(data.ratio_predicted.transpose("step", "theta").values),
    )
    fine = np.linspace(0, 1, 10001)
    for index in range(len(steps)):
        point = data.isel(step=index)
        of_ratio, of_accuracy = (
            CubicSpline(grid, values[:, index].mean(axis=0)) for values in (ratios.mean(axis=3), accuracies)
        )
        assert float(point.theta_empirical) == pytest.approx(fine[np.argmax(of_ratio(fine))], abs=2e-4)
        for name, curve in (("regret_ratio", of_ratio), ("regret_accuracy", of_accuracy)):
            lost = curve(fine).max() - curve(predicted)
            assert lost > 0.005
            assert float(point[name]) == pytest.approx(lost, rel=0.02)
        mean = accuracies[:, index].mean(axis=0)
        assert float(point.advantage) == pytest.approx(max(mean) - max(mean[0], mean[-1]), abs=1e-6)
        for seed in range(3):
            own = CubicSpline(grid, ratios[seed, index].mean(axis=1))(fine)
            assert float(point.theta_by_seed[seed]) == pytest.approx(fine[np.argmax(own)], abs=2e-4)


def test_varied_portfolios_are_kept_apart_as_global_and_local() -> None:
    """The prompts' own ratios, which a run records, are those of their moments."""
    pairs = varied_portfolios(replicates=1)
    moments = asset_moments(pairs)
    of_prompts = pairs.signal / np.sqrt(pairs.noise_norm_sq)
    np.testing.assert_allclose(moments.ratio_global, of_prompts.sel(prompt="global"), rtol=1e-6)
    np.testing.assert_allclose(moments.ratio_local, of_prompts.sel(prompt="local"), rtol=1e-6)
    theta, ratio = maximise_ratio(moments)
    for index in range(0, theta.size, 7):
        s_global, s_local, a, b, c = (float(part[index]) for part in moments)
        fine = np.linspace(0, 1, 20001)
        squares = (1 - fine) ** 2 * a + 2 * fine * (1 - fine) * c + fine**2 * b
        curve = ((1 - fine) * s_global + fine * s_local) / np.sqrt(squares)
        assert ratio[index] >= curve.max() * (1 - 1e-12)
        assert ratio[index] == pytest.approx(curve.max(), rel=1e-6)


def test_the_error_of_a_ratio_is_four_standard_errors_of_a_mean_norm() -> None:
    noise_dim, seeds = 400, 6
    norms = np.linalg.norm(np.random.default_rng(2).standard_normal((4000, seeds, noise_dim)), axis=2)
    of_mean = norms.mean(axis=1)
    # 4000 repetitions determine a standard deviation to 1.1 %
    assert ratio_error(noise_dim, seeds) == pytest.approx(4 * of_mean.std() / of_mean.mean(), rel=0.05)
