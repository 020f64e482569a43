"""T23 against enumeration, a general optimiser, isotonic regression and the two-asset results."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import isotonic_regression

from theory.mixing import advantage, joint_law, leading_order, per_client, tangency
from theory.mixing.joint_weights import joint_weights
from theory.mixing.many_assets import formula, mixture_ratio, optimal_ratio, optimal_weights, with_entries
from theory.mixing.nested_assets import nested_moments, three_level_weights
from theory.model.federation import EqualClients, Federation

seeds = st.integers(0, 2**31 - 1)


def random_assets(seed: int, assets: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Signals of any sign, one of them positive, and noise vectors of very different lengths."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(*shape, assets, assets + 2)) * 10 ** random.uniform(
        -2, 2, (*shape, assets, 1)
    )
    signals = random.normal(1, 2, (*shape, assets))
    signals[..., 0] = abs(signals[..., 0]) + 0.1
    return signals, vectors @ vectors.swapaxes(-2, -1)


def best_by_enumeration(signals: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, float]:
    """Σ⁻¹s of every set of assets; the best of those that are not negative."""
    best, value = np.zeros_like(signals), 0.0
    for size in range(1, signals.size + 1):
        for kept in map(list, itertools.combinations(range(signals.size), size)):
            raw = np.linalg.solve(gram[np.ix_(kept, kept)], signals[kept])
            if np.all(raw >= 0) and raw @ signals[kept] > value:
                best, value = np.zeros_like(signals), float(raw @ signals[kept])
                best[kept] = raw / raw.sum()
    return best, float(np.sqrt(value))


@given(seeds, st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_weights_and_ratio_are_the_best_of_all_supports(seed: int, assets: int) -> None:
    signals, gram = random_assets(seed, assets)
    weights, ratio = best_by_enumeration(signals, gram)
    assert_allclose(optimal_ratio(signals, gram), ratio, rtol=1e-7)
    assert_allclose(mixture_ratio(optimal_weights(signals, gram), signals, gram), ratio, rtol=1e-7)
    assert_allclose(optimal_weights(signals, gram), weights, atol=1e-6)


@pytest.mark.parametrize("noise_std", [0.5, 3.0])
def test_ratios_are_in_units_of_the_noise(noise_std: float) -> None:
    """Noise vectors written out, with coordinates of standard deviation σ_p."""
    random = np.random.default_rng(11)
    vectors, signals = random.normal(size=(3, 5)), np.array([1.0, 1.5, 2.0])
    gram, weights = vectors @ vectors.T, np.array([0.2, 0.3, 0.5])
    expected = weights @ signals / (noise_std * np.linalg.norm(weights @ vectors))
    assert_allclose(mixture_ratio(weights, signals, gram, noise_std), expected)
    best = best_by_enumeration(signals, gram)[1] / noise_std
    assert_allclose(optimal_ratio(signals, gram, noise_std), best)
    assert_allclose(optimal_ratio(signals, gram, [noise_std, 2 * noise_std]), [best, best / 2])


def test_joint_weights_of_several_mixtures_are_those_of_each() -> None:
    several = np.random.default_rng(12).uniform(0, 1, (2, 4, 3))
    for row in np.ndindex(2, 4):
        roots = [weight**0.5 for weight in several[row]]
        assert_allclose(joint_weights(several)[row], np.array(roots) / sum(roots))


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_conditions_of_karush_kuhn_and_tucker(seed: int) -> None:
    signals, gram = random_assets(seed, 4)
    weights = optimal_weights(signals, gram)
    assert_allclose(weights.sum(), 1)
    assert np.all(weights >= 0)
    # scaled so that the signal equals the variance, (Σw)_i ≥ s_i with equality wherever w_i > 0
    scaled = weights * (weights @ signals) / (weights @ gram @ weights)
    slack = (gram @ scaled - signals) / np.sqrt(np.diag(gram))
    size = np.sqrt(scaled @ signals)
    assert np.all(slack >= -1e-7 * size)
    assert_allclose(slack[weights > 0] / size, 0, atol=1e-7)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_no_portfolio_is_better(seed: int) -> None:
    signals, gram = random_assets(seed, 4)
    others = np.random.default_rng(seed).dirichlet(np.full(4, 0.5), 200)
    best = optimal_ratio(signals, gram, 0.7)
    assert np.all(mixture_ratio(others, signals, gram, 0.7) <= best * (1 + 1e-9))


@given(st.floats(-3, 9), st.floats(0.1, 9), st.floats(0.1, 9), st.floats(0.1, 9), st.floats(-0.95, 0.95))
@settings(max_examples=100, deadline=None)
def test_two_assets_are_the_tangency_mixing(
    s_global: float, s_local: float, a: float, b: float, rho: float
) -> None:
    c = rho * np.sqrt(a * b)
    theta = tangency.optimal_mixing(s_global, s_local, a, b, c)
    weights = optimal_weights([s_global, s_local], [[a, c], [c, b]])
    assert_allclose(weights, [1 - theta, theta], atol=1e-9)
    if s_global > 0:
        squared = advantage.optimal_ratio_squared(s_global / np.sqrt(a), s_local / np.sqrt(b), rho)
        assert_allclose(optimal_ratio([s_global, s_local], [[a, c], [c, b]]) ** 2, squared, rtol=1e-9)


def test_leading_axes_broadcast() -> None:
    signals, gram = random_assets(0, 3, 4, 2)
    weights = optimal_weights(signals, gram)
    assert weights.shape == (4, 2, 3)
    assert_allclose(weights[2, 1], optimal_weights(signals[2, 1], gram[2, 1]), atol=1e-9)
    assert optimal_ratio(signals[0, 0], gram).shape == (4, 2)


def test_formula_is_the_numeric_solution() -> None:
    signals, gram = random_assets(3, 3)
    explicit = with_entries(formula()[1][0], gram.tolist(), signals.tolist())
    assert_allclose(np.ravel(explicit).astype(float), np.linalg.solve(gram, signals), rtol=1e-7)


@given(st.floats(0.02, 0.98))
@settings(deadline=None)
def test_joint_weights_of_two_prompts_are_the_square_root_law(theta: float) -> None:
    joint = joint_law.joint_mixing(theta / (1 - theta))
    assert_allclose(joint_weights([1 - theta, theta]), [1 - joint, joint])


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_joint_weights_maximise_over_squared_weights(seed: int) -> None:
    signals, gram = random_assets(seed, 3)
    best = joint_weights(optimal_weights(signals, gram))
    others = np.random.default_rng(seed).dirichlet(np.ones(3), 200)
    reached = mixture_ratio(best**2, signals, gram)
    assert np.all(mixture_ratio(others**2, signals, gram) <= reached * (1 + 1e-9))


# --- nested levels ---

FEATURES = {"global_feature_sq": 2.0, "local_feature_sq": 9.0, "noise_dim": 400}


def nested(seed: int) -> tuple[Federation, list[np.ndarray], np.ndarray]:
    """A federation with unequal data, clusters of clusters, and its clients' sample counts by level."""
    random = np.random.default_rng(seed)
    counts, groups = random.integers(1, 20, 8), random.integers(0, 3, 8)
    fine = np.arange(8) // 2
    federation = Federation(**FEATURES, sample_counts=counts, groups=groups)
    levels = [np.zeros(8, int), fine // 2, fine, np.arange(8)]
    return (
        federation,
        [fine // 2, fine],
        np.array([[counts[level == level[k]].sum() for level in levels] for k in range(8)]),
    )


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_nested_weights_are_a_concave_majorant(seed: int) -> None:
    """The steps between levels are independent, so w ≥ 0 asks for falling slopes: isotonic regression."""
    federation, clusters, counts = nested(seed)
    moments = nested_moments(federation, clusters)
    for signals, gram, held in zip(moments.signals, moments.gram, counts, strict=True):
        assert_allclose(gram, 1 / np.maximum.outer(held, held))
        variance = np.diff(1 / held, prepend=0)
        slopes = np.diff(signals, prepend=0) / variance
        falling = isotonic_regression(slopes, weights=variance, increasing=False).x.clip(min=0)
        weights = -np.diff(falling, append=0)
        assert_allclose(optimal_weights(signals, gram), weights / weights.sum(), atol=1e-7)
        assert_allclose(optimal_ratio(signals, gram) ** 2, np.sum(falling**2 * variance), rtol=1e-9)


def test_two_levels_are_the_moments_of_t22() -> None:
    federation = Federation(**FEATURES, sample_counts=[6, 10, 20, 40], groups=[0, 1, 0, 2])
    moments = nested_moments(federation, clusters=[])
    pair = per_client.moments(federation)
    assert_allclose(moments.signals, np.stack([pair.signal_global, pair.signal_local], axis=1))
    assert_allclose(moments.gram[:, 0, 0], pair.noise_global)
    assert_allclose(moments.gram[:, 1, 1], pair.noise_local)
    assert_allclose(moments.gram[:, 0, 1], pair.noise_cross)
    assert_allclose(optimal_weights(*moments)[:, 1], per_client.posthoc_mixing(federation), atol=1e-12)


def test_partitions_that_cross_share_only_common_samples() -> None:
    federation = Federation(**FEATURES, sample_counts=[1, 2, 3, 4], groups=[0] * 4)
    moments = nested_moments(federation, clusters=[[0, 0, 1, 1], [0, 1, 0, 1]])
    # client 0 averages over {0, 1} and over {0, 2}; its own sample is all that they share
    assert_allclose(moments.gram[0, 1, 2], 1 / (3 * 4))


EQUAL = EqualClients(**FEATURES, clients=12, samples=1, group_size=2)


@pytest.mark.parametrize(
    ("clusters", "size", "own"),
    [
        ([k // 4 for k in range(12)], 4, 2),
        ([k // 2 for k in range(12)], 2, 2),
        ([k % 3 for k in range(12)], 4, 1),
    ],
)
def test_equal_clients_follow_from_the_moments(clusters: list[int], size: int, own: int) -> None:
    moments = nested_moments(EQUAL.federation(), clusters=[clusters])
    raw = three_level_weights(EQUAL, cluster_size=size, group_in_cluster=own)
    for signals, gram in zip(*moments, strict=True):
        assert_allclose(np.linalg.solve(gram, signals), raw, atol=1e-9)


def test_when_each_prompt_counts() -> None:
    equal = EqualClients(**FEATURES, clients=21, samples=10)
    # (c−1)/(Q−1) against (χ−1)/(K−1): equal for c = 2, χ = 5, a cluster that is a fair sample of the clients
    fair = three_level_weights(equal.replace(group_size=5), cluster_size=6, group_in_cluster=[1, 2, 3])
    assert np.sign(fair[:, 1].round(12)).tolist() == [-1, 0, 1]
    assert np.all(fair[:, [0, 2]] > 0)
    inside = three_level_weights(equal.replace(group_size=9), cluster_size=6, group_in_cluster=6)
    assert inside[2] == 0
    # the other two mix as the clusters' and the federation's prompts of T17 do
    odds = leading_order.posthoc_odds(equal.replace(clients=21 / 6, group_size=9 / 6))
    assert_allclose(inside[1] / inside[0], odds)
    alone = three_level_weights(equal, cluster_size=6, group_in_cluster=1)
    assert_allclose(alone[1], 0, atol=1e-12)
    assert_allclose(alone[2] / alone[0], leading_order.posthoc_odds(equal), rtol=1e-12)


GOOD = np.eye(2)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: optimal_weights([-1.0, 0.0], GOOD), "no positive entry"),
        (lambda: optimal_weights([1.0, np.nan], GOOD), "`signals` is nan"),
        (lambda: optimal_weights([1.0, 1.0], [[1.0, 0.5], [0.4, 1.0]]), "not symmetric"),
        (lambda: optimal_weights([1.0, 1.0], [[1.0, 1.0], [1.0, 1.0]]), "not positive definite"),
        (lambda: optimal_weights([1.0, 1.0, 1.0], GOOD), "`gram` has shape"),
        (lambda: optimal_ratio([1.0, 1.0], GOOD, 0.0), "noise_std"),
        (lambda: mixture_ratio([np.inf, 1.0], [1.0, 1.0], GOOD), "`weights` is inf"),
        (lambda: joint_weights([0.0, 0.0]), "all 0.0"),
        (lambda: joint_weights([0.5, -0.5]), "`weights` is -0.5"),
        (
            lambda: nested_moments(Federation(**FEATURES, sample_counts=[1, 1]), clusters=[[0]]),
            "`clusters`",
        ),
        (
            lambda: nested_moments(Federation(**FEATURES, sample_counts=[0, 1]), clusters=[]),
            "`sample_counts`",
        ),
        (lambda: three_level_weights(EQUAL, cluster_size=4, group_in_cluster=3), "`group_size`"),
        (lambda: three_level_weights(EQUAL, cluster_size=4, group_in_cluster=5), "`group_in_cluster`"),
    ],
)
def test_bad_arguments_are_named(call, match) -> None:
    with pytest.raises(ValueError, match=match):
        call()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_identical_prompts_are_refused_whatever_their_scale(scale):
    vector = np.random.default_rng(0).normal(size=(2, 40))
    noise = np.stack([vector[0], scale * vector[1], scale * vector[1]])
    with pytest.raises(ValueError, match="not positive definite"):
        optimal_weights([1.0, 2.0, 3.0], noise @ noise.T)
    apart = np.stack([vector[0], scale * vector[1]])
    assert optimal_weights([1.0, scale], apart @ apart.T).shape == (2,)
