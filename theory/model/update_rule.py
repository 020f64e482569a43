"""One gradient step in coefficients (T5).

Statement (T5): for orthogonal rows, with q_i = 1/(1+exp(M_i)) and M_i the margin y_i f(g_i), a_r ← a_r + η ω
‖w_r‖² h'_r(z_r) (1/n) Σ_i q_i y_i g_{i,r}, where ω is the prompt's weight in the mixture. For general rows
the pre-activations move by z ← z + η ω (W Wᵀ) [h'(z) ∘ (1/n) Σ_i q_i y_i g_i].

The derivation differentiates the loss of n samples through z_r = ⟨w_r, p⟩ for two rows in the plane and
encoders with any slope h'.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from theory.numerics.validation import ArrayLike, between, finite, nonnegative, unit_interval
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq

RESULT = Result(
    tag="T5",
    title="Update rule of the coefficients",
    problem="Find how one step of gradient descent on the logistic loss moves the coefficients of a prompt.",
    assumptions=(
        "Any differentiable activation; labels ±1.",
        "Orthogonal rows (the general form is a step of its own).",
    ),
    bound="exact",
    uses=("T2", "T3", "T4"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (η, ω, ‖w_r‖², h'_r, m_r) and the change of a coefficient, m_r = mean q y g_r.

    >>> symbols, increment = formula()
    >>> increment.subs(dict(zip(symbols, (2, 1, 3, 2, 1))))
    12
    """
    import sympy

    eta, omega, norm = sympy.symbols(r"eta omega \|w_{r}\|^2", positive=True)
    slope, pull = sympy.symbols(r"{h'_r} m_r", real=True)
    return (eta, omega, norm, slope, pull), eta * omega * norm * slope * pull


@cache
def derivation() -> Derivation:
    """Derive T5 by differentiating the loss of n samples through z_r = ⟨w_r, p⟩, for two rows in the plane."""
    import sympy

    (eta, omega, norm, slope_symbol, pull_symbol), increment = formula()
    i, samples = sympy.symbols("i n", integer=True, positive=True)
    prompt = sympy.symbols("p_1 p_2", real=True)
    w = sympy.Matrix(2, 2, sympy.symbols("w_11 w_12 w_21 w_22", real=True))
    gram = sympy.Matrix(2, 2, lambda r, s: sympy.Symbol(f"G_{min(r, s) + 1}{max(r, s) + 1}", real=True))
    slopes = sympy.symbols(r"{h'_1} {h'_2}", real=True)
    pulls, moved = sympy.symbols("m_1 m_2", real=True), sympy.symbols(r"\Delta{z}_1 \Delta{z}_2", real=True)
    y, q, *g = sympy.symbols("y q g_1 g_2", real=True)
    margin = sympy.Function("M", real=True)(*prompt)
    features = [sympy.Function(f"H_{r + 1}", real=True)(*prompt) for r in range(2)]
    slope_at, entries = [], []
    for r in range(2):
        at = sum(w[r, c] * prompt[c] for c in range(2))
        slope_of, dummy = sympy.Function(rf"{{h'_{r + 1}}}", real=True), sympy.Symbol(f"u_{r + 1}", real=True)
        integral = sympy.Integral(slope_of(dummy), (dummy, 0, at))
        entries.append(eq(features[r], sympy.Symbol(f"f_{r + 1}", real=True) + omega * integral))
        slope_at.append(eq(slopes[r], slope_of(at)))
    margin_of = eq(margin, y * (g[0] * features[0] + g[1] * features[1]))
    residual = eq(q, 1 / (1 + sympy.exp(margin)))

    def of_sample(letter: Formula) -> Formula:
        return sympy.Function(letter.name, real=True)(i)

    def mean(value: Formula) -> Formula:
        per_sample = {letter: of_sample(letter) for letter in (y, q, *g)}
        return sympy.Sum(value.subs(per_sample), (i, 1, samples)) / samples

    pull_of = tuple(eq(pulls[r], mean(q * y * g[r])) for r in range(2))
    loss_steps = [
        Step.assumed("The margin of a sample is the label times the score of the mixture (T3).", margin_of),
        *(
            Step.assumed(
                f"Entry {r + 1} of the mixture: f_{r + 1} comes from the other prompt, the rest from this one "
                f"through z_{r + 1} = ⟨w_{r + 1}, p⟩ (the encoder is the integral of its slope h').",
                entries[r],
            )
            for r in range(2)
        ),
    ]
    gradients: list[Formula] = []
    for c in range(2):
        slope_of_loss = sympy.Derivative(sympy.log(1 + sympy.exp(-margin)), prompt[c])
        through = eq(slope_of_loss, -q * sympy.Derivative(margin, prompt[c]))
        pulled = [omega * y * g[r] * slopes[r] * w[r, c] for r in range(2)]
        sample = eq(sympy.Derivative(margin, prompt[c]), sum(pulled))
        average = sympy.Symbol(rf"\partial_{{{c + 1}}}\ell", real=True)
        average_of = eq(average, sum(mean(-q * part) for part in pulled))
        gradient = eq(average, -omega * sum(w[r, c] * slopes[r] * pulls[r] for r in range(2)))
        gradients.append(gradient)
        loss_steps += [
            Step.identity(
                f"A sample's loss changes with coordinate {c + 1} of the prompt through its margin, at rate −q …",
                through,
                residual,
            ),
            Step.identity("… and its margin at this one.", sample, margin_of, *entries, *slope_at),
            Step.identity(
                "The client's loss is the mean over its samples; m_r is the mean of q y g_r.",
                gradient,
                average_of,
                *pull_of,
            ),
        ]
    statement: list[Formula] = []
    step_steps: list[Step] = []
    for r in range(2):
        # a step of size η moves z_r = ⟨w_r, p⟩ by −η⟨w_r, ∇ℓ⟩
        moved_by = eq(moved[r], -eta * sum(w[r, c] * gradients[c].lhs for c in range(2)))
        products = tuple(eq(gram[r, s], w[r, 0] * w[s, 0] + w[r, 1] * w[s, 1]) for s in range(2))
        spread = eta * omega * sum(gram[r, s] * slopes[s] * pulls[s] for s in range(2))
        alone = increment.subs({norm: gram[r, r], slope_symbol: slopes[r], pull_symbol: pulls[r]})
        general, single = eq(moved[r], spread), eq(moved[r], alone)
        statement += [general, single]
        step_steps += [
            Step.identity(
                f"A gradient step of size η moves z_{r + 1} by row {r + 1} of η ω G [h' ∘ m], G = W Wᵀ (any rows).",
                general,
                moved_by,
                *gradients,
                *products,
            ),
            Step.identity(
                f"For orthogonal rows only row {r + 1} itself remains, and z_{r + 1} is the coefficient (T4).",
                single,
                general,
                eq(gram[0, 1], 0),
            ),
        ]
    lemmas = (
        Lemma("The gradient of a client's loss", tuple(loss_steps), states=tuple(gradients)),
        Lemma("A step along the gradient", tuple(step_steps), states=tuple(statement)),
    )
    return Derivation(RESULT, statement=tuple(statement), lemmas=lemmas)


class Batch(NamedTuple):
    """The samples of one gradient step, and their margins under the mixture being trained."""

    features: ArrayLike
    """g; shape (samples, rows)."""
    labels: ArrayLike
    """y, ±1; shape (samples,)."""
    margins: ArrayLike
    """M = y f(g); shape (samples,)."""


def _mean_pull(batch: Batch, rows: int) -> NDArray[np.float64]:
    """mean_i q_i y_i g_i, shape (rows,)."""
    g, y, margin = (finite(name, values) for name, values in batch._asdict().items())
    if g.ndim != 2 or g.shape[0] == 0 or g.shape[1] != rows:
        raise ValueError(
            f"`features` has shape {g.shape}; allowed: (samples, {rows}) with at least one sample"
        )
    for name, values in (("labels", y), ("margins", margin)):
        if values.shape != g.shape[:1]:
            raise ValueError(
                f"`{name}` has shape {values.shape}; allowed: {g.shape[:1]}, one entry per sample"
            )
    if not np.all(np.abs(y) == 1):
        raise ValueError(f"`labels` is {y[np.abs(y) != 1][0]}; allowed: -1 and 1")
    # q = 1/(1+e^M) is the logistic function of −M, which does not overflow
    answer: NDArray[np.float64] = (expit(-margin) * y) @ g / g.shape[0]
    return answer


def coefficient_increment(
    batch: Batch, *, learning_rate: ArrayLike, weight: ArrayLike, squared_norms: ArrayLike, slope: ArrayLike
) -> NDArray[np.float64]:
    """Return the change of each coefficient in one gradient step, for orthogonal rows (T5).

    Let η be `learning_rate`, ω `weight` (1−θ for the global prompt, θ for the local one), ‖w_r‖²
    `squared_norms` and h'_r `slope`, both of shape (rows,). The change is η ω ‖w_r‖² h'_r mean_i
    [y_i g_ir/(1+exp(M_i))] over the samples of `batch`.

    Returns:
        Array of shape (rows,), in the units of ⟨w_r, p⟩.

    Raises:
        ValueError: shapes that do not match, labels other than ±1, ω outside [0, 1], negative η or squared
        norms.

    >>> batch = Batch(features=[[1.0], [-1.0]], labels=[1, -1], margins=[0.0, 0.0])
    >>> coefficient_increment(batch, learning_rate=0.5, weight=1.0, squared_norms=[4.0], slope=[2.0]).tolist()
    [2.0]
    """
    eta, omega = nonnegative("learning_rate", learning_rate), unit_interval("weight", weight)
    norms = np.atleast_1d(nonnegative("squared_norms", squared_norms))
    slopes = np.atleast_1d(finite("slope", slope))
    if norms.ndim != 1 or slopes.shape != norms.shape:
        raise ValueError(f"`slope` has shape {slopes.shape}; allowed: that of `squared_norms`, (rows,)")
    answer: NDArray[np.float64] = as_function(*formula())(
        eta, omega, norms, slopes, _mean_pull(batch, norms.size)
    )
    return answer


def preactivation_increment(
    batch: Batch, *, learning_rate: ArrayLike, weight: ArrayLike, gram: ArrayLike, slope: ArrayLike
) -> NDArray[np.float64]:
    """Return the change of every pre-activation z_r in one gradient step, for any rows (general form of T5).

    Let W Wᵀ be `gram`, of shape (rows, rows); every other argument is that of `coefficient_increment`. The
    change is η ω (W Wᵀ) [h' ∘ mean_i q_i y_i g_i].

    Returns:
        Array of shape (rows,).

    Raises:
        ValueError: as `coefficient_increment`, and a `gram` that is not square.

    >>> batch = Batch(features=[[1.0], [-1.0]], labels=[1, -1], margins=[0.0, 0.0])
    >>> preactivation_increment(batch, learning_rate=0.5, weight=1.0, gram=[[4.0]], slope=[2.0]).tolist()
    [2.0]
    """
    matrix = between("gram", gram)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`gram` has shape {matrix.shape}; allowed: (rows, rows)")
    # with unit norms the derived formula gives the drive η ω h' mean(q y g), which the Gram matrix then spreads
    drive = coefficient_increment(
        batch, learning_rate=learning_rate, weight=weight, squared_norms=np.ones(len(matrix)), slope=slope
    )
    answer: NDArray[np.float64] = matrix @ drive
    return answer
