"""Coefficients of a trained prompt along the rows of W (T4).

Problem: write the displacement p^(t) − p^(0) of a prompt in the span of the frozen rows w_r of W as
Σ_r a_r w_r/‖w_r‖².

Statement (T4): the coefficients exist, are unique, and equal a = diag(‖w_r‖²) (W Wᵀ)^{-1} W (p^(t) − p^(0));
for orthogonal rows a_r = ⟨w_r, p^(t) − p^(0)⟩.

Assumptions: linearly independent rows; a displacement in their span (gradient training never leaves it).
Provenance: derived. Bound: exact. Reference: linear algebra; `DERIVED_HERE` in `theory.derivation`.

The derivation treats two and three rows with general symbolic Gram matrices. The numeric function solves the
same linear system with a QR factorisation of Wᵀ, which does not square the condition number as W Wᵀ does.
"""

from functools import cache

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from theory.arguments import ArrayLike, finite
from theory.derivation import DERIVED_HERE, Derivation, Formula, Step, relation


@cache
def _solved(rows: int) -> tuple[Formula, Formula, Formula]:
    """Gram matrix, inner products ⟨w_r, p − p0⟩ and the solution of the linear
    system."""
    import sympy

    gram = sympy.Matrix(
        rows,
        rows,
        lambda i, j: (
            sympy.Symbol(f"g_{i + 1}{i + 1}", positive=True)
            if i == j
            else sympy.Symbol(f"g_{min(i, j) + 1}{max(i, j) + 1}", real=True)
        ),
    )
    inner = sympy.Matrix(sympy.symbols(f"d_1:{rows + 1}", real=True))
    unknown = sympy.Matrix(sympy.symbols(f"a_1:{rows + 1}", real=True))
    norms = sympy.diag(*gram.diagonal())
    # ⟨w_r, p − p0⟩ = Σ_s a_s ⟨w_r, w_s⟩/‖w_s‖²
    (solution,) = sympy.linsolve((gram * norms.inv(), inner), *unknown)
    return gram, inner, sympy.Matrix(solution)


@cache
def derivation() -> Derivation:
    """Derive T4 for two and three rows: existence, uniqueness, and the orthogonal special case.

    >>> derivation().bound
    'exact'
    """
    import sympy

    steps: list[Step] = []
    statement: list[Formula] = []
    for rows in (2, 3):
        gram, inner, solution = _solved(rows)
        norms = sympy.diag(*gram.diagonal())
        residual = gram * norms.inv() * solution - inner
        closed = norms * gram.inv() * inner
        for r in range(rows):
            claim = relation("=", solution[r], closed[r])
            statement.append(claim)
            steps += [
                Step(
                    f"Existence ({rows} rows): the solved coefficients reproduce ⟨w_{r + 1}, p − p0⟩.",
                    relation("=", residual[r], 0),
                    "identity",
                ),
                Step(
                    f"They are entry {r + 1} of diag(‖w_r‖²) (W Wᵀ)^(-1) W (p − p0) ({rows} rows).",
                    claim,
                    "identity",
                ),
            ]
        steps.append(
            Step(
                f"Uniqueness ({rows} rows): the determinant of the system is that of the Gram matrix, "
                f"which is "
                "positive for independent rows, over positive norms.",
                relation("=", (gram * norms.inv()).det(), gram.det() / norms.det()),
                "identity",
            )
        )
        orthogonal = tuple(
            sympy.Eq(gram[i, j], 0, evaluate=False) for i in range(rows) for j in range(i + 1, rows)
        )
        for r in range(rows):
            claim = relation("=", solution[r], inner[r])
            steps.append(
                Step(
                    f"Orthogonal rows ({rows} rows): a_{r + 1} is ⟨w_{r + 1}, p − p0⟩.",
                    claim,
                    "identity",
                    orthogonal,
                )
            )
    return Derivation(
        tag="T4",
        title="Coefficients of a trained prompt",
        problem="Write the displacement of a prompt as a combination of the rows of W, each divided by "
        "its squared norm.",
        assumptions=("The rows of W are linearly independent.", "The displacement lies in their span."),
        statement=tuple(statement),
        bound="exact",
        provenance="derived",
        reference=DERIVED_HERE,
        steps=tuple(steps),
    )


def _rows(weights: ArrayLike) -> NDArray[np.float64]:
    matrix = finite("weights", weights)
    if matrix.ndim != 2 or matrix.shape[0] > matrix.shape[1] or matrix.shape[0] == 0:
        raise ValueError(f"`weights` has shape {matrix.shape}; allowed: (rows, dim) with 1 <= rows <= dim")
    return matrix


def coefficients(weights: ArrayLike, displacement: ArrayLike) -> NDArray[np.float64]:
    """Return the coefficients a of a displacement along the rows of W (T4).

    Let W be `weights`, of shape (rows, dim), and p^(t) − p^(0) be `displacement`, of shape (dim,) or (…,
    dim); then a = diag(‖w_r‖²) (W Wᵀ)^{-1} W (p^(t) − p^(0)). A part of the displacement outside the span of
    the rows is ignored.

    Returns:
        Array of shape (rows,) or (…, rows), in the units of ⟨w_r, p⟩.

    Raises:
        ValueError: wrong shapes, entries that are not finite, or linearly dependent rows.

    >>> coefficients([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [3.0, 5.0, 0.0]).tolist()
    [6.0, 5.0]
    """
    matrix = _rows(weights)
    moved = finite("displacement", displacement)
    if moved.ndim == 0 or moved.shape[-1] != matrix.shape[1]:
        raise ValueError(f"`displacement` has shape {moved.shape}; allowed: (..., {matrix.shape[1]})")
    q, r = scipy.linalg.qr(matrix.T, mode="economic")
    pivots = np.abs(np.diag(r))
    norms = np.linalg.norm(matrix, axis=1)
    # a row nearly in the span of the others leaves a pivot that is tiny against its own length
    if np.any(pivots <= matrix.shape[1] * np.finfo(np.float64).eps * norms):
        raise ValueError("`weights` has linearly dependent rows; allowed: linearly independent rows")
    flat = moved.reshape(-1, matrix.shape[1])
    solved = scipy.linalg.solve_triangular(r, q.T @ flat.T)
    answer: NDArray[np.float64] = (solved.T * norms**2).reshape(*moved.shape[:-1], matrix.shape[0])
    return answer


def reconstruct(weights: ArrayLike, coefficients: ArrayLike) -> NDArray[np.float64]:
    """Return the displacement Σ_r a_r w_r/‖w_r‖² that has the given coefficients (T4).

    Let W be `weights`, of shape (rows, dim), and a be `coefficients`, of shape (rows,) or (…, rows).

    Returns:
        Array of shape (dim,) or (…, dim).

    Raises:
        ValueError: wrong shapes, entries that are not finite, or a row of zeros.

    >>> reconstruct([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [6.0, 5.0]).tolist()
    [3.0, 5.0, 0.0]
    """
    matrix = _rows(weights)
    values = finite("coefficients", coefficients)
    if values.ndim == 0 or values.shape[-1] != matrix.shape[0]:
        raise ValueError(f"`coefficients` has shape {values.shape}; allowed: (..., {matrix.shape[0]})")
    squared = np.sum(matrix**2, axis=1)
    if np.any(squared == 0):
        raise ValueError("`weights` has a row of zeros; allowed: rows of positive norm")
    answer: NDArray[np.float64] = (values / squared) @ matrix
    return answer
