"""Label noise (T26), class priors (T27) and partial participation (T28), each against an independent method."""

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from theory.dynamics import symmetric_ratio
from theory.dynamics.margin_rate import global_rate, joint_rate, local_rate, rate_parts
from theory.dynamics.mean_field import accumulated
from theory.dynamics.predicted_ratio import predicted_ratio
from theory.dynamics.residuals import Accumulated
from theory.dynamics.sample_types import population, types_of
from theory.extensions import (
    class_priors,
    label_noise,
    noisy_clients,
    participation,
    prediction,
)
from theory.extensions.prediction import best_mixing
from theory.mixing.leading_order import mixing_from_odds, posthoc_odds
from theory.mixing.per_client import posthoc_mixing
from theory.mixing.training_time import limiting_odds, posthoc_odds_at
from theory.model import accuracy
from theory.model.federation import EqualClients, Federation
from theory.proof.derivation import as_function

LETTERS: dict[str, Any] = {
    "global_feature_sq": 3.0,
    "local_feature_sq": 7.0,
    "noise_feature_sq": 1.0,
    "noise_std": 1.0,
    "noise_dim": 400,
}
UNEQUAL = Federation(**LETTERS, sample_counts=(10, 30, 20), groups=(0, 1, 0))
EQUAL = Federation(**LETTERS, sample_counts=(10,) * 4)
SYMMETRIC = EqualClients(**LETTERS, clients=4, samples=10, group_size=1)


@pytest.mark.parametrize("group_size", [1, 2, 3, 6])
def test_equal_clients_one_by_one_are_the_same_equal_clients(group_size):
    letters = dict(LETTERS, noise_std=0.7, noise_feature_sq=2.0, clients=6, samples=5, group_size=group_size)
    found = EqualClients(**letters).federation().equal_clients()
    assert {name: float(getattr(found, name)) for name in letters} == letters


# --- label noise (T26) ---


def ratio_by_samples(rounds, theta, eta, flips, joint):
    """Ratio of one client's mixture on clean data: T5 on explicit orthogonal noise vectors, equal clients."""
    clients, samples = flips.shape
    a, b, energy = LETTERS["global_feature_sq"], LETTERS["local_feature_sq"], LETTERS["noise_dim"]
    sign = np.where(flips, -1.0, 1.0)  # wrong label times true class
    beta_g, beta_l = 0.0, np.zeros(clients)
    gamma_g, gamma_l = np.zeros(clients), np.zeros(clients)
    phi_g, phi_l = np.zeros((clients, samples)), np.zeros((clients, samples))  # along each sample's own noise
    out = (1 - theta, theta)
    train = out if joint else (1.0, 1.0)
    for _ in range(rounds):
        alone = (
            2 * (sign * (beta_g + gamma_g)[:, None] + phi_g),
            2 * (sign * (beta_l + gamma_l)[:, None] + phi_l),
        )
        mixed = out[0] * alone[0] + out[1] * alone[1]
        q_g, q_l = (1 / (1 + np.exp(mixed if joint else one)) for one in alone)
        pull_g, pull_l = (sign * q_g).mean(axis=1), (sign * q_l).mean(axis=1)
        beta_g, beta_l = (
            beta_g + 2 * eta * train[0] * a * pull_g.mean(),
            beta_l + 2 * eta * train[1] * a * pull_l,
        )
        gamma_g = gamma_g + 2 * eta * train[0] * b * pull_g / clients
        gamma_l = gamma_l + 2 * eta * train[1] * b * pull_l
        phi_g = phi_g + 2 * eta * train[0] * energy * q_g / (clients * samples)
        phi_l = phi_l + 2 * eta * train[1] * energy * q_l / samples
    signal = 2 * (out[0] * (beta_g + gamma_g) + out[1] * (beta_l + gamma_l))
    own = 2 * (out[0] * phi_g + out[1] * phi_l)
    others = (2 * out[0] * phi_g) ** 2
    # φ is in units of noise vectors of squared length L: the norm of their sum in orthogonal directions
    square = (own**2).sum(axis=1) + others.sum() - others.sum(axis=1)
    return signal / np.sqrt(square / energy)


@pytest.mark.parametrize("scheme", ["joint", "posthoc"])
def test_ratios_with_wrong_labels_follow_every_sample(scheme):
    flips = np.zeros((4, 10), bool)
    for client, wrong in enumerate((0, 1, 2, 4)):
        flips[client, :wrong] = True
    for theta in (0.3, 0.8):
        expected = ratio_by_samples(40, theta, 2e-3, flips, scheme == "joint")
        noisy = EQUAL.replace(label_noise=flips.mean(axis=1))
        found = prediction.predict(noisy, scheme, [40], theta, 2e-3)
        np.testing.assert_array_equal(found.bias, 0)
        np.testing.assert_allclose(found.accuracy, norm.cdf(found.ratio), rtol=1e-14)
        np.testing.assert_allclose(found.ratio[0, 0], expected, rtol=1e-10)


def test_leading_order_is_a_factor():
    theta = np.linspace(0, 1, 5)
    clean, noisy = (
        prediction.predict(UNEQUAL.replace(label_noise=rate), "joint", [1], theta, 1e-7).ratio
        for rate in (0.0, 0.2)
    )
    np.testing.assert_allclose(noisy, 0.6 * clean, rtol=1e-12)


@pytest.mark.parametrize("theta", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.45])
def test_factor_falls_within_its_bounds_along_training(theta, rate):
    rounds = [1, 3, 10, 100, 3000]
    clean, noisy = (
        prediction.predict(EQUAL.replace(label_noise=level), "joint", rounds, theta, 5e-3).ratio
        for level in (0.0, rate)
    )
    factor = (noisy / clean)[:, 0, 0]
    bounds = label_noise.factor_bounds(SYMMETRIC, rate, theta)
    assert (np.diff(factor) < 0).all()
    assert (factor <= bounds.upper + 1e-12).all()
    assert (factor > bounds.lower).all()


def test_factor_approaches_its_lower_bound():
    signal_rate, noise_rate = rate_parts(SYMMETRIC, 1.0).signal, 160.0
    alone = Federation(**LETTERS, sample_counts=[10], label_noise=0.2)
    tau = accumulated(population(alone), "posthoc", [30000], 1.0, 0.02)
    clean, flipped = np.asarray(tau.local_prompt)[0, 0, 0]
    limit = float(label_noise.largest_disparity(0.2, signal_rate, noise_rate))
    assert 0.9 * (limit - 1) < flipped / clean - 1 < limit - 1
    bounds = label_noise.factor_bounds(SYMMETRIC, 0.2, 1.0)
    assert float(label_noise.ratio_factor(0.2, limit)) == pytest.approx(float(bounds.lower))
    assert float(bounds.upper) == pytest.approx(0.6)


def test_noisier_clients_lean_global():
    even = noisy_clients.leading_mixing(UNEQUAL.replace(label_noise=0.2))
    np.testing.assert_allclose(even, posthoc_mixing(UNEQUAL), rtol=1e-12)
    uneven = UNEQUAL.replace(label_noise=[0.2, 0.3, 0.2])
    noisier = noisy_clients.leading_mixing(uneven)
    assert noisier[1] < even[1]
    assert noisier[0] > even[0]
    np.testing.assert_allclose(best_mixing(uneven, "posthoc", 1, 1e-7), noisier, atol=2e-6)


def test_no_wrong_labels_is_one_type():
    none = types_of(UNEQUAL.replace(label_noise=0.1))._replace(fractions=[[1.0, 0.0]] * 3)
    two, one = population(UNEQUAL, none), population(UNEQUAL)
    tau = [accumulated(people, "detached", [5], 0.4, 1e-2) for people in (two, one)]
    assert tau[0].local_prompt.shape == (1, 1, 3, 2)
    assert tau[1].local_prompt.shape == (1, 1, 3, 1)
    clean = predicted_ratio(two, "detached", [0.4], tau[0])[..., 0]
    plain = predicted_ratio(
        UNEQUAL, "detached", [0.4], Accumulated(*(np.asarray(part)[..., 0] for part in tau[1]))
    )
    np.testing.assert_allclose(clean, plain, rtol=1e-12)
    found = prediction.predict(UNEQUAL, "detached", [5], 0.4, 1e-2)
    np.testing.assert_allclose(found.ratio, plain, rtol=1e-12)


def test_wrong_labels_and_a_constant_coordinate_make_four_types():
    both = UNEQUAL.replace(label_noise=[0.0, 0.1, 0.3], class_prior=[0.9, 0.5, 0.2], prior_feature_sq=2.0)
    types = types_of(both)
    np.testing.assert_allclose(np.asarray(types.fractions)[2], [0.14, 0.56, 0.06, 0.24])
    assert np.asarray(types.shared_signs).tolist() == [[1, 1], [1, -1], [-1, -1], [-1, 1]]
    # a flip of every label exchanges the types: the ratio turns its sign, and the bias as well
    flipped = both.replace(label_noise=1 - both.label_noise)
    found, turned = (prediction.predict(one, "joint", [4], [0.3, 0.8], 5e-3) for one in (both, flipped))
    np.testing.assert_allclose(turned.ratio, -found.ratio, rtol=1e-12)
    np.testing.assert_allclose(turned.bias, -found.bias, rtol=1e-12)


# --- class priors (T27) ---


@pytest.mark.parametrize(
    ("ratio", "bias", "prior"), [(0.8, 0.3, 0.9), (1.5, -0.7, 0.6), (0.1, 2.0, 0.2), (3, 0, 1)]
)
def test_accuracy_with_a_bias_counts_both_classes(ratio, bias, prior):
    random = np.random.default_rng(7)
    label = np.where(random.random(400_000) < prior, 1, -1)
    output = label * ratio + bias + random.standard_normal(label.size)
    expected = float(class_priors.accuracy_with_bias(ratio, bias, prior))
    assert (
        abs((label * output > 0).mean() - expected)
        < 5 * np.sqrt(expected * (1 - expected) / label.size) + 1e-12
    )
    parts = class_priors.formula()
    derived = parts.accuracy.subs(dict(zip(parts.symbols, (ratio, bias, prior), strict=True)))
    assert float(derived.evalf()) == pytest.approx(expected)
    step = 1e-5
    slope = np.diff(class_priors.accuracy_with_bias(ratio, [bias - step, bias + step], prior))[0] / (2 * step)
    assert float(class_priors.bias_gain(ratio, bias, prior)) == pytest.approx(slope, rel=1e-6, abs=1e-12)


def test_first_bias_earns_the_priors_bonus():
    assert float(class_priors.bias_gain(0.7, 0.0, 0.8)) == pytest.approx(0.6 * norm.pdf(0.7))


@pytest.mark.parametrize(("ratio", "prior"), [(0.5, 0.9), (1.3, 0.6), (2.0, 0.2)])
def test_best_bias_maximises_the_accuracy(ratio, prior):
    found = minimize_scalar(
        lambda bias: -float(class_priors.accuracy_with_bias(ratio, bias, prior)),
        bounds=(-8, 8),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert float(class_priors.best_bias(ratio, prior)) == pytest.approx(found.x, abs=1e-6)


@pytest.mark.parametrize("norm_sq", [0.0, 1e-30])
def test_without_a_constant_coordinate_priors_do_nothing(norm_sq):
    theta = np.linspace(0, 1, 5)
    kinds = [
        prediction.predict(
            UNEQUAL.replace(class_prior=prior, prior_feature_sq=norm_sq), "joint", [20], theta, 1e-2
        )
        for prior in (0.5, 0.9)
    ]
    np.testing.assert_allclose(kinds[1].ratio, kinds[0].ratio, rtol=1e-12)
    np.testing.assert_allclose(kinds[1].bias, 0, atol=1e-12)
    np.testing.assert_allclose(kinds[1].accuracy, norm.cdf(kinds[0].ratio), rtol=1e-12)


def test_leading_bias_is_the_skew_of_the_data():
    prior = np.array([0.9, 0.5, 0.2])  # the weighted mean skew must not vanish
    skewed = UNEQUAL.replace(class_prior=prior, prior_feature_sq=2.0)
    found = prediction.predict(skewed, "posthoc", [1], [0.0, 1.0], 1e-8)
    weights = np.array([10, 30, 20]) / 60
    share = np.array([0.5, 0.5, 0.5])
    skew = 2 * prior - 1
    rounding = 1e-12 * abs(skew).max()
    for quotient, expected in (
        ((found.bias / found.ratio)[0, 1], 2 * skew / 10),
        ((found.bias / found.ratio)[0, 0], 2 * (weights @ skew) / (3 + 7 * share)),
    ):
        np.testing.assert_allclose(quotient, expected, rtol=1e-7, atol=rounding)


@pytest.mark.parametrize("prior", [(0.9, 0.5, 0.5, 0.5), (0.9,) * 4, (0.7, 0.9, 0.6, 0.5)])
def test_skew_pulls_to_the_side_that_the_condition_says(prior):
    """To leading order, for clients with π > 1/2 and biases below the best one."""
    skewed = EQUAL.replace(noise_dim=4000, class_prior=prior, prior_feature_sq=1.0)
    best = best_mixing(skewed, "posthoc", 1, 1e-8)
    unbiased = float(mixing_from_odds(posthoc_odds(SYMMETRIC)))
    pull, tested = class_priors.leans_local(skewed), np.asarray(prior) > 0.5
    np.testing.assert_array_equal(np.sign(best - unbiased)[tested], np.sign(pull)[tested])


def test_the_pull_of_unequal_clients_is_weighted_by_their_samples():
    """Written out as a loop over clients, with unequal numbers of samples and a common group."""
    skewed = UNEQUAL.replace(class_prior=(0.9, 0.6, 0.2))
    counts, groups, skews = (10, 30, 20), (0, 1, 0), (0.8, 0.2, -0.6)
    a, b = LETTERS["global_feature_sq"], LETTERS["local_feature_sq"]
    bias = sum(count / 60 * skew for count, skew in zip(counts, skews, strict=True))
    for client, pull in enumerate(class_priors.leans_local(skewed)):
        share = sum(counts[j] / 60 for j in range(3) if groups[j] == groups[client])
        # B_L s_G − B_G s_L up to a common factor (T27)
        assert pull == pytest.approx(skews[client] * (a + b * share) - bias * (a + b))


def test_realised_shares_are_trained_on_and_priors_are_tested_on():
    """Training data with shares of their own, as another prior would give; tests keep the clients' priors."""
    biased = UNEQUAL.replace(class_prior=(0.7, 0.5, 0.2), prior_feature_sq=4.0)
    realised = (0.9, 0.4, 0.1)
    found = prediction.predict(biased, "joint", [3], [0.3, 0.7], 1e-3, positive_share=realised)
    trained = prediction.predict(biased.replace(class_prior=realised), "joint", [3], [0.3, 0.7], 1e-3)
    np.testing.assert_allclose(found.ratio, trained.ratio, rtol=1e-12)
    np.testing.assert_allclose(found.bias, trained.bias, rtol=1e-12)
    for client, prior in enumerate((0.7, 0.5, 0.2)):
        ratio, bias = found.ratio[..., client], found.bias[..., client]
        expected = prior * norm.cdf(ratio + bias) + (1 - prior) * norm.cdf(ratio - bias)
        np.testing.assert_allclose(found.accuracy[..., client], expected, rtol=1e-12)


@pytest.mark.parametrize("strength", [1.0, 30.0, 300.0])
def test_an_even_prior_leaves_the_best_mixture_where_accuracies_round_to_one(strength):
    """Without a bias T27's θ* is T15's: 0.368, at ratios of 1.5, 45 and 450."""
    loud = EQUAL.replace(
        noise_dim=4000,
        global_feature_sq=strength * 3,
        local_feature_sq=strength * 7,
        class_prior=0.5,
        prior_feature_sq=1.0,
    )
    np.testing.assert_allclose(best_mixing(loud, "posthoc", 1, 1e-9), 0.368421, atol=2e-6)


@pytest.mark.parametrize("prior", [0.6, 0.9])
@pytest.mark.parametrize("strength", [1.0, 30.0])
def test_best_mixing_with_a_bias_has_the_fewest_errors_in_many_digits(prior, strength):
    loud = EQUAL.replace(
        noise_dim=4000,
        global_feature_sq=strength * 3,
        local_feature_sq=strength * 7,
        class_prior=prior,
        prior_feature_sq=0.2,
    )
    best = best_mixing(loud, "posthoc", 1, 1e-9)
    grid = np.clip(best[0] + np.array([-1e-3, 0.0, 1e-3]), 0, 1)
    found = prediction.predict(loud, "posthoc", [1], grid, 1e-9)
    with mpmath.workdps(60):

        def error(ratio, bias):
            tails = [mpmath.erfc((ratio + side * bias) / mpmath.sqrt(2)) / 2 for side in (1, -1)]
            return prior * tails[0] + (1 - mpmath.mpf(prior)) * tails[1]

        errors = [
            error(mpmath.mpf(ratio), mpmath.mpf(bias))
            for ratio, bias in zip(found.ratio[0, :, 0], found.bias[0, :, 0], strict=True)
        ]
        logarithms = class_priors.log_error_with_bias(found.ratio[0, :, 0], found.bias[0, :, 0], prior)
        np.testing.assert_allclose(logarithms, [float(mpmath.log(each)) for each in errors], rtol=1e-12)
    assert 0 < best[0] < 1
    assert errors[1] < min(errors[0], errors[2])


def test_a_class_that_does_not_occur_makes_no_errors():
    found = class_priors.log_error_with_bias([2.0, 2.0], [1.0, 1.0], [1.0, 0.0])
    np.testing.assert_allclose(found, accuracy.log_error([3.0, 1.0]), rtol=1e-14)


# --- partial participation (T28) ---


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
def test_everybody_taking_part_is_the_symmetric_case(scheme):
    theta, step = np.linspace(0, 1, 5), np.array([[1], [50]])
    found = symmetric_ratio.symmetric_tau(SYMMETRIC, scheme, theta, step, 2e-3, participation=1)
    expected = accumulated(EQUAL, scheme, step[:, 0], theta, 2e-3)
    for value, part in zip(found, expected, strict=True):
        # T10: a discrete margin is above the continuous one by at most ηκ/2, and τ = M/κ
        np.testing.assert_allclose(value, np.asarray(part)[..., 0], rtol=1e-12, atol=1e-3)


def test_joint_rate_is_that_of_the_derivation():
    parts, theta, r = participation.formula(), np.linspace(0, 1, 5), np.array([[0.25], [1.0]])
    derived = as_function(parts.rate_symbols, parts.rate)
    expected = derived(theta, r, global_rate(SYMMETRIC), local_rate(SYMMETRIC))
    np.testing.assert_allclose(joint_rate(SYMMETRIC, theta, r), expected, rtol=1e-14)


@pytest.mark.parametrize("scheme", ["joint", "posthoc", "detached"])
@pytest.mark.parametrize("present", [1, 2, 3])
def test_mean_field_is_the_mean_over_draws(scheme, present):
    """Against explicit draws, client by client, of the symmetric model's margins."""
    random = np.random.default_rng(3)
    theta, eta, rounds, clients = 0.6, 2e-4, 3000, 4
    r, shared, group, own = present / clients, 4 * 3.0, 4 * 7.0, 4 * 400.0 / 10
    tau_g, tau_l = np.zeros(clients), np.zeros(clients)
    out = (1 - theta, theta)
    train = {"joint": out, "posthoc": (1.0, 1.0), "detached": (1.0, theta)}[scheme]
    for _ in range(rounds):
        through_g = train[0] * (shared * tau_g.mean() + (group + own) * tau_g / clients)
        through_l = train[1] * (shared + group + own) * tau_l
        mixed = out[0] * through_g + out[1] * through_l
        seen_g = mixed if scheme == "joint" else through_g
        seen_l = through_l if scheme == "posthoc" else mixed
        here = np.isin(np.arange(clients), random.choice(clients, present, replace=False))
        tau_g = tau_g + here * eta / r / (1 + np.exp(seen_g))
        tau_l = tau_l + here * eta / (1 + np.exp(seen_l))
    found = symmetric_ratio.symmetric_tau(SYMMETRIC, scheme, theta, rounds, eta, participation=r)
    assert float(found.global_prompt) == pytest.approx(tau_g.mean(), rel=0.01)
    assert float(found.local_prompt) == pytest.approx(tau_l.mean(), rel=0.01)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.25])
def test_best_mixing_under_partial_participation(share):
    odds = float(posthoc_odds(SYMMETRIC))
    joint = float(participation.joint_mixing(SYMMETRIC, share))
    for step in (1, 2000):
        found = symmetric_ratio.best_mixing(SYMMETRIC, "joint", step, 1e-3, participation=share)
        assert found == pytest.approx(joint, abs=1e-4)
    early = symmetric_ratio.best_mixing(SYMMETRIC, "posthoc", 1, 1e-7, participation=share)
    assert early / (1 - early) == pytest.approx(odds / share, rel=1e-3)
    late = symmetric_ratio.symmetric_tau(SYMMETRIC, "posthoc", 0.5, 1e300, 1e-3, participation=share)
    limit = float(limiting_odds(SYMMETRIC))
    assert odds * float(late.global_prompt / late.local_prompt) == pytest.approx(limit, rel=2e-2)


def test_posthoc_odds_with_everybody_are_those_of_training_time():
    found = symmetric_ratio.best_mixing(SYMMETRIC, "posthoc", 300, 1e-3, participation=1.0)
    expected = float(mixing_from_odds(posthoc_odds_at(SYMMETRIC, 300, 1e-3)))
    assert found == pytest.approx(expected, abs=1e-4)


def test_draws_raise_noise_energies_by_the_excess():
    """Counts of participation over many runs of independent draws."""
    random = np.random.default_rng(5)
    clients, present, rounds, runs = 4, 1, 12, 20_000
    lots = random.random((runs, rounds, clients)).argsort(axis=-1)
    counts = (lots < present).sum(axis=1)
    measured = (counts**2).mean() / (rounds * present / clients) ** 2
    assert measured == pytest.approx(float(participation.energy_excess(present / clients, rounds)), rel=0.01)


# --- arguments ---


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: label_noise.ratio_factor(0.6), "label_noise"),
        (lambda: label_noise.ratio_factor(0.1, 0.5), "disparity"),
        (lambda: label_noise.largest_disparity(0.1, 1, 0), "noise_rate"),
        (lambda: UNEQUAL.replace(label_noise=1.1), "label_noise"),
        (lambda: UNEQUAL.replace(label_noise=[0.1]), "label_noise"),
        (lambda: class_priors.accuracy_with_bias(0, 0, 1.2), "class_prior"),
        (lambda: class_priors.best_bias(0.0, 0.5), "ratio"),
        (lambda: class_priors.best_bias(1.0, 1.0), "class_prior"),
        (lambda: UNEQUAL.replace(class_prior=[0.5]), "class_prior"),
        (lambda: prediction.predict(UNEQUAL, "joint", [1], 0.5, 0.1, positive_share=[0.5]), "class_prior"),
        (lambda: accumulated(UNEQUAL.replace(label_noise=0.1), "joint", [1], 0.5, 0.1), "federation"),
        (lambda: participation.energy_excess(0.0, 5), "participation"),
        (
            lambda: symmetric_ratio.symmetric_tau(
                SYMMETRIC,
                "both",  # type: ignore[arg-type]
                theta=0.5,
                step=1,
                learning_rate=0.1,
                participation=0.5,
            ),
            "scheme",
        ),
        (
            lambda: symmetric_ratio.symmetric_tau(SYMMETRIC, "detached", 0.5, 1.5, 0.1, participation=0.5),
            "step",
        ),
    ],
)
def test_bad_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=f"`{name}`"):
        call()
