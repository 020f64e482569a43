"""(T24) against Monte Carlo on Gaussian margins, and the step function against brute force."""

# mypy: disable-error-code="call-arg, misc"
# A starred array may fill every position, as far as mypy knows.

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.mixing.accuracy_curve import AccuracySteps, accuracy_steps
from theory.mixing.margin_mixing import (
    cell_errors,
    error_bounds,
    optimal_mixing,
    predicted_error,
    predicted_log_error,
)
from theory.mixing.margin_moments import margin_moments

GRID = np.linspace(0, 1, 501)


def brute_force(logits_global, logits_local, labels, theta):
    mixed = (1 - theta) * logits_global + theta * logits_local
    own = mixed[np.arange(labels.size), labels]
    rivals = np.where(np.arange(mixed.shape[1]) == labels[:, None], -np.inf, mixed).max(axis=1)
    return np.mean(own > rivals)


def draw_pair(random, samples, mean, covariance) -> tuple[np.ndarray, np.ndarray]:
    """Two-class logits whose margins under the two prompts are jointly Gaussian; class 0 is true."""
    margins = random.multivariate_normal(mean, covariance, samples)
    zero = np.zeros(samples)
    return np.stack([margins[:, 0], zero], axis=1), np.stack([margins[:, 1], zero], axis=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(2, 6))
def test_step_function_is_the_brute_force_accuracy(seed, samples, classes):
    random = np.random.default_rng(seed)
    logits = random.standard_normal((2, samples, classes))
    labels = random.integers(classes, size=samples)
    steps = accuracy_steps(*logits, labels)
    np.testing.assert_array_equal(steps.at(GRID), [brute_force(*logits, labels, theta) for theta in GRID])
    assert steps.values.max() >= np.max(steps.at(GRID))
    low, high = steps.best_interval()
    assert brute_force(*logits, labels, (low + high) / 2) == steps.values.max()
    assert 0 <= low < high <= 1


def test_of_equally_long_best_intervals_the_nearest_to_the_middle_of_all_is_taken():
    """Five pieces of one length: the accuracy is best on the first, the third and the fifth."""
    steps = AccuracySteps(np.linspace(0, 1, 6), np.array([1.0, 0, 1, 0, 1]), np.empty(0), np.empty(0), 1)
    assert steps.best_interval() == pytest.approx((0.4, 0.6))
    longer = steps._replace(breakpoints=np.array([0, 0.2, 0.4, 0.6, 0.7, 1.0]))
    assert longer.best_interval() == pytest.approx((0.7, 1.0))


def test_ties_are_errors_and_hopeless_samples_count():
    steps = accuracy_steps([[1.0, 1.0], [0.0, 2.0]], [[3.0, 1.0], [0.0, 1.0]], [0, 0])
    assert steps.at([0.0, 0.5, 1.0]).tolist() == [0.0, 0.5, 0.5]
    assert steps.best_interval() == (0.0, 1.0)


def test_of_nearly_equal_intervals_the_longest_is_taken():
    """The second, hardly shorter, is nearer to the middle of all: 0.39."""
    edges, values = np.array([0, 0.31, 0.4, 0.7, 0.9, 0.95, 1.0]), np.array([1.0, 0, 1, 0, 1, 0])
    steps = AccuracySteps(edges, values, np.empty(0), np.empty(0), 1)
    assert steps.best_interval() == pytest.approx((0.0, 0.31))


def test_the_middle_of_all_theta_weighs_intervals_by_their_length():
    """Two long intervals, a short one below and three tiny ones above: the middle, 0.41, is nearer to the first."""
    edges = [0, 0.08, 0.1, 0.4, 0.5, 0.8, 0.85, 0.852, 0.9, 0.902, 0.95, 0.952, 1.0]
    values = np.array([1.0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0])
    steps = AccuracySteps(np.array(edges), values, np.empty(0), np.empty(0), 1)
    assert steps.best_interval() == pytest.approx((0.1, 0.4))


@pytest.mark.parametrize(
    ("logits_global", "logits_local", "theta", "correct"),
    [
        # the margin falls through zero at ½, and wins below only
        ([1.0, 0.0], [0.0, 1.0], [0.0, 0.25, 0.5, 0.75, 1.0], [1, 1, 0, 0, 0]),
        # it rises through zero at ½
        ([0.0, 1.0], [1.0, 0.0], [0.0, 0.25, 0.5, 0.75, 1.0], [0, 0, 0, 1, 1]),
        # the local prompt ties, and the global one
        ([1.0, 0.0], [0.0, 0.0], [0.0, 0.5, 1.0], [1, 1, 0]),
        ([0.0, 0.0], [1.0, 0.0], [0.0, 0.5, 1.0], [0, 1, 1]),
        # one rival loses above ½ and the other below: both tie there
        ([0.0, 1.0, -1.0], [0.0, -1.0, 1.0], [0.25, 0.5, 0.75], [0, 0, 0]),
        # both prompts tie
        ([1.0, 1.0], [2.0, 2.0], [0.0, 0.5, 1.0], [0, 0, 0]),
        # the global prompt is wrong, the local one ties
        ([0.0, 1.0], [0.0, 0.0], [0.0, 0.5, 1.0], [0, 0, 0]),
    ],
)
def test_a_tie_with_a_rival_is_an_error_at_every_theta(logits_global, logits_local, theta, correct):
    """Exact binary fractions, so that ties are ties; the true class is 0."""
    steps = accuracy_steps([logits_global], [logits_local], [0])
    assert steps.at(theta).tolist() == correct
    labels = np.array([0])
    both = np.array([logits_global]), np.array([logits_local])
    assert [brute_force(*both, labels, value) for value in theta] == correct


def test_predicted_error_agrees_with_monte_carlo():
    # Many samples of few classes, so that the moments are known and only the formula is on trial.
    random = np.random.default_rng(0)
    mean, covariance = [1.0, 1.5], [[1.0, 0.6], [0.6, 4.0]]
    moments = margin_moments(*draw_pair(random, 200_000, mean, covariance), np.zeros(200_000, int))
    fresh = accuracy_steps(*draw_pair(random, 200_000, mean, covariance), np.zeros(200_000, int))
    theta = np.linspace(0, 1, 11)
    # Both estimate the same probability from 200 000 samples: five standard errors of the difference.
    np.testing.assert_allclose(
        predicted_error(moments, theta), 1 - fresh.at(theta), atol=5 * np.sqrt(0.5 / 2e5)
    )
    # Tangency (T15) of the same two assets.
    odds = (1.5 * 1.0 - 1.0 * 0.6) / (1.0 * 4.0 - 1.5 * 0.6)
    assert optimal_mixing(moments).theta == pytest.approx(odds / (1 + odds), abs=0.01)


@pytest.mark.parametrize("distance", [1.0, 10.0, 100.0])
def test_the_best_mixture_is_the_tangency_portfolio_where_errors_round_to_zero(distance):
    """Means ten and a hundred deviations from an error: probabilities underflow, their logarithms do not."""
    random = np.random.default_rng(0)
    margins = random.multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 4.0]], 200)
    margins = np.asarray([1.0, 1.5]) * distance + margins - margins.mean(axis=0)
    first, second = (np.stack([side, np.zeros(200)], axis=1) for side in margins.T)
    moments = margin_moments(first, second, np.zeros(200, int))
    a, c, b = (part[0, 1] for part in (moments.variance_global, moments.covariance, moments.variance_local))
    odds = (1.5 * a - 1.0 * c) / (1.0 * b - 1.5 * c)
    best = optimal_mixing(moments)
    assert best.theta == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert not best.flat
    assert predicted_error(moments, best.theta) == pytest.approx(
        np.exp(predicted_log_error(moments, best.theta))
    )
    assert np.isfinite(predicted_log_error(moments, best.theta))


def test_mixtures_without_errors_are_equally_good():
    """One sample for each class, no spread: every θ below ½ errs never, every θ above always."""
    moments = margin_moments([[2.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [2.0, 0.0]], [0, 1])
    best = optimal_mixing(moments)
    assert best.flat
    assert (best.low, best.high) == (0.0, 0.49)
    assert best.theta == pytest.approx(0.245)
    everywhere = optimal_mixing(margin_moments([[2.0, 0.0]], [[1.0, 0.0]], [0]))
    assert (everywhere.theta, everywhere.low, everywhere.high, everywhere.flat) == (0.5, 0.0, 1.0, True)


def test_clients_and_classes_are_averaged_by_their_samples():
    random = np.random.default_rng(1)
    logits = random.standard_normal((2, 60, 3))
    labels, clients = random.integers(3, size=60), random.integers(4, size=60)
    moments = margin_moments(*logits, labels, clients)
    assert moments.samples.sum() == 60
    errors = cell_errors(moments, [0.3])[0]
    assert predicted_error(moments, 0.3) == pytest.approx(np.average(errors, weights=moments.samples))
    assert len(set(zip(moments.clients, moments.classes, strict=True))) == moments.samples.size
    cell = (moments.clients == 2) & (moments.classes == 1)
    own = logits[0][(clients == 2) & (labels == 1)]
    np.testing.assert_allclose(
        moments.mean_global[cell][0, [0, 2]], (own[:, [1]] - own[:, [0, 2]]).mean(axis=0)
    )


def test_order_of_samples_does_not_matter():
    random = np.random.default_rng(2)
    logits = random.standard_normal((2, 40, 3))
    labels, clients = random.integers(3, size=40), random.integers(4, size=40)
    shuffle = random.permutation(40)
    np.testing.assert_allclose(
        predicted_error(margin_moments(*logits, labels, clients), GRID),
        predicted_error(margin_moments(*logits[:, shuffle], labels[shuffle], clients[shuffle]), GRID),
        rtol=1e-12,
    )


def test_covariance_is_shrunk_to_the_clients_and_then_to_all_clients():
    random = np.random.default_rng(3)
    # Client 0 has one sample per class, so nothing within; client 1 has plenty.
    labels = np.array([0, 1, *[0] * 50, *[1] * 50])
    clients = np.array([0, 0, *[1] * 100])
    logits = random.standard_normal((2, 102, 2)) * [[[1.0]], [[3.0]]]
    moments = margin_moments(*logits, labels, clients, prior_samples=1e-9)
    own = logits[0][2:52] @ [1.0, -1.0]
    assert moments.variance_global[2, 1] == pytest.approx(own.var(ddof=1) * (1 + 1 / 50), rel=1e-6)
    # A lone sample takes the pooled covariance, twice: for the spread of a fresh one and for its own.
    assert moments.variance_global[0, 1] == pytest.approx(2 * own.var(ddof=1), rel=1e-6)
    heavy = margin_moments(*logits, labels, clients, prior_samples=1e12)
    predictive = 1 + 1 / heavy.samples
    np.testing.assert_allclose(
        heavy.variance_local[:, 1][[0, 2]] / predictive[[0, 2]],
        np.var(logits[1][2:52] @ [1.0, -1.0], ddof=1),
        rtol=1e-6,
    )


def test_lone_samples_everywhere_give_a_step_not_nan():
    errors = predicted_error(margin_moments(np.eye(3), 1 - np.eye(3), [0, 1, 2]), [0.0, 0.5, 1.0])
    assert errors.tolist() == [0.0, 0.5, 1.0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0.01, 1e3))
def test_predicted_error_is_a_probability_and_the_optimum_no_worse_than_its_grid(seed, samples, prior):
    random = np.random.default_rng(seed)
    logits = random.standard_normal((2, samples, 4))
    labels, clients = random.integers(4, size=samples), random.integers(3, size=samples)
    moments = margin_moments(*logits, labels, clients, prior)
    assert (moments.covariance**2 <= moments.variance_global * moments.variance_local + 1e-9).all()
    errors = predicted_error(moments, np.linspace(0, 1, 101))
    assert ((errors >= 0) & (errors <= 1)).all()
    best = optimal_mixing(moments)
    assert best.error <= errors.min() * (1 + 1e-12)  # evaluated in another batch, hence in another order
    assert 0 <= best.theta <= 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (([[1.0, 0.0]], [[1.0, 0.0, 0.0]], [0]), "logits_global"),
        (([[1.0]], [[1.0]], [0]), "logits_global"),
        (([[np.nan, 0.0]], [[1.0, 0.0]], [0]), "logits_global"),
        (([[1.0, 0.0]], [[1.0, 0.0]], [2]), "labels"),
        (([[1.0, 0.0]], [[1.0, 0.0]], [0.0]), "labels"),
        (([[1.0, 0.0]], [[1.0, 0.0]], [0, 1]), "labels"),
        (([[1.0, 0.0]], [[1.0, 0.0]], [0], [-1]), "clients"),
        (([[1.0, 0.0]], [[1.0, 0.0]], [0], [0], 0.0), "prior_samples"),
    ],
)
def test_bad_arguments_are_named(arguments, field):
    with pytest.raises(ValueError, match=field):
        margin_moments(*arguments)


def test_bad_theta_is_named():
    moments = margin_moments([[1.0, 0.0]], [[1.0, 0.0]], [0])
    with pytest.raises(ValueError, match="theta"):
        predicted_error(moments, 1.5)
    with pytest.raises(ValueError, match="grid_step"):
        optimal_mixing(moments, grid_step=0)


def test_true_error_lies_between_the_binding_rival_and_the_sum_over_rivals():
    # Many classes and samples, so that the moments are known and only the bounds are on trial.
    random = np.random.default_rng(5)
    samples, classes = 40_000, 6

    def draw():
        noise = random.standard_normal((2, samples, classes))
        noise[1] = 0.5 * noise[0] + noise[1]
        noise[:, :, 0] += [[1.2], [1.5]]
        return noise

    labels = np.zeros(samples, int)
    bounds = error_bounds(margin_moments(*draw(), labels), GRID)
    fresh = 1 - accuracy_steps(*draw(), labels).at(GRID)
    error = 5 * np.sqrt(0.25 / samples)  # five standard errors of the fresh error rate
    assert (bounds.lower <= fresh + error).all()
    assert (fresh <= bounds.upper + error).all()
    assert (fresh > bounds.lower + error).all(), "with many rivals the lower bound is far from the truth"


def test_an_upper_bound_is_at_most_one_for_every_client_and_class():
    """Class 0 loses to both rivals and class 1 to none: half of the samples err, not all."""
    logits = np.array([[0.0, 5.0, 5.0], [0.0, 6.0, 6.0], [0.0, 5.0, 0.0], [0.0, 6.0, 0.0]])
    bounds = error_bounds(margin_moments(logits, logits, [0, 0, 1, 1], prior_samples=1e-3), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(bounds.upper, 0.5, rtol=1e-4)


def test_bounds_meet_for_two_classes():
    random = np.random.default_rng(6)
    logits = random.standard_normal((2, 50, 2))
    bounds = error_bounds(margin_moments(*logits, random.integers(2, size=50)), [0.0, 0.4, 1.0])
    np.testing.assert_allclose(bounds.lower, bounds.upper, rtol=1e-12)


def test_a_class_is_shrunk_towards_its_own_clients_covariance():
    """Two clients of very different spread, both with data, and a moderate prior: each step, written out."""
    random = np.random.default_rng(7)
    spreads, sizes, prior = (1.0, 6.0), ((4, 9), (5, 3)), 3.0
    labels = np.concatenate([np.repeat([0, 1], size) for size in sizes])
    clients = np.repeat([0, 1], [sum(size) for size in sizes])
    margins = np.concatenate(
        [spread * random.standard_normal(sum(size)) for spread, size in zip(spreads, sizes, strict=True)]
    )
    # Two classes: the margin over the one rival is the difference of the logits.
    logits = np.stack([margins / 2, -margins / 2], axis=1) * np.where(labels == 0, 1, -1)[:, None]
    moments = margin_moments(logits, logits, labels, clients, prior_samples=prior)

    def scatter(values):
        return ((values - values.mean()) ** 2).sum()

    cells = {(k, c): margins[(clients == k) & (labels == c)] for k in (0, 1) for c in (0, 1)}
    for c in (0, 1):  # against the rival of class c, which differs between the classes
        freedom = {k: cells[k, c].size - 1 for k in (0, 1)}
        everyone = sum(scatter(cells[k, c]) for k in (0, 1)) / sum(freedom.values())
        for k in (0, 1):
            own = scatter(cells[k, c])
            pooled = (prior * everyone + own) / (prior + freedom[k])
            within = (prior * pooled + own) / (prior + freedom[k])
            expected = within * (1 + 1 / cells[k, c].size)
            cell = (moments.clients == k) & (moments.classes == c)
            assert moments.variance_global[cell][0, 1 - c] == pytest.approx(expected, rel=1e-9)
            to_everyone = (prior * everyone + own) / (prior + freedom[k]) * (1 + 1 / cells[k, c].size)
            assert abs(to_everyone / expected - 1) > 0.05, "the two ways to shrink are told apart"
