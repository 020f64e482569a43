"""Coefficients of a trained prompt along the rows of W (T4).

Statement (T4): the coefficients exist, are unique, and equal a = diag(‖w_r‖²) (W Wᵀ)^{-1} W (p^(t) − p^(0));
for orthogonal rows a_r = ⟨w_r, p^(t) − p^(0)⟩.

The derivation treats three rows with a general symbolic Gram matrix. The numeric function solves the
same linear system with a QR factorisation of Wᵀ, which does not square the condition number as W Wᵀ does.
"""

from functools import cache
from types import SimpleNamespace

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from theory.numerics.validation import ArrayLike, finite
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, eq

RESULT = Result(
    tag="T4",
    title="Coefficients of a trained prompt",
    problem="Write the displacement of a prompt as a combination of the rows of W, each divided by "
    "its squared norm.",
    assumptions=(
        "The rows of W are linearly independent.",
        "The displacement lies in their span, which gradient training never leaves.",
    ),
    bound="exact",
)


ROWS = 3
"""Rows in the derivation: the fewest for which a row has more than one neighbour."""


def _symmetric(letter: str) -> Formula:
    import sympy

    def entry(r: int, s: int) -> Formula:
        return sympy.Symbol(f"{letter}_{min(r, s) + 1}{max(r, s) + 1}", real=True)

    return sympy.Matrix(ROWS, ROWS, entry)


@cache
def _cramer() -> SimpleNamespace:
    """Cramer's rule for three rows: the letters, the coefficients in cofactors, and the cofactors."""
    import sympy

    gram, cofactors = _symmetric("g"), _symmetric("C")
    inner, unknown = (sympy.symbols(f"{letter}_1:{ROWS + 1}", real=True) for letter in "da")
    determinant = sympy.Symbol("D", positive=True)
    rows = range(ROWS)
    solved = tuple(
        eq(unknown[r], gram[r, r] / determinant * sum(cofactors[r, s] * inner[s] for s in rows)) for r in rows
    )
    minors = tuple(eq(cofactors[r, s], gram.cofactor(r, s)) for r in rows for s in range(r, ROWS))
    expanded = eq(determinant, sum(gram[0, s] * cofactors[0, s] for s in rows))
    return SimpleNamespace(
        gram=gram, inner=inner, unknown=unknown, solved=solved, minors=minors, expanded=expanded
    )


@cache
def formula() -> tuple[Formula, Formula, Formula]:
    """Return the Gram matrix, the inner products d_r = ⟨w_r, p − p0⟩ and the coefficients, for three rows.

    >>> gram, inner, coefficients = formula()
    >>> orthogonal = {gram[0, 1]: 0, gram[0, 2]: 0, gram[1, 2]: 0}
    >>> coefficients[0].subs(orthogonal)
    d_1
    """
    import sympy

    parts = _cramer()
    in_letters = [(fact.lhs, fact.rhs) for fact in (parts.expanded, *parts.minors)]
    entries = [sympy.cancel(claim.rhs.subs(in_letters)) for claim in parts.solved]
    return parts.gram, sympy.Matrix(parts.inner), sympy.Matrix(entries)


@cache
def derivation() -> Derivation:
    """Derive T4 for three rows: the formula, existence, uniqueness, and the orthogonal special case."""
    parts = _cramer()
    gram, inner, unknown, solved = parts.gram, parts.inner, parts.unknown, parts.solved
    rows = range(ROWS)
    inverse = (parts.expanded, *parts.minors)
    orthogonal = tuple(eq(gram[r, s], 0) for r in rows for s in range(r + 1, ROWS))
    system = [eq(inner[r], sum(gram[r, s] * unknown[s] / gram[s, s] for s in rows)) for r in rows]
    definitions = (
        *(Step.assumed("A cofactor of the Gram matrix G = W Wᵀ.", minor) for minor in parts.minors),
        Step.assumed(
            "Its determinant, positive because the rows are linearly independent; C/D is the inverse.",
            parts.expanded,
        ),
    )
    existence = tuple(
        Step.identity(
            f"With the coefficients of the formula, Σ_s a_s w_s/‖w_s‖² has the right product with w_{r + 1}.",
            system[r],
            *solved,
            *inverse,
        )
        for r in rows
    )
    uniqueness = tuple(
        Step.identity(
            f"Any coefficients that have the right products give back a_{r + 1} by the formula.",
            solved[r],
            *system,
            *inverse,
        )
        for r in rows
    )
    special = tuple(
        Step.identity(
            f"Orthogonal rows: a_{r + 1} is ⟨w_{r + 1}, p − p0⟩.",
            eq(unknown[r], inner[r]),
            solved[r],
            *inverse,
            *orthogonal,
        )
        for r in rows
    )
    lemmas = (
        Lemma("Coefficients exist", (*definitions, *existence), states=tuple(system)),
        Lemma("There are no others", uniqueness, states=solved),
        Lemma("Orthogonal rows", special, states=tuple(step.claim for step in special)),
    )
    return Derivation(RESULT, statement=solved, lemmas=lemmas)


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
