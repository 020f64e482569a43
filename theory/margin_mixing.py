"""Mixing on real features: choose θ from the margins of held-out samples (T24).

Problem: for fixed prompts the mixture's logits are (1−θ)·logits_G + θ·logits_L exactly, so every pairwise
margin m_yj (true class y minus rival j) is linear in θ. Which θ errs least on fresh samples of the same
clients?

Statement (T24): with s the mean and (A, C, B) the within-class covariance of (m^G_yj, m^L_yj) per client
and class,

    ratio_yj(θ) = [(1−θ) s^G_yj + θ s^L_yj] / √[(1−θ)² A_yj + 2θ(1−θ) C_yj + θ² B_yj]
    predicted error(θ) = Σ_y n_y max_j Φ(−ratio_yj(θ)) / Σ_y n_y,      θ* = argmin,

the sums running over clients and classes. Beside it stands the exact curve on the given samples: each is
classified correctly on an interval of θ, so their accuracy is a step function of θ.

Bound: with the true moments of Gaussian margins the error is a lower bound (the binding rival alone, no
union over rivals), exact for two classes; the step function is exact. Provenance: derived in this project.

Few samples per client and class. The covariance of a class of n samples has n−1 degrees of freedom, none
for one sample, so it borrows from its relatives as under an inverse-Wishart prior: Σ_kyj = (ν Σ_kj +
S_kyj)/(ν + n−1), with S the class's scatter, and Σ_kj, pooled over the classes of client k, from Σ_j,
pooled over all clients, by the same rule. The estimated mean is uncertain too: a fresh margin deviates
from it with covariance Σ(1 + 1/n), and that is what enters the ratio. ν = `prior_samples` answers how
alike classes are: if true variances vary between classes with relative variance v, the best linear
shrinkage has ν = 2/v.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.arguments import Values, between, finite, positive, result, unit_interval

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]

PRIOR_SAMPLES = 8.0
"""Default ν: margin variances that differ between classes by about half their size (relative variance 1/4).

The choice hardly matters: on real features with one or two validation samples per client and class, the
accuracy lost to the wrong θ varies by 0.03 points between ν = 1 and ν = 1000, and is least near 8."""


class MarginMoments(NamedTuple):
    """Moments of pairwise margins per cell, a cell being a client and a class with at least one sample.

    Attributes:
        samples: n_y, samples of the cell; shape (cells,).
        clients, classes: which client and class a cell is; integers, shape (cells,).
        mean_global, mean_local: s^G, s^L against each rival, in the units of the logits; shape (cells,
            rivals). The class itself is no rival and holds infinity.
        variance_global, covariance, variance_local: A, C, B of a fresh sample's margins about these means,
            in squared units of the logits; shape (cells, rivals).
    """

    samples: Integers
    clients: Integers
    classes: Integers
    mean_global: Reals
    mean_local: Reals
    variance_global: Reals
    covariance: Reals
    variance_local: Reals


class MixingOptimum(NamedTuple):
    """The best θ and the error predicted there."""

    theta: float
    error: float


class AccuracySteps(NamedTuple):
    """Accuracy on given samples as a function of θ, exactly: constant between neighbouring breakpoints.

    Attributes:
        breakpoints: increasing from 0 to 1; shape (pieces + 1,).
        values: accuracy inside each piece, a fraction; shape (pieces,).
        starts, ends: sorted ends of the samples' intervals, from which any θ is answered, breakpoints
            included; infinite where an interval reaches the border of [0, 1]; shape (classifiable,).
        samples: number of samples, those no θ classifies correctly included.
    """

    breakpoints: Reals
    values: Reals
    starts: Reals
    ends: Reals
    samples: int

    def at(self, theta: ArrayLike) -> Values:
        """Accuracy at each θ, of the same shape as `theta`; a tie with a rival counts as an error."""
        mixing = unit_interval("theta", theta)
        begun = np.searchsorted(self.starts, mixing, side="left")
        over = np.searchsorted(self.ends, mixing, side="right")
        return result((begun - over) / self.samples)

    def best_interval(self) -> tuple[float, float]:
        """The longest interval of θ on which the accuracy is greatest (the first of equals)."""
        best = self.values == self.values.max()
        edges = np.diff(best.astype(np.int64), prepend=0, append=0)
        lows, highs = self.breakpoints[edges == 1], self.breakpoints[edges == -1]
        longest = np.argmax(highs - lows)
        return float(lows[longest]), float(highs[longest])


def margin_moments(
    logits_global: ArrayLike,
    logits_local: ArrayLike,
    labels: ArrayLike,
    clients: ArrayLike | None = None,
    prior_samples: float = PRIOR_SAMPLES,
) -> MarginMoments:
    """Moments of every pairwise margin per client and class, covariances shrunk as the module explains (T24).

    Args:
        logits_global, logits_local: logits of held-out samples under the two prompts; shape (samples,
            classes).
        labels: true classes; integers, shape (samples,).
        clients: whose sample it is; integers, shape (samples,). None means that all belong to one client.
        prior_samples: ν > 0, how many degrees of freedom the pooled covariance counts for.

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, no samples, or values out of range.

    Example:
        >>> logits_global, logits_local = [[2.0, 0.0], [4.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]
        >>> moments = margin_moments(logits_global, logits_local, [0, 0], prior_samples=1)
        >>> moments.mean_global.tolist(), moments.variance_global[0, 1].item()
        ([[inf, 3.0]], 3.0)
    """
    margins_global, margins_local, truth = _margins(logits_global, logits_local, labels)
    owner = np.zeros_like(truth) if clients is None else _integers("clients", clients, truth.size)
    prior = float(positive("prior_samples", prior_samples))

    order = np.lexsort((truth, owner))
    owner, truth, margins = owner[order], truth[order], np.stack([margins_global, margins_local])[:, order]
    starts = np.flatnonzero(np.diff(owner, prepend=-1) | np.diff(truth, prepend=-1))
    counts = np.diff(starts, append=truth.size)
    means = np.add.reduceat(margins, starts, axis=1) / counts[:, None]
    deviations = margins - np.repeat(means, counts, axis=1)
    products = np.stack([deviations[0] ** 2, deviations[0] * deviations[1], deviations[1] ** 2])
    scatter = np.add.reduceat(products, starts, axis=1)  # (moment, cells, rivals)

    is_rival = truth[starts][:, None] != np.arange(margins.shape[2])
    freedom = (counts - 1)[:, None] * is_rival
    client_starts = np.flatnonzero(np.diff(owner[starts], prepend=-1))
    cells_of_client = np.diff(client_starts, append=starts.size)
    # Zero where not even all clients together have a class with two samples.
    everyone = scatter.sum(axis=1, keepdims=True) / np.maximum(freedom.sum(axis=0), 1)
    pooled = _shrunk(
        np.add.reduceat(scatter, client_starts, axis=1),
        np.add.reduceat(freedom, client_starts, axis=0),
        everyone,
        prior,
    )
    within = _shrunk(scatter, freedom, np.repeat(pooled, cells_of_client, axis=1), prior)
    predictive = within * (1 + 1 / counts)[:, None]
    means = np.where(is_rival, means, np.inf)
    return MarginMoments(counts, owner[starts], truth[starts], *means, *predictive)


def cell_errors(moments: MarginMoments, theta: ArrayLike) -> Reals:
    """max_j Φ(−ratio_yj(θ)) of every client and class (T24): a fraction, shape (thetas, cells).

    Where both prompts' margins have no spread at all, the ratio's limit is taken: 0, ½ or 1 by the sign of
    the mean.

    Raises:
        ValueError: a θ outside [0, 1].
    """
    from scipy.special import ndtr

    mixing = np.atleast_1d(unit_interval("theta", theta))
    is_rival = np.isfinite(moments.mean_global)
    # Not (1−θ)·∞ + θ·∞ for a class against itself, which is undefined at the end points.
    mean_global, mean_local = (
        np.where(is_rival, mean, 0) for mean in (moments.mean_global, moments.mean_local)
    )
    smallest = np.empty((mixing.size, moments.samples.size))
    for index, local in enumerate(mixing):  # one θ at a time keeps memory at (cells, rivals)
        rest = 1 - local
        mean = np.where(is_rival, rest * mean_global + local * mean_local, np.inf)
        variance = (
            rest**2 * moments.variance_global
            + 2 * rest * local * moments.covariance
            + local**2 * moments.variance_local
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = mean / np.sqrt(np.maximum(variance, 0))
        smallest[index] = np.where(np.isnan(ratio), 0, ratio).min(axis=1)
    answer: Reals = ndtr(-smallest)
    return answer


def predicted_error(moments: MarginMoments, theta: ArrayLike) -> Values:
    """Predicted error rate of the mixture over all clients (T24): a fraction, of the same shape as `theta`.

    Raises:
        ValueError: a θ outside [0, 1].

    Example:
        >>> moments = margin_moments([[2.0, 0.0], [0.0, 2.0]], [[0.0, 2.0], [2.0, 0.0]], [0, 1])
        >>> predicted_error(moments, [0.0, 0.5, 1.0]).tolist()
        [0.0, 0.5, 1.0]
    """
    errors = cell_errors(moments, np.ravel(theta)) @ moments.samples / moments.samples.sum()
    return result(errors.reshape(np.shape(theta)))


def optimal_mixing(moments: MarginMoments, grid_step: float = 0.01) -> MixingOptimum:
    """θ* = argmin of the predicted error (T24): the best point of a grid, refined between its neighbours.

    Args:
        moments: from `margin_moments`.
        grid_step: step of the grid; the curve may have several valleys, and one narrower than this may be
            missed.

    Raises:
        ValueError: a step that is not in (0, 1].
    """
    from scipy.optimize import minimize_scalar

    step = float(between("grid_step", grid_step, 0, 1, open_low=True))
    grid = np.linspace(0, 1, round(1 / step) + 1)
    errors = np.asarray(predicted_error(moments, grid))
    best = int(np.argmin(errors))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)])
    refined = minimize_scalar(
        lambda theta: float(predicted_error(moments, theta)),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-4},
    )
    if refined.fun < errors[best]:
        return MixingOptimum(float(refined.x), float(refined.fun))
    return MixingOptimum(float(grid[best]), float(errors[best]))


def accuracy_steps(logits_global: ArrayLike, logits_local: ArrayLike, labels: ArrayLike) -> AccuracySteps:
    """The mixture's accuracy on the given samples for every θ at once, without a grid (exact, beside T24).

    A sample is correct where all its margins (1−θ) m^G_j + θ m^L_j are positive: an intersection of
    half-lines.

    Args:
        logits_global, logits_local: logits under the two prompts; shape (samples, classes).
        labels: true classes; integers, shape (samples,).

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, no samples, or values out of range.

    Example:
        >>> steps = accuracy_steps([[3.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]], [0, 1])
        >>> steps.breakpoints.tolist(), steps.values.tolist(), steps.best_interval()
        ([0.0, 0.75, 1.0], [1.0, 0.5], (0.0, 0.75))
    """
    at_zero, at_one, truth = _margins(logits_global, logits_local, labels)
    is_rival = truth[:, None] != np.arange(at_zero.shape[1])
    rises, falls = (at_one > 0) & (at_zero <= 0), (at_zero > 0) & (at_one <= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = at_zero / (at_zero - at_one)
    starts = np.where(is_rival & rises, crossing, -np.inf).max(axis=1)
    ends = np.where(is_rival & falls, crossing, np.inf).min(axis=1)
    hopeless = (is_rival & (at_zero <= 0) & (at_one <= 0)).any(axis=1) | (starts >= ends)
    starts, ends = np.sort(starts[~hopeless]), np.sort(ends[~hopeless])
    inner = np.concatenate([starts, ends])
    breakpoints = np.unique(np.concatenate([[0.0, 1.0], inner[(inner > 0) & (inner < 1)]]))
    steps = AccuracySteps(breakpoints, np.empty(0), starts, ends, truth.size)
    return steps._replace(values=np.asarray(steps.at((breakpoints[1:] + breakpoints[:-1]) / 2)))


def _margins(
    logits_global: ArrayLike, logits_local: ArrayLike, labels: ArrayLike
) -> tuple[Reals, Reals, Integers]:
    """Margins of the true class over every class under both prompts, (samples, classes), and the labels."""
    both = [finite("logits_global", logits_global), finite("logits_local", logits_local)]
    shape = both[0].shape
    if len(shape) != 2 or shape[0] < 1 or shape[1] < 2 or both[1].shape != shape:
        raise ValueError(
            f"`logits_global` and `logits_local` have shapes {shape} and {both[1].shape}; allowed: the same"
            " (samples, classes) with at least one sample and two classes"
        )
    truth = _integers("labels", labels, shape[0])
    between("labels", truth, 0, shape[1] - 1)
    own = (np.arange(shape[0]), truth)
    return both[0][own][:, None] - both[0], both[1][own][:, None] - both[1], truth


def _integers(name: str, value: ArrayLike, size: int) -> Integers:
    values = np.asarray(value)
    if values.shape != (size,) or not np.issubdtype(values.dtype, np.integer) or values.min() < 0:
        raise ValueError(f"`{name}` has shape {values.shape}; allowed: one nonnegative integer per sample")
    return values.astype(np.int64)


def _shrunk(scatter: Reals, freedom: Integers, target: Reals, prior: float) -> Reals:
    return (prior * target + scatter) / (prior + freedom)
