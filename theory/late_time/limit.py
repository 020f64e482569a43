"""Where joint training ends: the maximum-margin prompts (T29).

Statement (T29): with the margin kernel 𝒦 of T11, prompts are those of weights α_j ≥ 0 on the samples, and the
direction of α converges, as slowly as 1/log t, to the solution of

    min ½ αᵀ𝒦α − 1ᵀα over α ≥ 0,   that is   𝒦α ≥ 1, α ≥ 0, α_i ((𝒦α)_i − 1) = 0,

so row r of client k's mixed text feature is, up to a common factor,

    H_r = 4 ‖w_r‖² [(1−θ)² Σ_j α_j g_jr / N + θ² Σ_{j of k} α_j g_jr / n_k]      (g: features times labels).

Where all rows of 𝒦 have the same sum, all α are equal and H is that of the first step: T21 does not drift.

`theory.late_time.solver` says where training is at a finite time, from the letters alone.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from theory.dynamics.margin_kernel import formula as kernel_formula
from theory.dynamics.margin_kernel import margin_kernel, square
from theory.model.accuracy import mean_log_error, ratio
from theory.model.schemes import TrainingScheme
from theory.numerics.maximise import maximise_over_mixing
from theory.numerics.validation import ArrayLike, Values, finite, unit_interval
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T29",
    title="Maximum-margin limit of training",
    problem="Which prompts does training approach when the noise of the samples overlaps?",
    assumptions=(
        "Linear band, zero start, orthogonal rows.",
        "All clients in every round, one local step per round.",
        "Some prompts classify all training samples.",
        "The theorem of Soudry et al., which asks for a small enough learning rate.",
    ),
    bound="asymptotic",
    uses=("T2", "T5", "T11 (kernel)", "T14", "T21"),
    sources=(
        "Soudry, Hoffer, Nacson, Gunasekar and Srebro (2018), The Implicit Bias of Gradient Descent on "
        "Separable Data, arXiv:1710.10345, Theorem 3",
    ),
)


ROUNDING = 1e-9
"""Asymmetry, negative eigenvalue or KKT residual that counts as rounding, relative to the kernel's size."""

MOST_EXCHANGES = 40
"""Exchanges of supporting samples before the slower method takes over; about five are usual."""


class MaximumMargin(NamedTuple):
    """Solution of the maximum-margin problem.

    Attributes:
        alpha: α ≥ 0, weight of every sample at unit margin, shape (samples,).
        margins: 𝒦α, at least 1 on every sample, shape (samples,).
        residual: largest violation of 𝒦α ≥ 1 or of α_i((𝒦α)_i − 1) = 0, the latter relative to the largest α.
    """

    alpha: NDArray[np.float64]
    margins: NDArray[np.float64]
    residual: float


class TrainingData(NamedTuple):
    """Training samples of all clients together.

    Attributes:
        features: image features times their labels, shape (samples, rows); the last `noise_dim` rows are noise.
        squared_norms: ‖w_r‖², shape (rows,).
        clients: number of every sample's client, from 0 without a gap, shape (samples,).
        noise_dim: L.
        noise_std: σ_p.
    """

    features: ArrayLike
    squared_norms: ArrayLike
    clients: ArrayLike
    noise_dim: int
    noise_std: float


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (w_r, θ, N, n_k, Σ_j α_j g_jr, the same over client k) and the text feature H_r.

    >>> symbols, feature = formula()
    >>> feature.subs(symbols[1], 1)
    4*S_k*w_r/n
    """
    import sympy

    at = letters()
    norm, total = sympy.symbols("w_r N", positive=True)
    everyone, own = sympy.symbols("S S_k", real=True)
    slope = sympy.Integer(2)
    # a prompt's pre-activation (T5, summed over steps), read with the prompt's weight and the slope of h
    global_prompt = (1 - at.theta) * slope * norm * everyone / total
    local_prompt = at.theta * slope * norm * own / at.n
    feature = slope * ((1 - at.theta) * global_prompt + at.theta * local_prompt)
    return (norm, at.theta, total, at.n, everyone, own), feature


@cache
def derivation() -> Derivation:
    """Derive T29 from the margin kernel T11; for the optimality conditions on two samples."""
    import sympy

    (norm, theta, total, count, everyone, own), feature = formula()
    (inner, _, _, _, same), kernel = kernel_formula()
    gi, gj, mean, own_mean = sympy.symbols("g_ir g_jr gbar gbar_k", real=True)
    weight, factor, rate, other_count = sympy.symbols("alpha_j c kappa n_i", positive=True)
    symbol, entry, mirrored = sympy.symbols("H_r K_ij K_ji")
    displayed = 4 * norm * ((1 - theta) ** 2 * everyone / total + theta**2 * own / count)
    statement = eq(symbol, displayed)
    of_samples = Lemma(
        "The text feature that weights on the samples give",
        (
            Step.modelled(
                "Every step adds η q_j to the weight α_j of sample j, and a prompt is the sum T5 of its "
                "samples: the mixture's row r.",
                statement,
                eq(symbol, feature),
            ),
            Step.identity(
                "One sample of weight α_j gives another margin g_ir H_r, through row r its share of 𝒦_ij α_j.",
                eq(gi * symbol, weight * kernel.subs(inner, norm * gi * gj)),
                statement,
                eq(everyone, weight * gj),
                eq(own, same * weight * gj),
            ),
            Step.identity(
                "The kernel is symmetric, for this is zero between clients (δ = 0) and within one (n_i = n_j).",
                eq(entry - mirrored, 4 * inner * theta**2 * same * (1 / count - 1 / other_count)),
                eq(entry, kernel),
                eq(mirrored, kernel.subs(count, other_count)),
            ),
            Step.identity(
                "A common factor c of α is one of H: it cancels from signal over noise, and the direction matters "
                "alone.",
                eq(symbol, factor * displayed),
                eq(symbol, feature.subs({everyone: factor * everyone, own: factor * own})),
            ),
        ),
        (statement,),
    )

    level, rest = sympy.Symbol("M", real=True), sympy.Symbol("D", nonnegative=True)
    a1, a2, b1, b2, slack_1, slack_2 = sympy.symbols("alpha_1:3 beta_1:3 s_1:3", nonnegative=True)
    (k1, k2), cross = sympy.symbols("k_1 k_2", positive=True), sympy.Symbol("k_12", real=True)
    loss = sympy.log(1 + sympy.exp(-level))

    def quadratic(u: Formula, v: Formula) -> Formula:
        return (k1 * u**2 + 2 * cross * u * v + k2 * v**2) / 2

    margins = k1 * a1 + cross * a2, cross * a1 + k2 * a2
    complementary = a1 * (margins[0] - 1) + a2 * (margins[1] - 1)
    linear = b1 * (margins[0] - 1) + b2 * (margins[1] - 1)
    dual = quadratic(b1, b2) - b1 - b2 - (quadratic(a1, a2) - a1 - a2)
    optimal = eq(dual, quadratic(b1 - a1, b2 - a2) + linear - complementary)
    squares = ((k1 * b1 + cross * b2) ** 2 + rest * b2**2) / (2 * k1)
    both = (k2 - cross) / (k1 * k2 - cross**2), (k1 - cross) / (k1 * k2 - cross**2)
    maximum = Lemma(
        "Training converges to the maximum margin (conditions written for two samples)",
        (
            Step.identity(
                "The residual is minus the derivative of the logistic loss, so training is gradient descent "
                "on it in the norm αᵀ𝒦α.",
                eq(-sympy.Derivative(loss, level), 1 / (1 + sympy.exp(level))),
            ),
            Step.assumed(
                "Hence (Soudry et al.) the direction of α converges to the maximum-margin solution, which has "
                "α_i((𝒦α)_i − 1) = 0, 𝒦α ≥ 1 and α ≥ 0.",
                eq(complementary, 0),
            ),
            Step.identity(
                "These conditions suffice: any other β ≥ 0 differs in the dual objective by this …", optimal
            ),
            Step.identity(
                "… whose quadratic part can be completed to squares (D the determinant of 𝒦) …",
                eq(quadratic(b1, b2), squares),
                eq(rest, k1 * k2 - cross**2),
            ),
            Step.sign(
                "… that are not negative, because 𝒦 has no negative eigenvalue, …", relation(">=", squares, 0)
            ),
            Step.sign(
                "… and neither is the linear part, as the margins are at least 1 (by s_1 and s_2).",
                relation(">=", linear, 0),
                eq(k1, (1 + slack_1 - cross * a2) / a1),
                eq(k2, (1 + slack_2 - cross * a1) / a2),
            ),
            Step.identity(
                "Both samples at margin 1: the weights of two support vectors.",
                eq(both[0] * k1 + both[1] * cross, 1),
            ),
        ),
        (optimal,),
    )

    j = sympy.Symbol("j", integer=True, positive=True)
    row = sympy.Function("K")(sympy.Symbol("i"), j)
    plain = 4 * norm / rate * ((1 - theta) ** 2 * mean + theta**2 * own_mean)
    no_drift = Lemma(
        "Where all rows of the kernel have the same sum, training does not drift",
        (
            Step.identity(
                "Equal weights 1/κ put every sample at margin 1 …",
                eq(sympy.Sum(row / rate, (j, 1, total)), 1),
                eq(sympy.Sum(row, (j, 1, total)), rate),
            ),
            Step.identity(
                "… and the mixture is that of plain means with the weights ((1−θ)², θ²), hence of T14 and T21.",
                eq(symbol, plain),
                statement,
                eq(everyone, total * mean / rate),
                eq(own, count * own_mean / rate),
            ),
        ),
    )
    return Derivation(RESULT, statement=(statement, optimal), lemmas=(of_samples, maximum, no_drift))


def maximum_margin(kernel: ArrayLike) -> MaximumMargin:
    """Return the solution of min ½ αᵀ𝒦α − 1ᵀα over α ≥ 0, by an active-set method (T29).

    Let 𝒦 be `kernel`, symmetric without negative eigenvalues, shape (samples, samples).

    Raises:
        ValueError: a kernel that is not square, not symmetric or has a negative eigenvalue; samples that no
            prompts can all classify.

    >>> maximum_margin([[2.0, 1.0], [1.0, 4.0]]).alpha.round(4).tolist()
    [0.4286, 0.1429]
    """
    matrix = square(kernel)
    size = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > ROUNDING * size:
        raise ValueError("`kernel` is not symmetric; allowed: symmetric matrices")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] < -ROUNDING * size:
        raise ValueError(f"`kernel` has the eigenvalue {values[0]}; allowed: none below zero")
    definite = values[0] > ROUNDING * size
    alpha = _exchange(matrix) if definite else None
    if alpha is None:
        alpha = _least_distance(values, vectors, size)
    margins = matrix @ alpha
    violations = np.maximum(1 - margins, 0), alpha / alpha.max() * np.abs(margins - 1)
    return MaximumMargin(alpha, margins, float(np.max(violations)))


def _exchange(matrix: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Block principal pivoting from all samples at margin 1; None where it does not settle.

    Late in training nearly all samples support the margin, so a few exchanges do.
    """
    support = np.ones(matrix.shape[0], dtype=bool)
    alpha = np.zeros(matrix.shape[0])
    for _ in range(MOST_EXCHANGES):
        alpha[:] = 0
        alpha[support] = np.linalg.solve(matrix[np.ix_(support, support)], np.ones(int(support.sum())))
        wrong = np.where(support, alpha < 0, matrix @ alpha < 1 - ROUNDING)
        if not wrong.any():
            return alpha
        support ^= wrong
    return None


def _least_distance(
    values: NDArray[np.float64], vectors: NDArray[np.float64], size: float
) -> NDArray[np.float64]:
    """Lawson and Hanson's least-distance form, from the kernel's eigenvalues; a singular kernel will do.

    With λ the nonnegative least-squares solution of [√𝒦; 1ᵀ] λ = [0; 1], 𝒦λ ≥ 1 − Σλ, so α = λ/(1 − Σλ).
    """
    root = np.sqrt(np.maximum(values, 0) / size)[:, None] * vectors.T
    height = values.size**-0.5  # keeps the two blocks of the same size
    target = np.zeros(values.size + 1)
    target[-1] = 1.0
    solution, _ = nnls(np.vstack([root, np.full(values.size, height)]), target)
    slack = height * (1 - height * float(solution.sum()))
    if slack <= ROUNDING:
        raise ValueError("`kernel` has no positive margin; allowed: samples that can all be classified")
    return np.asarray(solution / (slack * size))


def limiting_ratio(
    theta: ArrayLike, data: TrainingData, scheme: TrainingScheme = "joint"
) -> NDArray[np.float64]:
    """Return the ratio R of every client's mixture as t → ∞ (T29).

    Let θ be `theta`, any shape (…); `data` are the training samples. Post-hoc mixing joins two solutions, each at
    unit margin: both prompts' margins grow like log t.

    Returns:
        Array of shape (…, clients).

    Raises:
        ValueError: as `margin_kernel` and `maximum_margin`; a scheme other than joint and posthoc.

    >>> data = TrainingData([[1.0, 2.0], [1.0, 1.0]], [3.0, 1.0], [0, 0], noise_dim=1, noise_std=1.0)
    >>> limiting_ratio(0.5, data).round(3).tolist()
    [3.0]
    """
    mixing = unit_interval("theta", theta)
    if scheme not in ("joint", "posthoc"):
        raise ValueError(f"`scheme` is {scheme!r}; allowed: 'joint', 'posthoc'")
    if scheme == "joint":
        features = [_limit(float(value), data) for value in mixing.ravel()]
    else:
        alone = _limit(0.0, data), _limit(1.0, data)
        features = [(1 - value) * alone[0] + value * alone[1] for value in mixing.ravel()]
    g, owner = finite("features", data.features), np.asarray(data.clients)
    relevant = g.shape[1] - data.noise_dim
    # a fresh sample of a client has the relevant features of its training samples (T1)
    fresh = g[np.unique(owner, return_index=True)[1], :relevant]
    signal = np.array([np.sum(fresh * feature[:, :relevant], axis=1) for feature in features])
    noise = np.array([np.linalg.norm(feature[:, relevant:], axis=1) for feature in features])
    return np.asarray(ratio(signal, noise, data.noise_std)).reshape(*mixing.shape, -1)


def _limit(theta: float, data: TrainingData) -> NDArray[np.float64]:
    """H of every client at unit margin, shape (clients, rows)."""
    kernel = margin_kernel(data.features, squared_norms=data.squared_norms, clients=data.clients, theta=theta)
    alpha = maximum_margin(kernel).alpha
    g, owner = finite("features", data.features), np.asarray(data.clients)
    belongs = (np.arange(owner.max() + 1)[:, None] == owner[None, :]).astype(np.float64)
    counts = belongs.sum(axis=1)[:, None]
    weighted = alpha[:, None] * g
    norms = finite("squared_norms", data.squared_norms)[None, :]
    feature: NDArray[np.float64] = as_function(*formula())(
        norms, theta, float(owner.size), counts, weighted.sum(axis=0)[None, :], belongs @ weighted
    )
    return feature


def limiting_mixing(data: TrainingData, scheme: TrainingScheme = "joint") -> Values:
    """Return the θ with the best accuracy, mean over clients, as t → ∞ (T29), to about 1e-3.

    Raises:
        ValueError: as `limiting_ratio`.

    >>> data = TrainingData([[1.0, 2.0], [1.0, 1.0]], [3.0, 1.0], [0, 0], noise_dim=1, noise_std=1.0)
    >>> bool(0 <= limiting_mixing(data) <= 1)
    True
    """

    def fewest_errors(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return -np.asarray(mean_log_error(limiting_ratio(theta, data, scheme)))

    return np.float64(maximise_over_mixing(fewest_errors, grid_points=11, refinements=2).place)
