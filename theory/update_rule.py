"""One gradient step in coefficients (T5).

Problem: a step of gradient descent on the loss T3 moves a prompt p; by how much do its coefficients move?

Statement (T5): for orthogonal rows, with q_i = 1/(1+exp(M_i)) and M_i the margin y_i f(g_i), a_r ← a_r + η ω
‖w_r‖² h'_r(z_r) (1/n) Σ_i q_i y_i g_{i,r}, where ω is the prompt's weight in the mixture. For general rows
the pre-activations move by z ← z + η ω (W Wᵀ) [h'(z) ∘ (1/n) Σ_i q_i y_i g_i].

Assumptions: any differentiable activation σ; labels ±1. Provenance: derived. Bound: exact.
Reference: the chain rule; `DERIVED_HERE` in `theory.derivation`.

The derivation differentiates the loss of two samples through z_r = ⟨w_r, p⟩ for two rows in the plane and an
arbitrary function σ.
"""

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from theory.arguments import ArrayLike, between, finite, nonnegative, unit_interval
from theory.derivation import DERIVED_HERE, Derivation, Formula, Step, as_function, relation


@cache
def _differentiated() -> SimpleNamespace:
    """Differentiate the loss of two samples with respect to a prompt with two coordinates."""
    import sympy

    rows, samples = 2, 2
    eta, omega = sympy.symbols("eta omega", positive=True)
    prompt = sympy.Matrix(sympy.symbols("p_1:3", real=True))
    w = sympy.Matrix(rows, 2, sympy.symbols("w_1:3_1:3", real=True))
    z = sympy.symbols("z_1:3", real=True)
    offset = sympy.symbols("c_1:3", positive=True)
    other = sympy.symbols("h_1:3", real=True)  # what the other prompt contributes to H, held fixed
    y = sympy.symbols("y_1:3", real=True)
    g = sympy.Matrix(samples, rows, sympy.symbols("g_1:3_1:3", real=True))
    activation = sympy.Function("sigma")
    text = [activation(z[r] + offset[r]) - activation(-z[r] + offset[r]) for r in range(rows)]
    mixture = [other[r] + omega * text[r] for r in range(rows)]
    margins = [y[i] * sum(g[i, r] * mixture[r] for r in range(rows)) for i in range(samples)]
    residuals = [1 / (1 + sympy.exp(margin)) for margin in margins]
    loss = sum(sympy.log(1 + sympy.exp(-margin)) for margin in margins) / samples
    at = {z[r]: (w.row(r) * prompt)[0] for r in range(rows)}
    gradient_z = [sympy.diff(loss, z[r]) for r in range(rows)]
    gradient_p = [sympy.diff(loss.subs(at), coordinate) for coordinate in prompt]
    slopes = [sympy.diff(text[r], z[r]) for r in range(rows)]
    pull = [sum(residuals[i] * y[i] * g[i, r] for i in range(samples)) / samples for r in range(rows)]
    return SimpleNamespace(
        eta=eta,
        omega=omega,
        w=w,
        at=at,
        gradient_z=gradient_z,
        gradient_p=gradient_p,
        slopes=slopes,
        pull=pull,
        gram=w * w.T,
        mixture=mixture,
    )


@cache
def _formula() -> tuple[tuple[Formula, ...], Formula]:
    """The increment −η ∂ℓ/∂z_r ‖w_r‖² of an orthogonal row, as an expression in the mean pull m = mean q y
    g_r."""
    import sympy

    parts = _differentiated()
    pull, slope, norm = sympy.symbols("m h_prime w_squared", real=True)
    coefficient = sympy.simplify(parts.gradient_z[0] / (parts.pull[0] * parts.slopes[0]))
    increment = -parts.eta * norm * slope * pull * coefficient
    return (parts.eta, parts.omega, norm, slope, pull), increment


@cache
def derivation() -> Derivation:
    """Derive T5 by differentiating the loss through z_r = ⟨w_r, p⟩.

    >>> len(derivation().statement)
    2
    """
    import sympy

    parts = _differentiated()
    first, second, turn = sympy.symbols("u_1 u_2 lambda", real=True)
    # every orthogonal pair in the plane: the second row is a multiple of the first one turned by a right
    # angle
    w = parts.w
    orthogonal = (
        relation("=", w[0, 0], first),
        relation("=", w[0, 1], second),
        relation("=", w[1, 0], -turn * second),
        relation("=", w[1, 1], turn * first),
    )
    steps: list[Step] = []
    statement: list[Formula] = []
    for r in range(2):
        steps.append(
            Step(
                f"The derivative of the loss along z_{r + 1} is minus ω times the slope times the mean "
                f"of q y g.",
                relation("=", parts.gradient_z[r], -parts.omega * parts.slopes[r] * parts.pull[r]),
                "identity",
            )
        )
    for coordinate in range(2):
        through = sum(w[r, coordinate] * parts.gradient_z[r].subs(parts.at) for r in range(2))
        steps.append(
            Step(
                f"The loss sees the prompt only through z, so its gradient is Σ_r w_r ∂ℓ/∂z_r "
                f"(coordinate {coordinate + 1}).",
                relation("=", parts.gradient_p[coordinate], through),
                "identity",
            )
        )
    for r in range(2):
        moved = -parts.eta * sum(w[r, i] * parts.gradient_p[i] for i in range(2))
        general = (
            parts.eta
            * parts.omega
            * sum(parts.gram[r, s] * parts.slopes[s] * parts.pull[s] for s in range(2))
        )
        steps.append(
            Step(
                f"A gradient step of size η moves z_{r + 1} by row {r + 1} of η ω W Wᵀ [h' ∘ mean q y "
                f"g] (general rows).",
                relation("=", moved, general.subs(parts.at)),
                "identity",
            )
        )
        single = parts.eta * parts.omega * parts.gram[r, r] * parts.slopes[r] * parts.pull[r]
        claim = relation("=", moved, single.subs(parts.at))
        statement.append(claim)
        steps.append(
            Step(
                f"For orthogonal rows only row {r + 1} itself remains, and z_{r + 1} is the coefficient.",
                claim,
                "identity",
                orthogonal,
            )
        )
    return Derivation(
        tag="T5",
        title="Update rule of the coefficients",
        problem="Find how one step of gradient descent on the logistic loss moves the coefficients of "
        "a prompt.",
        assumptions=(
            "A differentiable activation.",
            "Orthogonal rows (the general form is a step of its own).",
        ),
        statement=tuple(statement),
        bound="exact",
        provenance="derived",
        reference=DERIVED_HERE,
        steps=tuple(steps),
    )


@cache
def _numeric() -> Callable[..., Any]:
    return as_function(*_formula())


def _mean_pull(features: ArrayLike, labels: ArrayLike, margins: ArrayLike, rows: int) -> NDArray[np.float64]:
    g = finite("features", features)
    y = finite("labels", labels)
    margin = finite("margins", margins)
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
    *,
    learning_rate: ArrayLike,
    weight: ArrayLike,
    squared_norms: ArrayLike,
    slope: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    margins: ArrayLike,
) -> NDArray[np.float64]:
    """Return the change of each coefficient in one gradient step, for orthogonal rows (T5).

    Let η be `learning_rate`, ω `weight` (1−θ for the global prompt, θ for the local one), ‖w_r‖²
    `squared_norms` and h'_r `slope`, both of shape (rows,); let g be `features`, of shape (samples, rows), y
    be `labels` (±1) and M be `margins` y f(g), both of shape (samples,). The change is η ω ‖w_r‖² h'_r mean_i
    [y_i g_ir/(1+exp(M_i))].

    Returns:
        Array of shape (rows,), in the units of ⟨w_r, p⟩.

    Raises:
        ValueError: shapes that do not match, labels other than ±1, ω outside [0, 1], negative η or squared
        norms.

    >>> coefficient_increment(
    ...     learning_rate=0.5, weight=1.0, squared_norms=[4.0], slope=[2.0],
    ...     features=[[1.0], [-1.0]], labels=[1, -1], margins=[0.0, 0.0],
    ... ).tolist()
    [2.0]
    """
    eta = nonnegative("learning_rate", learning_rate)
    omega = unit_interval("weight", weight)
    norms = np.atleast_1d(nonnegative("squared_norms", squared_norms))
    slopes = np.atleast_1d(finite("slope", slope))
    if norms.ndim != 1 or slopes.shape != norms.shape:
        raise ValueError(f"`slope` has shape {slopes.shape}; allowed: that of `squared_norms`, (rows,)")
    pull = _mean_pull(features, labels, margins, norms.size)
    answer: NDArray[np.float64] = _numeric()(eta, omega, norms, slopes, pull)
    return answer


def preactivation_increment(
    *,
    learning_rate: ArrayLike,
    weight: ArrayLike,
    gram: ArrayLike,
    slope: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    margins: ArrayLike,
) -> NDArray[np.float64]:
    """Return the change of every pre-activation z_r in one gradient step, for any rows (general form of T5).

    Let W Wᵀ be `gram`, of shape (rows, rows); every other argument is that of `coefficient_increment`. The
    change is η ω (W Wᵀ) [h' ∘ mean_i q_i y_i g_i].

    Returns:
        Array of shape (rows,).

    Raises:
        ValueError: as `coefficient_increment`, and a `gram` that is not square.

    >>> preactivation_increment(
    ...     learning_rate=0.5, weight=1.0, gram=[[4.0]], slope=[2.0],
    ...     features=[[1.0], [-1.0]], labels=[1, -1], margins=[0.0, 0.0],
    ... ).tolist()
    [2.0]
    """
    matrix = between("gram", gram)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`gram` has shape {matrix.shape}; allowed: (rows, rows)")
    rows = matrix.shape[0]
    # with unit norms the derived formula gives the drive η ω h' mean(q y g), which the Gram matrix then
    # spreads
    drive = coefficient_increment(
        learning_rate=learning_rate,
        weight=weight,
        squared_norms=np.ones(rows),
        slope=slope,
        features=features,
        labels=labels,
        margins=margins,
    )
    answer: NDArray[np.float64] = matrix @ drive
    return answer
