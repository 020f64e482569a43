"""θ* of measured curves: found where accuracies are 1, with an interval that covers it; what an error costs."""

import mpmath
import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

from promptfolio.checks.optimum import (
    best_theta,
    mean_log_error,
    mean_of_logarithms,
    regret,
    theta_interval,
)
from promptfolio.checks.settings.mixing import compare_mixing, theta_grid
from promptfolio.checks.settings.symmetric import SymmetricSetting
from simulate.experiment import MixingScheme
from simulate.results.notices import notices_of
from simulate.validation import ConfigurationError
from theory.mixing.moments import Moments
from theory.mixing.tangency import mixture_ratio, optimal_mixing

SCHEMES: tuple[MixingScheme, ...] = ("posthoc", "joint", "detached")


def curve(values, theta=None, **coords) -> xr.DataArray:
    grid = np.linspace(0, 1, len(values)) if theta is None else theta
    return xr.DataArray(values, {"theta": grid}, "theta").assign_coords(coords)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("spacing", [0.1, 0.02, 0.005])
def test_the_best_mixture_of_two_assets_is_found_between_grid_points(scheme, spacing):
    """Under each scheme's own weights, at ratios from 1 to 1000."""
    grid = np.array(theta_grid(spacing))
    for moments in (Moments(1.0, 1.5, 1.0, 2.0, 0.3), Moments(1e3, 5e2, 1.0, 2.0, -0.5)):
        odds = float(optimal_mixing(*moments)) / (1 - float(optimal_mixing(*moments)))
        expected = {
            "posthoc": odds / (1 + odds),
            "joint": np.sqrt(odds) / (1 + np.sqrt(odds)),
            "detached": (np.sqrt(odds**2 + 4 * odds) - odds) / 2,
        }[scheme]
        best = best_theta(curve(mixture_ratio(grid, moments, weights=scheme), grid), scheme)
        assert_allclose(best.theta, expected, rtol=0, atol=0.5 * spacing**2)
        assert not best.flat


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("spacing", [0.1, 0.01])
def test_a_maximum_at_an_end_is_that_end_exactly(scheme, spacing):
    grid = np.array(theta_grid(spacing))
    for moments, end in (
        (Moments(1.0, 0.4, 1.0, 1.0, 0.5), 0.0),
        (Moments(0.4, 1.0, 1.0, 1.0, 0.5), 1.0),
    ):
        best = best_theta(curve(mixture_ratio(grid, moments, weights=scheme), grid), scheme)
        assert float(best.theta) == end
        assert [float(best.tied_low), float(best.tied_high), bool(best.flat)] == [end, end, False]


def test_a_flat_optimum_is_called_flat_and_has_no_number_where_all_is_flat():
    best = best_theta(curve([1.0, 2, 2, 2, 0]))
    assert (float(best.theta), float(best.tied_low), float(best.tied_high)) == (0.5, 0.25, 0.75)
    assert best.flat
    for scheme in SCHEMES:
        for values in (np.zeros(5), np.full(5, np.inf), 1 + 1e-16 * np.arange(5)):
            nothing = best_theta(curve(values), scheme)
            assert np.isnan(nothing.theta)
            assert nothing.flat
            assert (float(nothing.tied_low), float(nothing.tied_high)) == (0.0, 1.0)
    # what float32 cannot tell apart
    single = 1 + 1e-8 * np.sin(np.arange(21))
    assert not best_theta(curve(single)).flat
    assert best_theta(curve(single), rounding=16 * float(np.finfo(np.float32).eps)).flat


def test_undefined_values_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        best_theta(curve([0.0, np.nan, 1.0]))
    seeds = xr.concat([curve([0.0, 2.0, 1.0]), curve([0.0, np.nan, 1.0])], "seed")
    with pytest.raises(ValueError, match="NaN"):
        theta_interval(seeds)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("seeds", [3, 10])
def test_the_interval_covers_theta_in_95_of_100_repetitions(scheme, seeds):
    """Pairs of assets that vary from seed to seed; the truth is the best θ of their mean curve over many."""
    random, grid, repetitions = np.random.default_rng(seeds), np.array(theta_grid(0.05)), 1000

    def curves(*shape):
        signals = 1 + 0.1 * random.standard_normal((2, *shape))
        noise = np.exp(0.1 * random.standard_normal((2, *shape)))
        moments = Moments(signals[0], signals[1], noise[0], noise[1], 0.3 * np.sqrt(noise[0] * noise[1]))
        values = mixture_ratio(grid[:, None, None], moments, weights=scheme)
        return xr.DataArray(values, {"theta": grid}, ("theta", "seed", "repetition"))

    truth = float(best_theta(curves(200_000, 1).mean("seed"), scheme).theta.item())
    interval = theta_interval(curves(seeds, repetitions), scheme)
    covered = float(((interval.low <= truth) & (truth <= interval.high)).mean())
    # four standard errors of a share of 0.95
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / repetitions)


def test_an_interval_of_one_seed_is_unknown():
    interval = theta_interval(curve([0.0, 1.0, 0.5]).expand_dims("seed"))
    assert np.isnan(interval.low)
    assert np.isnan(interval.high)


def test_the_interval_stays_in_range_and_holds_the_estimate():
    seeds = xr.concat([curve([1.0, 0.9, 0.0]), curve([0.0, 0.9, 1.0])], "seed")
    interval, best = theta_interval(seeds), best_theta(seeds.mean("seed"))
    assert 0 <= interval.low <= best.theta <= interval.high <= 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_regret_is_what_the_predicted_theta_loses(scheme):
    grid, moments = np.array(theta_grid(0.02)), Moments(1.0, 1.5, 1.0, 2.0, 0.3)
    values = curve(mixture_ratio(grid, moments, weights=scheme), grid)
    best = float(best_theta(values, scheme).theta)
    top = float(mixture_ratio(best, moments, weights=scheme))
    for theta in (0.0, 0.313, best, 1.0):
        lost = top - float(mixture_ratio(theta, moments, weights=scheme))
        assert_allclose(regret(values, xr.DataArray(theta), scheme), lost, rtol=0, atol=1e-5)
    assert float(regret(values, xr.DataArray(best), scheme)) >= 0


def test_logarithms_of_mean_errors_keep_their_digits():
    ratios = xr.DataArray([[30.0, 45.0], [31.0, 60.0]], dims=("seed", "client"))
    logarithms = mean_log_error(ratios, "client")
    with mpmath.workdps(50):
        tails = [
            [mpmath.erfc(mpmath.mpf(value) / mpmath.sqrt(2)) / 2 for value in row] for row in ratios.values
        ]
        expected = [float(mpmath.log(sum(row) / 2)) for row in tails]
        overall = float(mpmath.log(sum(map(sum, tails)) / 4))
    assert_allclose(logarithms, expected, rtol=1e-14)
    assert_allclose(mean_of_logarithms(logarithms, "seed"), overall, rtol=1e-14)
    assert_allclose(mean_log_error(ratios, ("seed", "client")), overall, rtol=1e-14)


@pytest.mark.parametrize(
    ("setting", "scheme", "expected"),
    [
        (SymmetricSetting(clients=40, strength=3.0, noise_dim=4000), "posthoc", 0.056),
        (SymmetricSetting(clients=40, strength=3.0, noise_dim=4000), "joint", 0.195),
        (SymmetricSetting(strength=30.0, noise_dim=4000), "posthoc", 0.372),
    ],
)
def test_theta_is_found_where_every_accuracy_is_one(
    setting: SymmetricSetting, scheme: MixingScheme, expected: float
) -> None:
    data = compare_mixing(setting, scheme, (1,), theta_grid(0.05), replicates=3).isel(step=0)
    best = data.accuracy.mean("seed").max()
    assert best == pytest.approx(1, abs=1e-6)
    assert float(data.theta_predicted) == pytest.approx(expected, abs=1e-3)
    assert float(data.theta_empirical) == pytest.approx(expected, abs=0.01)
    assert data.theta_low < data.theta_predicted < data.theta_high
    assert 0 <= float(data.regret_ratio) < 1e-3 * float(data.ratio.max())
    assert 0 <= float(data.regret_log_error) < 0.05
    assert 0 <= float(data.regret_accuracy) < 1e-6
    assert np.isfinite(data.log_error).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_all_or_none_share_is_predicted_and_measured_at_the_ends(scheme):
    for share, end in ((1.0, 1.0), (0.0, 0.0)):
        setting = SymmetricSetting(local_share=share, noise_dim=4000)
        data = compare_mixing(setting, scheme, (1,), theta_grid(0.1), replicates=3).isel(step=0)
        assert float(data.theta_predicted) == end
        # at the ends curves are level: what counts is what the predicted θ loses
        assert float(data.regret_ratio) < 0.01 * float(data.ratio.max())
        assert data.theta_low <= data.theta_empirical <= data.theta_high


def test_a_comparison_says_what_it_rests_on():
    setting = SymmetricSetting(noise_dim=200, step_size=1.0)
    data = compare_mixing(setting, "posthoc", (1, 5), theta_grid(0.25))
    notices = " / ".join(notices_of(data.attrs))
    for said in ("nearly orthogonal noise", "ηκ = 1", "0.25 apart"):
        assert said in notices
    assert not {"theta_low", "theta_high"} & set(data)
    assert '"noise_dim": 200' in data.attrs["setting"]


@pytest.mark.parametrize("step", [0.0, -0.1, 1.0, 0.3, 1e-5, float("nan"), float("inf"), 2.0])
def test_a_spacing_of_theta_that_cannot_show_a_mixture_is_refused(step):
    with pytest.raises(ConfigurationError, match="theta_step"):
        theta_grid(step)
