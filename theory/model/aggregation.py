"""What federated averaging does to the coefficients of the first round (T6).

Statement (T6): averaging leaves β unchanged, multiplies γ_{s(k)} by χ_k/K (equal sample counts), and makes
the noise energy E‖φ_G‖² proportional to Σ_k p_k²/n_k = 1/N, where a local prompt has 1/n_k.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.numerics.validation import ArrayLike, Values, between, checked_group_size, finite, result
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
from theory.proof.gaussian import expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T6",
    title="Aggregation law",
    problem="Every client takes one small step from the same start and the server averages with weights n_k/N: "
    "what is left of the shared signal, the client-specific signal and the noise?",
    assumptions=(
        "First round, small step, zero start.",
        "Independent noise across clients.",
        "Equal sample counts for the signal factor; the noise energy is an expectation over the data.",
    ),
    bound="exact",
    uses=("T1", "T5"),
    sources=(
        "McMahan, Moore, Ramage, Hampson and Agüera y Arcas (2017), Communication-Efficient Learning of Deep "
        "Networks from Decentralized Data (federated averaging)",
    ),
)


class NoiseEnergyFactors(NamedTuple):
    """Noise energies up to the common factor (η h'/2)² e² L σ_p², in units of 1/samples.

    `global_prompt` has shape (…,); `local_prompts` has shape (…, clients).
    """

    global_prompt: Values
    local_prompts: Values


@cache
def chi_definition() -> Formula:
    """Return the definition of χ: the inner products G_j of a client's ν with all clients' sum to χ‖ν‖².

    >>> chi_definition().rhs
    b*chi
    """
    import sympy

    at, j = letters(), sympy.Symbol("j", integer=True, positive=True)
    return eq(sympy.Sum(sympy.Function("G")(j), (j, 1, at.K)), at.chi * at.b)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (χ, K, N), the factor of the client's signal and that of the noise energy.

    >>> formula()[1:]
    (chi/K, 1/N)
    """
    import sympy

    at, total = letters(), sympy.Symbol("N", positive=True)
    # the average over clients of ⟨ν_{s(k)}, ν_{s(j)}⟩/‖ν‖²
    return (at.chi, at.K, total), chi_definition().rhs / at.b / at.K, 1 / total


@cache
def derivation() -> Derivation:
    """Derive T6: the signal factor χ/K and the noise energy 1/N."""
    import sympy

    at = letters()
    (_, _, total), factor, energy = formula()
    x = sympy.Symbol("x", real=True)
    beta, delta, row, moved = sympy.symbols(r"beta delta f \bar{\gamma}", positive=True)
    j = sympy.Symbol("j", integer=True, positive=True)
    weight, count = (sympy.Function(name, positive=True)(j) for name in ("p", "n"))

    def over_clients(summand: Formula) -> Formula:
        return sympy.Sum(summand, (j, 1, at.K))

    averaging = (eq(weight, count / total), eq(over_clients(count), total))
    moved_of = eq(moved, over_clients(delta * sympy.Function("G")(j) / at.b) / at.K)
    signal = eq(moved, factor * delta)
    noise = eq(over_clients(weight**2 / count), energy)
    steps = (
        Step.identity(
            "All clients move β alike, and the weights n_j/N sum to one, so averaging leaves β unchanged.",
            eq(over_clients(weight * beta), beta),
            *averaging,
        ),
        Step.assumed(
            "The group size χ of a client is defined by the inner products G_j of its ν with all clients'.",
            chi_definition(),
        ),
        Step.identity(
            "Client j moves along its own ν by δ; the average's coefficient along ν_{s(k)} is χ/K of that.",
            signal,
            moved_of,
            chi_definition(),
        ),
        Step.identity(
            "An irrelevant coordinate times its label has mean zero and variance σ_p².",
            eq(expectation(x**2, x, at.sigma), at.sigma**2),
        ),
        Step.identity(
            "A local coefficient f·(mean of n such independent terms) therefore has variance f² σ_p²/n.",
            eq((row / at.n) ** 2 * sympy.Sum(at.sigma**2, (j, 1, at.n)), row**2 * at.sigma**2 / at.n),
        ),
        Step.identity(
            "Independent variances add with squared weights: Σ p_k²/n_k = Σ n_k/N² = 1/N.", noise, *averaging
        ),
    )
    return Derivation(RESULT, statement=(signal, noise), steps=steps)


def signal_factor(*, group_size: ArrayLike, clients: ArrayLike) -> Values:
    """Return χ/K, what averaging leaves of a client-specific coefficient (T6).

    Let χ be `group_size` (between 2−K and K) and K be `clients`; arguments broadcast. The result has no unit.

    Raises:
        ValueError: fewer than one client, or χ outside its range.

    >>> float(signal_factor(group_size=1, clients=4))
    0.25
    """
    count = between("clients", clients, 1)
    symbols, factor, _ = formula()
    chi = checked_group_size(group_size, count, symmetric=False)
    return result(as_function(symbols[:2], factor)(chi, count))


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
    symbols, _, factor = formula()
    energy = as_function(symbols[2:], factor)
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
        _, of_client, members = np.unique(labels, return_inverse=True, return_counts=True)
        return members[of_client].astype(np.float64)
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
