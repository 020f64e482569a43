"""The margins of all training samples obey a recursion of their own (T11, the kernel).

Statement (T11): in the linear band, M_i ← M_i + η Σ_j 𝒦_ij q_j with q_j = 1/(1+exp(M_j)) and the margin
kernel 𝒦_ij = 4 G_ij [(1−θ)²/N + θ² δ_ij/n_j]. Here G_ij = Σ_r ‖w_r‖² g_ir g_jr, g are the image features
times their labels, and δ_ij is 1 for two samples of the same client, else 0.

It needs no mean field: T8 follows where the noise vectors are orthogonal.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from theory.dynamics.margin_rate import kernel_sums
from theory.numerics.validation import ArrayLike, finite, nonnegative, positive, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
from theory.proof.symbols import letters

RESULT = Result(
    tag="T11 (kernel)",
    title="Margin kernel",
    problem="How does one step move every training sample's margin, whatever the overlap of the noise?",
    assumptions=(
        "Linear band, orthogonal rows.",
        "Joint training (θ = 0 or 1 is a prompt alone), all clients in every round, one local step per round.",
    ),
    bound="exact",
    uses=("T2", "T5", "T8"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (G_ij, θ, N, n_j, δ_ij) and the kernel 𝒦_ij.

    >>> symbols, kernel = formula()
    >>> kernel.subs(symbols[1], 0)
    4*G_ij/N
    """
    import sympy

    at = letters()
    slope = sympy.Integer(2)
    inner = sympy.Symbol("G_ij", real=True)
    total, same = sympy.Symbol("N", positive=True), sympy.Symbol("delta_ij", nonnegative=True)
    shares = (1 - at.theta) ** 2 / total + same * at.theta**2 / at.n
    return (inner, at.theta, total, at.n, same), slope**2 * inner * shares


@cache
def derivation() -> Derivation:
    """Derive the kernel from the update rule T5 and the average."""
    import sympy

    eta, d = letters().eta, kernel_sums()
    (inner, theta, total, count, same), kernel = formula()
    weight, gi, gj, share = sympy.symbols("w_r g_ir g_jr p_j", real=True)
    residual, slope = sympy.symbols("q_j s", positive=True)
    pull = eta * weight * slope * gj * residual / count  # T5 with ω = 1, the part of one sample
    through_global = 4 * (1 - theta) ** 2 * weight * gi * gj * eta * residual / total
    through_local = 4 * theta**2 * weight * gi * gj * eta * residual / count
    symbol = sympy.Symbol("K_ij")
    statement = eq(symbol, kernel)
    r, rows = sympy.symbols("r m", integer=True, positive=True)
    of_row = {letter: sympy.Function(letter.name, real=True)(r) for letter in (weight, gi, gj)}

    def over_rows(summand: Formula) -> Formula:
        return sympy.Sum(sympy.expand(summand.subs(of_row)), (r, 1, rows))

    j, everyone = sympy.Symbol("j", integer=True, positive=True), count * d.K

    def over_samples(summand: Formula, samples: Formula) -> Formula:
        return sympy.Sum(summand.subs(inner, sympy.Function("G_i", real=True)(j)), (j, 1, samples))

    in_band = eq(slope, 2)
    steps = (
        Step.identity(
            "In the linear band the slope is s = 2 (T2). Through row r of the global prompt, sample j moves the "
            "margin of sample i by this: T5 with ω = 1−θ, averaged with the client's weight p_j = n_j/N. All N "
            "samples count alike.",
            eq((1 - theta) * slope * gi * share * (1 - theta) * pull, through_global),
            eq(share, count / total),
            in_band,
        ),
        Step.identity(
            "Through row r of the client's own prompt, a sample of the same client moves it by this (ω = θ).",
            eq(theta * slope * gi * theta * pull, through_local),
            in_band,
        ),
        Step.identity(
            "Both together, over all m rows: G_ij sums w_r g_ir g_jr, and the factor of η q_j is the kernel.",
            statement,
            eq(symbol, over_rows((through_global + same * through_local) / (eta * residual))),
            eq(over_rows(weight * gi * gj), inner),
        ),
        Step.identity(
            "Orthogonal noise gives T8: for θ = 1, where G_ij sums to n times a + b and once ν̄, a row gives κ_L …",
            eq(over_samples(kernel.subs({theta: 1, same: 1}), count), d.local_rate),
            eq(over_samples(inner, count), count * (d.a + d.b) + d.nu_bar),
        ),
        Step.identity(
            "… and for θ = 0, where the inner products of all clients' features sum to χ b, to κ_G.",
            eq(over_samples(kernel.subs({theta: 0, total: everyone}), everyone), d.global_rate),
            eq(over_samples(inner, everyone), count * (d.K * d.a + d.chi * d.b) + d.nu_bar),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def margin_kernel(
    features: ArrayLike, *, squared_norms: ArrayLike, clients: ArrayLike, theta: float | int
) -> NDArray[np.float64]:
    """Return the margin kernel 𝒦 of joint training, shape (samples, samples) (T11).

    Let g be `features` (image features times their labels, all clients' samples together, shape (samples,
    rows)), ‖w_r‖² `squared_norms`, shape (rows,), `clients` each sample's client by number, shape (samples,),
    and θ `theta`. θ = 0 is the global prompt alone, θ = 1 the local ones alone.

    Returns:
        𝒦, in units of margin per unit of τ; row i is how sample i is moved.

    Raises:
        ValueError: shapes that do not match, negative squared norms, clients that are not nonnegative
            integers, θ outside [0, 1].

    >>> margin_kernel([[1.0, 2.0], [1.0, -2.0]], squared_norms=[3.0, 1.0], clients=[0, 0], theta=1).tolist()
    [[14.0, -2.0], [-2.0, 14.0]]
    """
    g, norms = finite("features", features), nonnegative("squared_norms", squared_norms)
    owner = np.asarray(clients)
    if g.ndim != 2 or g.shape[0] == 0 or norms.shape != g.shape[1:]:
        raise ValueError(f"`features` has shape {g.shape}; allowed: (samples, rows), rows as {norms.shape}")
    if owner.shape != g.shape[:1] or not np.issubdtype(owner.dtype, np.integer) or owner.min() < 0:
        raise ValueError(f"`clients` is {clients!r}; allowed: one nonnegative integer per sample")
    inner = (g * norms) @ g.T
    same = (owner[:, None] == owner[None, :]).astype(np.float64)
    counts = np.bincount(owner)[owner].astype(np.float64)
    kernel: NDArray[np.float64] = as_function(*formula())(
        (inner + inner.T) / 2, unit_interval("theta", theta), float(g.shape[0]), counts[None, :], same
    )
    return kernel


def exact_margins(kernel: ArrayLike, learning_rate: float | int, steps: int) -> NDArray[np.float64]:
    """Return every sample's margin at t = 0 … steps, from M_i ← M_i + η Σ_j 𝒦_ij q_j and a zero start (T11).

    Let 𝒦 be `kernel`, shape (samples, samples), and η `learning_rate`.

    Returns:
        Array of shape (steps + 1, samples).

    Raises:
        ValueError: a kernel that is not square, a learning rate that is not positive, a negative number of
            steps.

    >>> exact_margins([[2.0]], 0.5, 1).tolist()
    [[0.0], [0.5]]
    """
    matrix, eta = square(kernel), float(positive("learning_rate", learning_rate))
    margins = np.zeros((int(nonnegative("steps", steps)) + 1, matrix.shape[0]))
    for t in range(steps):
        margins[t + 1] = margins[t] + eta * (matrix @ expit(-margins[t]))
    return margins


def square(kernel: ArrayLike) -> NDArray[np.float64]:
    """Return a kernel as float64 after checking that it is a finite square matrix.

    Raises:
        ValueError: anything else.

    >>> square([[1]])
    array([[1.]])
    """
    matrix = finite("kernel", kernel)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"`kernel` has shape {matrix.shape}; allowed: (samples, samples)")
    return matrix
