"""Unequal class priors: what a prompt learns of them, and what that is worth (T27).

Statement (T27): in the model T1 it does not: training sees only y g = [1, 1{…}, y x], whose law is the same for
every π. It does once the image has a coordinate that is 1 for both classes, read by an encoder row of squared
norm c_0: a prompt then learns a bias B = H_0, and

    accuracy_k = π Φ(R + B/v) + (1−π) Φ(R − B/v),      R = s/v, v = σ_p ‖H_ξ‖.

To leading order B = 4 c_0 τ (2π_k − 1) for a local prompt, and the weighted mean of that over clients for the
global one. For a client with π > 1/2 accuracy grows with B/v at the rate (2π−1) φ(R) at first, up to
B/v = log(π/(1−π))/(2R): the prior's bonus. At the mixture with the best ratio it pays to lean further to the local
prompt iff B_L s_G > B_G s_L, to leading order iff (2π_k−1)(a + bχ/K) > (a + b) Σ_j p_j (2π_j−1). A skew of one's
own pulls to the local prompt, if clients share something; a skew that all clients have pulls to the global one.

Predictions for any scheme and time: `theory.extensions.prior_prediction`.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from theory.dynamics import client_margins, predicted_ratio
from theory.model import accuracy
from theory.model.federation import Federation
from theory.numerics.validation import ArrayLike, Values, between, finite, positive, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.gaussian import density, expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T27",
    title="Unequal class priors",
    problem="What does a prompt learn of its data's class prior, and what is that worth?",
    assumptions=(
        "Gaussian irrelevant coordinates, independent of the class.",
        "A coordinate that is 1 in every image, for all but the invariance.",
        "Linear band, near-orthogonal noise and first order in time for the leading-order bias.",
    ),
    bound="exact",
    uses=("T1", "T5", "T7", "T12", "T14", "T15"),
)


class Expressions(NamedTuple):
    """T27 as SymPy expressions of (R, B/v, π): accuracy, its slope in B/v; and the best B/v, of (R, π)."""

    symbols: tuple[Formula, ...]
    accuracy: Formula
    gain: Formula
    best: Formula


@cache
def formula() -> Expressions:
    """Return the accuracy with a bias from T7's Φ for each class, its slope in the bias, and where that vanishes.

    >>> parts = formula()
    >>> parts.accuracy.subs(dict(zip(parts.symbols, (0, 0, 1))))
    1/2
    """
    import sympy

    R, bias = sympy.symbols("R B_v", real=True)
    prior = sympy.Symbol("pi_k", positive=True)
    argument, normal = accuracy.formula()
    mean = prior * normal.subs(argument, R + bias) + (1 - prior) * normal.subs(argument, R - bias)
    slope = sympy.factor(sympy.diff(mean, bias))
    # the slope vanishes where both classes' densities, weighted by their shares, agree
    best = sympy.log(prior / (1 - prior)) / (2 * R)
    return Expressions((R, bias, prior), mean, slope, best)


@cache
def derivation() -> Derivation:
    """Derive T27: invariance, bias, accuracy, what a bias is worth, and where it pulls the best mixture."""
    import sympy

    at, parts = letters(), formula()
    R, bias, prior = parts.symbols
    x, s, B, u = sympy.symbols("x s B u", real=True)
    v, norm, odd, plus, minus = sympy.symbols("v c_0 h tau_+ tau_-", positive=True)
    above_half = eq(prior, (1 + odd / (1 + odd)) / 2)
    mixture = predicted_ratio.formula()
    w_global, w_local, row, sign, _, pull_local = mixture.signal_symbols
    signed = prior * plus - (1 - prior) * minus
    rows, relevant, _, _ = client_margins.formula()
    by_types = sum(
        relevant.subs(dict(zip(rows, (norm, 1, other, 1, share), strict=True)), simultaneous=True) * level
        for other, share, level in ((1, prior, plus), (-1, 1 - prior, minus))
    )
    B_local = sympy.Symbol("B_L", real=True)
    alone = mixture.signal.subs({w_global: 0, w_local: 1, row: norm, sign: 1, pull_local: signed})
    learned = eq(B_local, 4 * norm * at.tau * (2 * prior - 1))
    right = sympy.Symbol("accuracy_k")
    argument, phi = accuracy.formula()
    by_class = prior * phi.subs(argument, (s + B) / v) + (1 - prior) * phi.subs(argument, (s - B) / v)
    root = sympy.sqrt(2) * v
    statement = eq(
        right, (1 + prior * sympy.erf((s + B) / root) + (1 - prior) * sympy.erf((s - B) / root)) / 2
    )
    in_ratio = parts.accuracy.subs({R: s / v, bias: B / v}, simultaneous=True)
    training = Lemma(
        "The prior enters training only through a constant coordinate",
        (
            Step.identity(
                "Training sees y g = [1, 1{…}, y x] only, and y x is x for one class, −x for the other. Its moment "
                "generating function over both does not involve π: the law of training is that of every prior.",
                eq(
                    prior * expectation(sympy.exp(u * x), x, at.sigma)
                    + (1 - prior) * expectation(sympy.exp(-u * x), x, at.sigma),
                    sympy.exp(u**2 * at.sigma**2 / 2),
                ),
            ),
            Step.modelled(
                "A coordinate that is always 1 has y·1 = y: classes are types of samples with signs ±1 on it, and "
                "act through their signed mean (T12).",
                eq(by_types, 4 * norm * signed),
            ),
            Step.identity(
                "The local prompt's output on it (T14); to leading order both classes have the same τ.",
                learned,
                eq(B_local, alone),
                eq(plus, at.tau),
                eq(minus, at.tau),
            ),
        ),
    )
    by_bias = Lemma(
        "Accuracy with a bias",
        (
            Step.identity(
                "A fresh sample with y = −1 has the output N(−s + B, v²) and is right below 0: mirrored, "
                "N(s − B, v²) above 0.",
                eq(density(-x, v, -s + B), density(x, v, s - B)),
            ),
            Step.identity(
                "One with y = 1 has N(s + B, v²); T7 gives the chance of each to be right.",
                statement,
                eq(right, by_class),
            ),
            Step.identity(
                "The form of it that is evaluated, with R = s/v and the bias in units of v.",
                eq(right, in_ratio),
                statement,
            ),
        ),
        (statement,),
    )

    normal = density(R, sympy.Integer(1))
    slope = sympy.Derivative(parts.accuracy, bias)
    bonus = eq(sympy.Subs(slope, bias, 0), (2 * prior - 1) * normal)
    bracket = prior * sympy.exp(-R * bias) - (1 - prior) * sympy.exp(R * bias)
    best = eq(bias, parts.best)
    level, rival = sympy.symbols("R B_v", positive=True)
    worth = Lemma(
        "What a bias is worth",
        (
            Step.identity("A first small bias earns this …", bonus),
            Step.sign(
                "… which is positive for π > 1/2: the prior's bonus.", relation(">", bonus.rhs, 0), above_half
            ),
            Step.identity(
                "Any further bias earns a positive factor times a bracket …",
                eq(slope, sympy.exp(-(R**2 + bias**2) / 2) / sympy.sqrt(2 * sympy.pi) * bracket),
            ),
            Step.sign(
                "… that falls with the bias while R > 0 …",
                relation("<", sympy.Derivative(bracket.subs({R: level, bias: rival}), rival), 0),
                above_half,
            ),
            Step.root("… and vanishes at the best bias.", best, eq(bracket, 0)),
        ),
        (bonus, best),
    )

    theta = sympy.Symbol("theta", real=True)
    outer, inner, risk = (sympy.Function(name)(theta) for name in ("w_G", "w_L", "v"))
    s_global, s_local, B_global = sympy.symbols("s_G s_L B_G", real=True)
    signal, mixed = outer * s_global + inner * s_local, outer * B_global + inner * B_local
    stationary = eq(sympy.Derivative(risk, theta), risk * sympy.diff(signal, theta) / signal)
    wronskian = outer * sympy.diff(inner, theta) - inner * sympy.diff(outer, theta)
    surplus = B_local * s_global - B_global * s_local
    pull = eq(sympy.Derivative(mixed / risk, theta), wronskian * surplus / (signal * risk))
    own, mean = sympy.symbols("d_k d", real=True)
    unit = 4 * at.tau
    at_first = (
        eq(B_local, unit * norm * own),
        eq(B_global, unit * norm * mean),
        eq(s_local, unit * (at.a + at.b)),
        eq(s_global, unit * (at.a + at.b * at.chi / at.K)),
    )
    lean = own * (at.a + at.b * at.chi / at.K) - mean * (at.a + at.b)
    condition = eq(surplus, unit**2 * norm * lean)
    skew, more, extra = sympy.symbols("d x_1 x_2", positive=True)
    leaning = Lemma(
        "Where the bias pulls the best mixture",
        (
            Step.root(
                "At the mixture with the best ratio R' = 0, that is v'/v = s'/s.",
                stationary,
                eq(sympy.diff(signal / risk, theta), 0),
            ),
            Step.identity(
                "There the bias per risk changes with θ like this. The weight ratio w_L/w_G grows with θ, so the "
                "sign is that of B_L s_G − B_G s_L.",
                pull,
                stationary,
            ),
            Step.identity(
                "To leading order that is, with d_k = 2π_k − 1 and d its mean,", condition, *at_first
            ),
            Step.sign(
                "A skew that all clients have (both d equal) pulls to the global prompt, if χ < K …",
                relation("<", lean.subs({own: skew, mean: skew}), 0),
                eq(at.K, at.chi + more),
            ),
            Step.sign(
                "… one that only client k has pulls to its local prompt, if clients share something (here χ ≥ 1).",
                relation(">", lean.subs({own: skew, mean: skew / at.K}), 0),
                eq(at.chi, 1 + extra),
                eq(at.K, 1 + more),
            ),
        ),
        (pull, condition),
    )
    lemmas = (training, by_bias, worth, leaning)
    return Derivation(RESULT, statement=(statement, bonus, best, pull, condition), lemmas=lemmas)


def accuracy_with_bias(ratio: ArrayLike, bias: ArrayLike, class_prior: ArrayLike) -> Values:
    """Return the test accuracy π Φ(R + B/v) + (1−π) Φ(R − B/v) (T27).

    Let R be `ratio`, B/v `bias` (the bias in units of the risk v = σ_p ‖H_ξ‖) and π `class_prior`; they broadcast.

    Raises:
        ValueError: a ratio or bias that is not finite, π outside [0, 1].

    >>> float(accuracy_with_bias(0.0, 10.0, 0.75).round(6))
    0.75
    """
    R, shift, prior = finite("ratio", ratio), finite("bias", bias), unit_interval("class_prior", class_prior)
    return result(prior * ndtr(R + shift) + (1 - prior) * ndtr(R - shift))


def log_error_with_bias(ratio: ArrayLike, bias: ArrayLike, class_prior: ArrayLike) -> Values:
    """Return the natural logarithm of the test error π Φ(−R − B/v) + (1−π) Φ(B/v − R), without underflow (T27).

    Where accuracies round to 1 this still tells mixtures apart. The arguments are those of `accuracy_with_bias`.

    Raises:
        ValueError: as `accuracy_with_bias`.

    >>> float(log_error_with_bias(40.0, 1.0, 0.75).round(2)), float(log_error_with_bias(0.0, 0.0, 0.5).round(4))
    (-766.47, -0.6931)
    """
    R, shift, prior = finite("ratio", ratio), finite("bias", bias), unit_interval("class_prior", class_prior)
    with np.errstate(divide="ignore"):  # a class that does not occur makes no errors
        shares = np.log(prior), np.log1p(-prior)
    return result(np.logaddexp(shares[0] + log_ndtr(-R - shift), shares[1] + log_ndtr(shift - R)))


def bias_gain(ratio: ArrayLike, bias: ArrayLike, class_prior: ArrayLike) -> Values:
    """Return the slope of the accuracy in B/v (T27); at B = 0 it is (2π−1) φ(R), the prior's bonus.

    The arguments are those of `accuracy_with_bias`.

    Raises:
        ValueError: as `accuracy_with_bias`.

    >>> float(bias_gain(0.0, 0.0, 1.0).round(4))
    0.3989
    """
    arguments = finite("ratio", ratio), finite("bias", bias), unit_interval("class_prior", class_prior)
    return result(as_function(formula().symbols, formula().gain)(*arguments))


def best_bias(ratio: ArrayLike, class_prior: ArrayLike) -> Values:
    """Return the B/v with the largest accuracy, log(π/(1−π))/(2R) (T27).

    Let R be `ratio` (positive) and π `class_prior`, strictly between 0 and 1; they broadcast.

    Raises:
        ValueError: a ratio that is not positive, π outside (0, 1).

    >>> float(best_bias(1.0, 0.75).round(4))
    0.5493
    """
    prior = between("class_prior", class_prior, np.nextafter(0, 1), np.nextafter(1, 0))
    R, _, share = formula().symbols
    return result(as_function((R, share), formula().best)(positive("ratio", ratio), prior))


def leans_local(federation: Federation) -> NDArray[np.float64]:
    """Return d_k (a + bP) − (a+b) Σ_j p_j d_j with d = 2π − 1, in units of a signal, shape (clients,) (T27).

    To leading order the accuracy-optimal θ of a client with π_k > 1/2 lies above T15's where this is positive, and
    below where it is negative (for π_k < 1/2 the other way round). Let `federation` describe the clients, with π_k
    its `class_prior`; P = Σ p_j over the client's group, χ/K for equal clients.

    >>> federation = Federation(
    ...     global_feature_sq=3, local_feature_sq=7, noise_dim=9, sample_counts=[10] * 4,
    ...     class_prior=[0.9, 0.5, 0.5, 0.5])
    >>> leans_local(federation).round(2).tolist()
    [1.8, -2.0, -2.0, -2.0]
    """
    a, b = federation.global_feature_sq, federation.local_feature_sq
    skew, weights = 2 * federation.class_prior - 1, federation.client_weights
    share = federation.same_group @ weights
    return np.asarray(skew * (a + b * share) - (a + b) * np.sum(weights * skew))
