"""The optimal mixture of any number of prompts (T23).

Statement (T23): w* ∝ Σ⁻¹s and R*² = sᵀΣ⁻¹s/σ_p² when every entry of Σ⁻¹s is positive. In general the best
w ≥ 0 is the one with (Σw)_i ≥ s_i, and equality wherever w_i > 0: it is Σ⁻¹s of the assets it keeps.

The weights of joint training: `theory.mixing.joint_weights`. The moments of nested levels:
`theory.mixing.nested_assets`.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from theory.mixing import advantage
from theory.mixing.tangency import RESULT as TANGENCY
from theory.mixing.tangency import optimum
from theory.model.accuracy import ratio
from theory.numerics.validation import ArrayLike, Values, finite
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T23",
    title="Many assets",
    problem="Find the weights w ≥ 0 of m prompts whose mixture has the largest ratio R = sᵀw/(σ_p √(wᵀΣw)).",
    assumptions=(
        "The mixed output is linear in the weights.",
        "Linearly independent noise vectors, some positive signal.",
    ),
    bound="exact",
    uses=("T3", "T7", "T15", "T16"),
    sources=(*TANGENCY.sources, "Kuhn and Tucker (1951), Nonlinear programming, Second Berkeley Symposium"),
)


_ROUNDING = 1e-9


@cache
def formula() -> tuple[tuple[Formula, Formula], tuple[Formula, Formula]]:
    """Return the symbols (Σ, s) and, for m assets, the weights Σ⁻¹s and σ_p²R*² = sᵀΣ⁻¹s (matrices).

    >>> formula()[1]
    (Sigma**(-1)*s, s.T*Sigma**(-1)*s)
    """
    import sympy

    count = sympy.Symbol("m", integer=True, positive=True)
    gram, signals = sympy.MatrixSymbol("Sigma", count, count), sympy.MatrixSymbol("s", count, 1)
    return (gram, signals), (gram.I * signals, signals.T * gram.I * signals)


def with_entries(
    expression: Formula, gram: Sequence[Sequence[Formula]], signals: Sequence[Formula]
) -> Formula:
    """Return one of the expressions of `formula` for the given entries of Σ and s, as an explicit matrix.

    >>> import sympy
    >>> with_entries(formula()[1][0], [[2, 0], [0, 4]], [1, 1])
    Matrix([
    [1/2],
    [1/4]])
    """
    import sympy

    count = len(signals)
    sized = expression.subs(formula()[0][0].shape[0], count)
    entries = {
        sympy.MatrixSymbol("Sigma", count, count): sympy.ImmutableMatrix(gram),
        sympy.MatrixSymbol("s", count, 1): sympy.ImmutableMatrix(count, 1, list(signals)),
    }
    return sized.subs(entries).doit()


@cache
def derivation() -> Derivation:
    """Derive T23 from the conditions that a best portfolio meets, written for three assets."""
    bounded, unconstrained, pair = _optimality(), _unconstrained(), _two_assets()
    lemmas = (
        Lemma(
            "No weights w ≥ 0 beat those that meet the Karush-Kuhn-Tucker conditions (for three prompts)",
            bounded,
        ),
        Lemma("Σ⁻¹s meets them wherever it is not negative (for three prompts)", unconstrained),
        Lemma("For two assets these are T15 and T16", pair, tuple(step.claim for step in pair)),
    )
    return Derivation(RESULT, (bounded[-1].claim, unconstrained[-1].claim), lemmas=lemmas)


def _dot(first: Sequence[Formula], second: Sequence[Formula]) -> Formula:
    return sum(left * right for left, right in zip(first, second, strict=True))


def _optimality() -> tuple[Step, ...]:
    import sympy

    sigma = letters().sigma
    w, slack = sympy.symbols("w_1:4", nonnegative=True), sympy.symbols("g_1:4", nonnegative=True)
    best = sympy.symbols("v_1:4", nonnegative=True)
    s, x, z = (sympy.symbols(f"{letter}_1:4", real=True) for letter in "sxz")
    u = [sympy.symbols(f"u_{asset}(1:4)", real=True) for asset in (1, 2, 3)]
    pairs = [(i, j) for i in range(3) for j in range(3)]
    gram = [sympy.Symbol(f"Sigma_{min(i, j) + 1}{max(i, j) + 1}") for i, j in pairs]
    signal, noise, least = sympy.symbols("S X Z", positive=True)
    price = sympy.Symbol("P", real=True)
    excess, gap = sympy.symbols("h d", nonnegative=True)
    rows = list(zip(*u, strict=True))
    mixed = tuple(eq(x[j], _dot(w, rows[j])) for j in range(3))
    optimal = tuple(eq(z[j], _dot(best, rows[j])) for j in range(3))
    priced = tuple(eq(s[i], _dot(u[i], z) - slack[i]) for i in range(3))
    covariances = {entry: _dot(u[i], u[j]) for entry, (i, j) in zip(gram, pairs, strict=True)}
    projection = eq(price, _dot(x, z))
    squares = sum((x[i] * z[j] - x[j] * z[i]) ** 2 for i, j in ((0, 1), (0, 2), (1, 2)))
    lagrange = relation(">=", squares, 0)
    schwarz = relation("<=", price**2, _dot(x, x) * _dot(z, z))
    short = relation("<=", signal**2, price**2)
    return (
        Step.identity(
            "The squared length of the mixed noise x = Σ w_i u_i is wᵀΣw, with Σ_ij = ⟨u_i, u_j⟩.",
            eq(_dot(x, x), _dot([w[i] * w[j] for i, j in pairs], gram)),
            *mixed,
            *(eq(entry, value) for entry, value in covariances.items()),
        ),
        Step.identity(
            "Let weights v ≥ 0 have noise z, and let (Σv)_i = ⟨u_i, z⟩ exceed s_i by g_i ≥ 0, where g_i v_i = 0."
            " Any w then has the signal …",
            eq(_dot(s, w), _dot(x, z) - _dot(slack, w)),
            *priced,
            *mixed,
        ),
        Step.identity(
            "… while v itself has the signal ‖z‖² (the terms g_i v_i are zero), so its ratio is ‖z‖/σ_p.",
            eq(_dot(s, best) + _dot(slack, best), _dot(z, z)),
            *priced,
            *optimal,
        ),
        Step.assumed("Call the inner product P …", projection),
        Step.sign(
            "… of which a positive signal S = sᵀw falls short by h = gᵀw ≥ 0.",
            short,
            eq(price, signal + excess),
        ),
        Step.sign("A sum of squares is not negative …", lagrange),
        Step.chain(
            "… and by Lagrange's identity it is the gap in Cauchy and Schwarz' inequality.",
            schwarz,
            lagrange,
            projection,
        ),
        Step.chain(
            "Hence a bound on every signal.",
            relation("<=", signal**2, _dot(x, x) * _dot(z, z)),
            short,
            schwarz,
        ),
        Step.sign(
            "With X = ‖x‖² and Z = ‖z‖² (d ≥ 0 being the gap in the line before): no w ≥ 0 has a larger ratio"
            " than v.",
            relation("<=", signal**2 / (sigma**2 * noise), least / sigma**2),
            eq(least, (signal**2 + gap) / noise),
        ),
    )


def _unconstrained() -> tuple[Step, ...]:
    import sympy

    _, (weights, squared) = formula()
    s, w = sympy.symbols("s_1:4", real=True), sympy.symbols("w_1:4", positive=True)
    gram = [[sympy.Symbol(f"Sigma_{min(i, j)}{max(i, j)}") for j in (1, 2, 3)] for i in (1, 2, 3)]
    determinant = sympy.Symbol("D", positive=True)

    def over_determinant(entry: Formula) -> Formula:
        numerator, shared = sympy.fraction(sympy.together(entry))
        return sympy.expand(numerator / determinant), eq(determinant, shared)

    solved = [over_determinant(entry) for entry in with_entries(weights, gram, s)]
    entries = (*(eq(w[i], solved[i][0]) for i in range(3)), solved[0][1])
    value, shared = over_determinant(with_entries(squared, gram, s)[0, 0])
    variance = sum(w[i] * _dot(gram[i], w) for i in range(3))
    square = sympy.Symbol(r"\sigma_{p}^{2} R_{*}^{2}")
    signal_of, variance_of = sympy.Function("S")(w[0]), sympy.Function("V")(w[0])
    slope = sympy.Derivative(signal_of / sympy.sqrt(variance_of), w[0]) * variance_of ** sympy.Rational(3, 2)
    return (
        *(
            Step.identity(
                f"The weights w = Σ⁻¹s meet condition {i + 1} with g_{i + 1} = 0; if none is negative, they are v.",
                eq(_dot(gram[i], w), s[i]),
                *entries,
            )
            for i in range(3)
        ),
        Step.identity(
            "The gradient of S/√V with S = sᵀw and V = wᵀΣw (here its first entry) vanishes where Σw = s, since"
            " V = S there.",
            eq(slope, s[0] * variance_of - signal_of * _dot(gram[0], w)),
            eq(signal_of, _dot(s, w)),
            eq(variance_of, variance),
        ),
        Step.identity(
            "The best ratio, σ_p²R*² = sᵀΣ⁻¹s, is that of these weights, ‖z‖² = sᵀw.",
            eq(square, _dot(s, w)),
            eq(square, value),
            *entries[:3],
            shared,
        ),
    )


def _two_assets() -> tuple[Step, ...]:
    import sympy

    best, (_, (weights, squared)) = optimum(), formula()
    s_global, s_local, variance_global, variance_local, covariance = best.symbols
    gram = [[variance_global, covariance], [covariance, variance_local]]
    pair = with_entries(weights, gram, [s_global, s_local])
    (ratio_global, ratio_local, rho), advantage_squared = advantage.formula()
    correlated = with_entries(squared, [[1, rho], [rho, 1]], [ratio_global, ratio_local])[0, 0]
    odds, square = sympy.symbols("odds R_*^2")
    return (
        Step.identity(
            "For two assets the quotient of the weights Σ⁻¹s is the odds of T15 …",
            eq(odds, best.gain_at_global / best.gain_at_local),
            eq(odds, pair[1] / pair[0]),
        ),
        Step.identity(
            "… and sᵀΣ⁻¹s is the R*² of T16, in units where both noise vectors have length one.",
            eq(square, advantage_squared),
            eq(square, correlated),
        ),
    )


def optimal_weights(signals: ArrayLike, gram: ArrayLike) -> NDArray[np.float64]:
    """Return the weights w* ≥ 0, summing to one, with the largest ratio sᵀw/√(wᵀΣw) (T23).

    Let s be `signals`, of shape (…, assets), and Σ be `gram`, the noise vectors' inner products, of shape
    (…, assets, assets); leading axes broadcast. The assets that keep a positive weight are found by nonnegative
    least squares, whose conditions are those of T23; their weights are Σ⁻¹s of these assets.

    Returns:
        Array of shape (…, assets).

    Raises:
        ValueError: signals that are not finite or none of which is positive; a Σ that is not symmetric and
            positive definite.

    >>> gram = [[0.25, 0.25, 0.25], [0.25, 0.5, 0.5], [0.25, 0.5, 1.0]]
    >>> optimal_weights([[3.0, 5.0, 8.0], [3.0, 8.0, 8.0]], gram).round(3).tolist()
    [[0.333, 0.167, 0.5], [0.0, 1.0, 0.0]]
    """
    s, covariance = _checked(signals, gram)
    raw = _kept_weights(s, covariance)
    return np.asarray(raw / raw.sum(axis=-1, keepdims=True))


def optimal_ratio(signals: ArrayLike, gram: ArrayLike, noise_std: ArrayLike = 1.0) -> Values:
    """Return R* = √(sᵀΣ⁻¹s)/σ_p, over the assets that keep a positive weight (T23).

    Let σ_p be `noise_std`; the other arguments are those of `optimal_weights`. Leading axes broadcast.

    Raises:
        ValueError: as `optimal_weights`; σ_p not positive.

    >>> round(float(optimal_ratio([3.0, 4.0], [[1.0, 0.0], [0.0, 1.0]])), 6)
    5.0
    """
    s, covariance = _checked(signals, gram)
    return ratio(np.sqrt(_kept_squared(s, covariance)), 1.0, noise_std)


def mixture_ratio(
    weights: ArrayLike, signals: ArrayLike, gram: ArrayLike, noise_std: ArrayLike = 1.0
) -> Values:
    """Return R(w) = sᵀw/(σ_p √(wᵀΣw)) (T23).

    Let w be `weights`, of shape (…, assets), of any sign but not all zero; s, Σ and σ_p as in `optimal_ratio`.
    Leading axes broadcast.

    Raises:
        ValueError: weights that are not finite; as `optimal_ratio`.

    >>> round(float(mixture_ratio([0.5, 0.5], [1.0, 1.0], [[1.0, -0.5], [-0.5, 1.0]])), 6)
    2.0
    """
    s, covariance = _checked(signals, gram)
    w = finite("weights", weights)
    variance = np.einsum("...i,...ij,...j->...", w, covariance, w)
    return ratio(np.einsum("...i,...i->...", w, s), np.sqrt(variance), noise_std)


def _kept(signals: NDArray[np.float64], gram: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The assets with a positive weight in the best mixture of one s and Σ."""
    # In units where every noise vector has length one, least squares is well scaled: with Σ = L Lᵀ,
    # ‖Lᵀw − L⁻¹s‖² is wᵀΣw − 2 sᵀw up to a constant, and its conditions for w ≥ 0 are those of T23.
    lengths = np.sqrt(np.diag(gram))
    lower = np.linalg.cholesky(gram / np.outer(lengths, lengths))
    answer: NDArray[np.bool_] = nnls(lower.T, np.linalg.solve(lower, signals / lengths))[0] > 0
    return answer


def _weights_of_one(signals: NDArray[np.float64], gram: NDArray[np.float64]) -> NDArray[np.float64]:
    kept, weights = _kept(signals, gram), np.zeros_like(signals)
    symbols, (tangency, _) = formula()
    # rounding can turn a weight that is barely positive
    weights[kept] = np.maximum(as_function(symbols, tangency)(gram[np.ix_(kept, kept)], signals[kept]), 0)
    return weights


def _squared_of_one(signals: NDArray[np.float64], gram: NDArray[np.float64]) -> float:
    kept = _kept(signals, gram)
    symbols, (_, squared) = formula()
    return float(as_function(symbols, squared)(gram[np.ix_(kept, kept)], signals[kept]))


_kept_weights = np.vectorize(_weights_of_one, signature="(m),(m,m)->(m)", otypes=[np.float64])
_kept_squared = np.vectorize(_squared_of_one, signature="(m),(m,m)->()", otypes=[np.float64])


def _checked(signals: ArrayLike, gram: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    s, covariance = finite("signals", signals), finite("gram", gram)
    if s.ndim < 1 or s.shape[-1] == 0 or covariance.shape[-2:] != (s.shape[-1],) * 2:
        raise ValueError(
            f"`gram` has shape {covariance.shape}; allowed: (…, assets, assets) for `signals` of shape {s.shape}"
        )
    if not np.all(s.max(axis=-1) > 0):
        raise ValueError("`signals` has no positive entry for some mixture; allowed: at least one")
    scale = np.abs(covariance).max(axis=(-2, -1), keepdims=True)
    if np.any(np.abs(covariance - covariance.swapaxes(-2, -1)) > _ROUNDING * scale):
        raise ValueError("`gram` is not symmetric; allowed: inner products of noise vectors")
    lengths = np.sqrt(np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 0.0))
    # of the correlations, so that assets of very different risk are told from equal ones
    unit = np.where(lengths > 0, lengths, 1.0)
    correlation = covariance / unit[..., :, None] / unit[..., None, :]
    if not np.all(lengths > 0) or np.any(np.linalg.eigvalsh(correlation) <= _ROUNDING):
        raise ValueError("`gram` is not positive definite; allowed: linearly independent noise vectors")
    return s, covariance
