"""What is recorded, from snapshots made by hand: padding, groups, weights, and lengths beyond float32."""

import numpy as np
import pytest
from scipy.special import ndtr

from simulate import Experiment
from simulate.results.measure import Measurement, length_of_sum, measure, signal_to_noise
from simulate.results.snapshot import NoiseMoments, Scaled, Snapshot

THREE = Experiment(
    clients=3,
    samples=(2, 4, 1),
    groups=(0, 1, 2),
    noise_dim=5,
    noise_std=0.5,
    theta=(0.25,),
    rounds=1,
    record=(1,),
    precision="float32",
)
# Entries of ±99 are padding.
MARGINS = np.array(
    [
        [[-1, -2, -99, 99], [1, 2, 3, 4], [-5, -99, 99, -99]],
        [[3, 5, 99, -99], [2, 2, 2, 2], [7, 99, -99, 99]],
    ]
)

# max |z_l| of the noise rows of each prompt, the global one first; that of its signals is its number.
EXTENTS = np.array([5, 1, 6, 9])


def measured(
    experiment: Experiment = THREE,
    *,
    scale: float = 1.0,
    margins: np.ndarray = MARGINS,
    margin_scales: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),
) -> Measurement:
    """Records of a snapshot with H_G,ξ = (3, 4, 0 …) and H_L,ξ = (0, 12, 5 …), all times a scale."""
    prompts = np.arange(4, dtype=np.float32)
    gammas = np.stack([prompts, 10 + prompts, 20 + prompts, 60 + prompts], axis=1)

    def records(values: object) -> np.ndarray:
        return np.asarray(values, np.float32)[None, None, None]

    largest = scale * np.array([4.0, 12.0, 12.0, 12.0])
    lengths = np.array([5 / 4, 13 / 12, 13 / 12, 13 / 12])
    snapshot = Snapshot(
        moved=records(gammas),
        features=records(scale * gammas),
        signal_extent=records(prompts),
        noise=NoiseMoments(
            phi_norm=Scaled(records(largest), records(lengths)),
            phi_max=records(largest),
            norm=Scaled(records(largest), records(lengths)),
            inner=records(np.full(3, 1.0)),  # 4·12 over the scales 4 and 12
            extent=records(EXTENTS),
        ),
        margins=Scaled(records(scale * np.asarray(margin_scales)), records(margins)),
    )
    return measure(experiment, snapshot, np.array([0.25]))


def test_padding_has_no_part_in_margins_and_losses() -> None:
    singles = measured().singles
    margins = [
        [MARGINS[prompt, client, :count] for prompt in (0, 1)] for client, count in enumerate(THREE.samples)
    ]
    for name, of in (
        ("margin_mean", np.mean),
        ("margin_spread", np.ptp),
        ("training_loss", lambda one: np.mean(np.log1p(np.exp(-one)))),
    ):
        expected = [[of(one) for one in client] for client in margins]
        np.testing.assert_allclose(getattr(singles, name)[0, 0, 0], expected, rtol=1e-6, err_msg=name)


def test_coefficients_of_the_own_and_of_the_other_groups() -> None:
    prompts = measured().prompts
    # Global prompt: γ = 10, 20, 60; the local prompt of client k has k + 1 more.
    np.testing.assert_array_equal(prompts.gamma_own[0, 0, 0], [[10, 11], [20, 22], [60, 63]])
    np.testing.assert_array_equal(prompts.gamma_other[0, 0, 0], [[40, 41], [35, 37], [15, 18]])
    np.testing.assert_array_equal(prompts.beta[0, 0, 0], [[0, 1], [0, 2], [0, 3]])


def test_every_prompt_has_margins_of_its_own_scale() -> None:
    expected = measured().singles.margin_mean[0, 0, 0]
    scaled = measured(margin_scales=(2.0, 3.0, 5.0, 7.0)).singles.margin_mean[0, 0, 0]
    np.testing.assert_allclose(scaled, expected * [[2, 3], [2, 5], [2, 7]], rtol=1e-6)


def test_the_band_is_left_by_signals_or_by_noise() -> None:
    prompts = measured(THREE.replace(signal_offset=2.0, noise_offset=8.0)).prompts
    # Shares of the band that signals take are 0, 1/2, 1, 3/2 and those of noise 5/8, 1/8, 6/8, 9/8.
    expected = [[5 / 8, 1 / 2], [5 / 8, 1], [5 / 8, 3 / 2]]
    np.testing.assert_allclose(prompts.band_occupancy[0, 0, 0], expected, rtol=1e-6)
    prompts = measured(THREE.replace(signal_offset=8.0, noise_offset=2.0)).prompts
    np.testing.assert_allclose(prompts.band_occupancy[0, 0, 0], [[5 / 2, 1 / 2], [5 / 2, 3], [5 / 2, 9 / 2]])
    # How far noise rows have moved is another number than how far they are.
    np.testing.assert_array_equal(prompts.phi_max[0, 0, 0], [[4, 12]] * 3)
    np.testing.assert_allclose(prompts.phi_norm[0, 0, 0], [[5, 13]] * 3, rtol=1e-6)


def test_one_training_serves_every_mixture() -> None:
    posthoc = THREE.replace(scheme="posthoc", theta=(0.1, 0.6, 1.0))
    mixtures = measured(posthoc).mixtures
    for number, theta in enumerate(posthoc.theta):
        vector = (1 - theta) * np.array([3, 4, 0]) + theta * np.array([0, 12, 5])
        signal = (1 - theta) * np.array([10, 20, 60]) + theta * np.array([12, 24, 66])
        np.testing.assert_allclose(
            mixtures.ratio[0, 0, 0, number], signal / (0.5 * np.linalg.norm(vector)), rtol=1e-6
        )
        for client, count in enumerate(THREE.samples):
            pair = MARGINS[:, client, :count]
            mixed = (1 - theta) * pair[0] + theta * pair[1]
            assert mixtures.margin_mean[0, 0, 0, number, client] == pytest.approx(mixed.mean(), rel=1e-6)
            assert mixtures.training_loss[0, 0, 0, number, client] == pytest.approx(
                np.log1p(np.exp(-mixed)).mean(), rel=1e-6
            )


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e-37, 1e25, 1e36])
def test_lengths_whose_squares_leave_float32(scale: float) -> None:
    records = measured(scale=scale)
    norms = np.broadcast_to([5.0, 13.0], (3, 2)) * scale
    np.testing.assert_allclose(records.prompts.noise_norm_sq[0, 0, 0], norms**2, rtol=1e-6)
    np.testing.assert_allclose(records.noise_inner[0, 0, 0], 48 * scale**2, rtol=1e-6)
    mixed = np.linalg.norm(0.75 * np.array([3, 4, 0]) + 0.25 * np.array([0, 12, 5]))
    signals = 0.75 * np.array([10, 20, 60]) + 0.25 * np.array([12, 24, 66])
    np.testing.assert_allclose(records.mixtures.ratio[0, 0, 0, 0], signals / (0.5 * mixed), rtol=1e-6)
    np.testing.assert_allclose(
        records.singles.accuracy[0, 0, 0], ndtr(records.singles.ratio[0, 0, 0]), rtol=1e-12
    )


def test_a_length_that_is_not_finite_gives_no_ratio() -> None:
    np.testing.assert_array_equal(
        signal_to_noise(np.array([1.0, 0.0, np.nan, -1.0]), np.array([np.inf, 0.0, 1.0, 0.0])),
        [np.nan, 0.0, np.nan, -np.inf],
    )
    # Opposite vectors cancel; rounding must not leave the square root of a negative number.
    one, opposite = np.full(3, 1e200), np.array([-1.0, -1 - 1e-16, -1 - 4e-16])
    np.testing.assert_array_equal(length_of_sum(one, one, opposite), 0)
