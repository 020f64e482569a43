"""Beyond the specified model: wrong labels, unequal priors, a constant coordinate; and a portfolio's conditions."""

import jax
import numpy as np
import pytest
from scipy.special import ndtr

from simulate import Experiment, run
from simulate.model.data import ClientData
from simulate.model.fresh_samples import count_correct
from simulate.running.portfolio import train_portfolio
from simulate.running.prepared import prepare_rows
from tests.tolerances import RELATIVE, assert_agree

BASE = Experiment(
    clients=3,
    samples=(40, 25, 60),
    groups=(0, 1, 0),
    global_feature_sq=0.2,
    local_feature_sq=0.3,
    noise_dim=40,
    learning_rate=1e-2,
    rounds=4,
    record=(4,),
    theta=(0.3,),
)
SKEWED = BASE.replace(class_prior=(0.9, 0.5, 0.1))


def data_of(experiment: Experiment) -> ClientData:
    with jax.enable_x64(experiment.precision == "float64"):
        return jax.tree.map(lambda leaf: np.asarray(leaf[0]), prepare_rows(experiment).worlds.data)


def test_wrong_labels_leave_the_features_alone() -> None:
    plain, noisy = data_of(BASE), data_of(BASE.replace(label_noise=0.4))
    assert_agree(noisy.features, plain.features, RELATIVE["float64"])
    for client, count in enumerate(BASE.samples):
        clean = plain.labels[client, :count]
        np.testing.assert_array_equal(plain.features[client, :count, 0], clean)
        flipped = noisy.labels[client, :count] != clean
        # Five standard deviations of a binomial.
        assert abs(flipped.sum() - 0.4 * count) < 5 * (0.24 * count) ** 0.5
        assert 0 < flipped.sum() < count


def test_all_labels_wrong_turns_the_prompts_round() -> None:
    plain, wrong = run(BASE).isel(seed=0), run(BASE.replace(label_noise=1.0)).isel(seed=0)
    for name in ("beta", "gamma_own", "signal", "ratio"):
        np.testing.assert_allclose(wrong[name], -plain[name], rtol=RELATIVE["float64"], atol=1e-14)
    np.testing.assert_allclose(wrong.accuracy, 1 - plain.accuracy, rtol=RELATIVE["float64"])
    np.testing.assert_allclose(wrong.training_loss, plain.training_loss, rtol=RELATIVE["float64"])


def test_label_noise_does_not_disturb_other_clients_draws() -> None:
    few = data_of(BASE.replace(label_noise=0.3)).labels[1, :25]
    more = data_of(BASE.replace(label_noise=0.3, samples=(70, 25, 70))).labels[1, :25]
    np.testing.assert_array_equal(few, more)


def test_shares_of_labels_are_those_of_the_data() -> None:
    experiment = SKEWED.replace(label_noise=0.3, replicates=2)
    result = run(experiment)
    data = data_of(experiment)
    for client, count in enumerate(experiment.samples):
        classes, labels = data.features[client, :count, 0], data.labels[client, :count]
        assert result.flipped_share.values[0, client] == pytest.approx((classes != labels).mean())
        assert result.positive_share.values[0, client] == pytest.approx((classes > 0).mean())
    rows = [
        data.features[client, :count, -experiment.noise_dim :] for client, count in enumerate(BASE.samples)
    ]
    gram = np.concatenate(rows) @ np.concatenate(rows).T
    shares = abs(gram - np.diag(np.diag(gram))) / np.diag(gram)[:, None]
    assert result.noise_overlap.values[0] == pytest.approx(shares.max(), rel=1e-9)
    assert result.flipped_share.dims == result.positive_share.dims == ("seed", "client")


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_priors_set_the_share_of_positive_samples(precision: str) -> None:
    prior = (0.9, 0.5, 0.0)
    result = run(BASE.replace(class_prior=prior, samples=(400,), precision=precision))
    expected = np.asarray(prior)
    error = 5 * np.sqrt(expected * (1 - expected) / 400)
    assert (abs(result.positive_share.isel(seed=0).values - expected) <= error).all()


def test_both_precisions_draw_the_same_labels() -> None:
    noisy = SKEWED.replace(label_noise=0.3)
    single, double = data_of(noisy.replace(precision="float32")), data_of(noisy)
    np.testing.assert_array_equal(single.labels, double.labels)


def test_the_constant_coordinate_stands_before_the_noise() -> None:
    plain, constant = data_of(SKEWED), data_of(SKEWED.replace(prior_feature_sq=2.0, prompt_dim=0))
    rows = 1 + SKEWED.group_count
    for client, count in enumerate(SKEWED.samples):
        features = constant.features[client]
        np.testing.assert_array_equal(features[:count, rows], 1)
        np.testing.assert_array_equal(features[count:], 0)
        assert_agree(np.delete(features, rows, axis=1), plain.features[client], RELATIVE["float64"])


@pytest.mark.parametrize("engine", ["prompt", "coefficient"])
def test_bias_and_accuracy_read_from_the_text_feature(engine: str) -> None:
    experiment = SKEWED.replace(prior_feature_sq=0.5, engine=engine, prompt_dim=0)
    result = run(experiment).isel(seed=0, theta=0, step=0)
    portfolio = train_portfolio(experiment)
    both = portfolio.feature_global[0, 0], portfolio.feature_local[0, 0]
    constant = 1 + experiment.group_count
    np.testing.assert_allclose(result.bias.sel(prompt="global"), both[0][constant], rtol=1e-9)
    np.testing.assert_allclose(result.bias.sel(prompt="local"), both[1][:, constant], rtol=1e-9)
    mixture = 0.7 * both[0][None, :] + 0.3 * both[1]
    for client, (group, prior) in enumerate(zip(experiment.groups, experiment.class_prior, strict=True)):
        signal = mixture[client, 0] + mixture[client, 1 + group]
        bias, risk = mixture[client, constant], np.linalg.norm(mixture[client, constant + 1 :])
        expected = prior * ndtr((signal + bias) / risk) + (1 - prior) * ndtr((signal - bias) / risk)
        values = result.isel(client=client).sel(predictor="mixture")
        assert float(values.accuracy) == pytest.approx(expected, rel=1e-9)
        assert float(values.ratio) == pytest.approx(signal / risk, rel=1e-9)


def test_a_prompt_without_constant_coordinate_has_no_bias() -> None:
    result = run(SKEWED)
    np.testing.assert_array_equal(result.bias, 0)
    np.testing.assert_allclose(result.accuracy, ndtr(result.ratio), rtol=1e-12)


@pytest.mark.usefixtures("optimised")
def test_counting_uses_the_clients_priors_and_clean_labels() -> None:
    experiment = SKEWED.replace(prior_feature_sq=0.5, prompt_dim=0, label_noise=0.2)
    counted = count_correct(experiment, 40_000)
    exact = run(experiment).accuracy.sel(predictor="mixture").isel(step=0)
    assert ((exact > 0.6) & (exact < 0.99)).all()
    error = np.sqrt(exact * (1 - exact) / counted.attrs["fresh_samples"])
    assert (abs(counted.values - exact.values) < 5 * error.values).all()


@pytest.mark.parametrize("engine", ["prompt", "coefficient"])
@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_portfolio_reports_the_conditions_of_a_run(engine: str, scheme: str) -> None:
    experiment = BASE.replace(
        engine=engine, scheme=scheme, theta=(0.2, 0.7), replicates=2, signal_offset=0.3, noise_offset=0.2
    )
    portfolio, result = train_portfolio(experiment), run(experiment)
    assert portfolio.band_occupancy.shape == portfolio.noise_overlap.shape == (2,)
    occupancy = result.band_occupancy
    expected = occupancy.max([dim for dim in occupancy.dims if dim != "seed"])
    np.testing.assert_allclose(portfolio.band_occupancy, expected, rtol=1e-9)
    np.testing.assert_allclose(portfolio.noise_overlap, result.noise_overlap, rtol=1e-12)


def test_a_portfolio_is_trained_for_all_rounds_whatever_is_recorded() -> None:
    early, late = (train_portfolio(BASE.replace(record=record)) for record in ((0, 1), (4,)))
    np.testing.assert_array_equal(early.global_prompt, late.global_prompt)
    np.testing.assert_array_equal(early.local_prompts, late.local_prompts)
