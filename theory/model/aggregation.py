"""What federated averaging does to the coefficients of the first round (T6).

Statement (T6): averaging leaves β unchanged, multiplies γ_{s(k)} by χ_k/K (equal sample counts), and makes
the noise energy E‖φ_G‖² proportional to Σ_k p_k²/n_k = 1/N, where a local prompt has 1/n_k.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.numerics.validation import ArrayLike, Values, between, checked_group_size, finite, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T6",
    title="Aggregation law",
    problem="Average one small step of every client: what happens to shared signal, client signal and noise?",
    assumptions=(
        "First round, small step, zero start.",
        "Independent noise across clients.",
        "Equal sample counts for the signal factor.",
    ),
    bound="exact",
    uses=(),
)


class NoiseEnergyFactors(NamedTuple):
    """Noise energies up to the common factor (η h'/2)² e² L σ_p², in units of 1/samples.

    `global_prompt` has shape (…,); `local_prompts` has shape (…, clients).
    """

    global_prompt: Values
    local_prompts: Values


@cache
def _signal_factor() -> Formula:
    """Average over clients of ⟨ν_{s(k)}, ν_{s(j)}⟩/‖ν‖², with the definition of χ_k."""
    import sympy

    at = letters()
    j = sympy.Symbol("j", integer=True, positive=True)
    inner = sympy.Function("G")(j)  # ⟨ν_{s(k)}, ν_{s(j)}⟩
    total = sympy.Sum(inner, (j, 1, at.K))
    average = total / at.K / at.b
    return average.subs(total, at.chi * at.b)


@cache
def _noise_energy() -> tuple[Formula, tuple[Formula, ...], Formula]:
    """Variance of Σ_k p_k φ_k when client k's φ_k has variance 1/n_k: the sum, what is given, and its value."""
    import sympy

    k = sympy.Symbol("k", integer=True, positive=True)
    weight, counts = (sympy.Function(name, positive=True)(k) for name in ("p", "n"))
    total = sympy.Symbol("N", positive=True)
    in_clients = (k, 1, letters().K)
    given = (
        relation("=", weight, counts / total),
        relation("=", sympy.Sum(counts, in_clients), total),
    )
    return sympy.Sum(weight**2 / counts, in_clients), given, 1 / total


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (χ, K, N), the factor of the client's signal and that of the noise energy.

    >>> formula()[1:]
    (chi/K, 1/N)
    """
    at = letters()
    _, weights, noise_factor = _noise_energy()
    return (at.chi, at.K, weights[1].rhs), _signal_factor(), noise_factor


@cache
def derivation() -> Derivation:
    """Derive T6: the signal factor χ/K and the noise energy 1/N.

    >>> derivation().result.tag
    'T6'
    """
    import sympy

    at = letters()
    energy, weights, _ = _noise_energy()
    _, signal_factor_of, noise_factor = formula()
    all_samples, total = weights[1].lhs, weights[1].rhs
    j = sympy.Symbol("j", integer=True, positive=True)
    inner = sympy.Function("G")(j)
    delta, noise_row = sympy.symbols("delta f", positive=True)
    x = sympy.Symbol("x", real=True)
    density = sympy.exp(-(x**2) / (2 * at.sigma**2)) / (sympy.sqrt(2 * sympy.pi) * at.sigma)
    group_size = relation("=", sympy.Sum(inner, (j, 1, at.K)), at.chi * at.b)
    moved = sympy.Symbol(r"\bar{\gamma}", positive=True)
    signal = relation("=", moved, signal_factor_of * delta)
    moved_of = relation("=", moved, sympy.Sum(delta * inner / at.b, (j, 1, at.K)) / at.K)
    noise = relation("=", energy, noise_factor)
    # with p_j = n_j/N the linear term of the average is Σ p_j β = β Σ n_j/N
    beta = sympy.Symbol("beta", positive=True)
    steps = (
        Step(
            "All clients move β alike, and the weights n_j/N sum to one, so averaging leaves β unchanged.",
            relation("=", beta * all_samples / total, beta),
            "identity",
            (relation("=", all_samples, total),),
        ),
        Step(
            "The group size χ of a client is defined by the inner products G_j of its ν with all others.",
            group_size,
            "assumed",
        ),
        Step(
            "Client j moves along its own ν by δ; the average's coefficient along ν_{s(k)} is χ/K of that.",
            signal,
            "identity",
            (moved_of, group_size),
        ),
        Step(
            "An irrelevant coordinate times its label has mean zero and variance σ_p².",
            relation("=", sympy.Integral(x**2 * density, (x, -sympy.oo, sympy.oo)), at.sigma**2),
            "identity",
        ),
        Step(
            "A local coefficient f·(mean of n such terms) therefore has variance f² σ_p²/n.",
            relation(
                "=",
                (noise_row / at.n) ** 2 * sympy.Sum(at.sigma**2, (j, 1, at.n)),
                noise_row**2 * at.sigma**2 / at.n,
            ),
            "identity",
        ),
        Step(
            "Independent variances add with squared weights: Σ p_k²/n_k = Σ n_k/N² = 1/N.",
            noise,
            "identity",
            weights,
        ),
    )
    return Derivation(RESULT, statement=(signal, noise), steps=steps)


@cache
def _numeric() -> tuple[Any, Any]:
    (chi, clients, total), signal, noise = formula()
    return as_function((chi, clients), signal), as_function([total], noise)


def signal_factor(*, group_size: ArrayLike, clients: ArrayLike) -> Values:
    """Return χ/K, what averaging leaves of a client-specific coefficient (T6).

    Let χ be `group_size` (between 2−K and K) and K be `clients`; arguments broadcast. The result has no unit.

    Raises:
        ValueError: fewer than one client, or χ outside its range.

    >>> float(signal_factor(group_size=1, clients=4))
    0.25
    """
    count = between("clients", clients, 1)
    return result(_numeric()[0](checked_group_size(group_size, count, symmetric=False), count))


def noise_energy_factor(sample_counts: ArrayLike) -> NoiseEnergyFactors:
    """Return the noise energies Σ_k p_k²/n_k = 1/N of the averaged prompt and 1/n_k of the local ones (T6).

    Let n_k be `sample_counts`, of shape (…, clients). Multiply either energy by the same factor, e.g. (2eωτ)²
    L σ_p², to get an expected squared norm.

    Raises:
        ValueError: a sample count below one.

    >>> factors = noise_energy_factor([10, 30])
    >>> round(float(factors.global_prompt), 6)
    0.025
    """
    counts = np.atleast_1d(between("sample_counts", sample_counts, 1))
    energy = _numeric()[1]
    return NoiseEnergyFactors(result(energy(counts.sum(axis=-1))), result(energy(counts)))


def client_group_sizes(groups: ArrayLike, gram: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return χ_k = Σ_j ⟨ν_s(k), ν_s(j)⟩/‖ν_s(k)‖² of every client (section 1, used by T6).

    Let s(k) be `groups`, integers of shape (clients,), and ⟨ν_s, ν_s'⟩ be `gram`, of shape (groups, groups);
    without `gram` the ν are orthogonal and χ_k counts the clients of the group.

    Returns:
        Array of shape (clients,).

    Raises:
        ValueError: groups that are not nonnegative integers, or a Gram matrix that does not cover them.

    >>> client_group_sizes([0, 1, 0, 2]).tolist()
    [2.0, 1.0, 2.0, 1.0]
    """
    labels = _group_labels(groups)
    if gram is None:
        return (labels[:, None] == labels[None, :]).sum(axis=1).astype(np.float64)
    matrix = finite("gram", gram)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or labels.max() >= matrix.shape[0]:
        raise ValueError(
            f"`gram` has shape {matrix.shape}; allowed: (groups, groups) covering group {labels.max()}"
        )
    chosen = matrix[labels[:, None], labels[None, :]]
    if np.any(np.diag(chosen) <= 0):
        raise ValueError("`gram` has a diagonal entry that is not positive; allowed: positive squared norms")
    answer: NDArray[np.float64] = chosen.sum(axis=1) / np.diag(chosen)
    return answer


def _group_labels(groups: ArrayLike) -> NDArray[np.int64]:
    labels = np.asarray(groups)
    if (
        labels.ndim != 1
        or labels.size == 0
        or not np.issubdtype(labels.dtype, np.integer)
        or labels.min() < 0
    ):
        raise ValueError(f"`groups` is {groups!r}; allowed: one nonnegative integer per client")
    return labels.astype(np.int64)
