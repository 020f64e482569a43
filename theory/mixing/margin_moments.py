"""Moments of pairwise margins, from few held-out samples per client and class (T24, moments).

Statement (T24, moments): a class of n samples with scatter S (summed products of deviations) has f = n−1
degrees of freedom. Its covariance is shrunk to that of its relatives, Σ_kyj = (ν Σ_kj + S_kyj)/(ν + f), with
Σ_kj, pooled over the classes of client k, shrunk to Σ_j, pooled over all clients, by the same rule. If variances
vary between classes with relative variance v, the best linear shrinkage has ν = 2/v. A fresh margin deviates
from the estimated mean with covariance Σ(1 + 1/n).

ν = `prior_samples` answers how alike classes are; it is the linear shrinkage that an inverse-Wishart prior gives.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.numerics.validation import between, finite, positive
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.gaussian import expectation

RESULT = Result(
    tag="T24 (moments)",
    title="Moments of margins from few samples",
    problem="What is the covariance of a fresh margin about the mean of few samples of its class?",
    assumptions=(
        "Gaussian margins within a client and class.",
        "The pooled covariance is known far better than the class's own.",
    ),
    bound="exact",
    sources=(
        "Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of"
        " Multivariate Analysis 88 (linear shrinkage)",
    ),
)


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


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (S, f, Σ_0, ν, V, n), the shrunk covariance and that of a fresh margin.

    >>> symbols, shrunk, fresh = formula()
    >>> shrunk.subs(symbols[1], 0).subs(symbols[0], 0)
    Sigma_0
    """
    import sympy

    scatter, target = sympy.symbols("S Sigma_0", real=True)
    freedom, prior, covariance, samples = sympy.symbols("f nu V n", positive=True)
    shrunk = (prior * target + scatter) / (prior + freedom)
    fresh = covariance * (1 + 1 / samples)
    return (scatter, freedom, target, prior, covariance, samples), shrunk, fresh


@cache
def derivation() -> Derivation:
    """Derive the best linear shrinkage of a variance, and the spread of a fresh margin about a mean."""
    import sympy

    (scatter, freedom, target, prior, covariance, samples), shrunk, fresh = formula()
    i, count = sympy.symbols("i n", integer=True, positive=True)
    weight, between_classes = sympy.symbols("w v", positive=True)
    x = sympy.Symbol("x", real=True)
    fourth = expectation((x**2 - covariance) ** 2, x, sympy.sqrt(covariance))
    error = sympy.Symbol("epsilon", positive=True)
    error_of = eq(error, weight**2 * (2 / freedom) + (1 - weight) ** 2 * between_classes)
    best = eq(weight, freedom / (freedom + 2 / between_classes))
    combined = eq(weight * scatter / freedom + (1 - weight) * target, shrunk)
    spread = eq(covariance + sympy.Sum(covariance, (i, 1, count)) / count**2, fresh.subs(samples, count))
    steps = (
        Step.identity(
            "The square of a Gaussian deviation has mean V and variance 2V², so the mean of f such squares has "
            "relative variance 2/f.",
            eq(fourth, 2 * covariance**2),
        ),
        Step.assumed(
            "Weight w on the class's own estimate S/f and 1−w on the pooled one, which errs by the classes' "
            "relative variance v, gives this squared error.",
            error_of,
        ),
        Step.root("It is least at w = f/(f + 2/v) …", best, eq(sympy.diff(error_of.rhs, weight), 0)),
        Step.sign(
            "… a minimum, as the error curves upwards.",
            relation(">", sympy.Derivative(error_of.rhs, weight, 2), 0),
        ),
        Step.identity(
            "With ν = 2/v the combination is the shrunk covariance, where f has cancelled (so it may be zero).",
            combined,
            best,
            eq(between_classes, 2 / prior),
        ),
        Step.modelled("A fresh margin and a mean over n independent ones: their variances add.", spread),
    )
    return Derivation(RESULT, statement=(combined, spread), steps=steps)


def margin_moments(
    logits_global: ArrayLike,
    logits_local: ArrayLike,
    labels: ArrayLike,
    clients: ArrayLike | None = None,
    prior_samples: float = PRIOR_SAMPLES,
) -> MarginMoments:
    """Moments of every pairwise margin per client and class, with shrunk covariances (T24, moments).

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
    margins_global, margins_local, truth = pairwise_margins(logits_global, logits_local, labels)
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
    symbols, shrunk, fresh = formula()
    shrink = as_function(symbols[:4], shrunk)
    freedom = (counts - 1)[:, None] * is_rival
    client_starts = np.flatnonzero(np.diff(owner[starts], prepend=-1))
    cells_of_client = np.diff(client_starts, append=starts.size)
    # Zero where not even all clients together have a class with two samples.
    everyone = scatter.sum(axis=1, keepdims=True) / np.maximum(freedom.sum(axis=0), 1)
    pooled = shrink(
        np.add.reduceat(scatter, client_starts, axis=1),
        np.add.reduceat(freedom, client_starts, axis=0),
        everyone,
        prior,
    )
    within = shrink(scatter, freedom, np.repeat(pooled, cells_of_client, axis=1), prior)
    predictive = as_function(symbols[4:], fresh)(within, counts[:, None])
    means = np.where(is_rival, means, np.inf)
    return MarginMoments(counts, owner[starts], truth[starts], *means, *predictive)


def pairwise_margins(
    logits_global: ArrayLike, logits_local: ArrayLike, labels: ArrayLike
) -> tuple[Reals, Reals, Integers]:
    """Margins of the true class over every class under both prompts, (samples, classes), and the labels.

    Args:
        logits_global, logits_local: logits under the two prompts; shape (samples, classes).
        labels: true classes; integers, shape (samples,).

    Raises:
        ValueError: shapes that do not fit, fewer than two classes, no samples, or values out of range.

    Example:
        >>> margins_global, _, _ = pairwise_margins([[3.0, 1.0]], [[0.0, 1.0]], [0])
        >>> margins_global.tolist()
        [[0.0, 2.0]]
    """
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
