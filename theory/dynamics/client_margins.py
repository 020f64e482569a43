"""The margins of unequal clients between two averages of the global prompt (T12).

Statement (T12): with τ_k what client k's residuals have added up to on the server's side and δ_k their sum since
the round began, the joint scheme has

    M_k = 4(1−θ)² [a Σ_j p_j τ_j + b Σ_{j: s(j)=s(k)} p_j τ_j + ν̄ p_k τ_k/n_k]
          + 4(1−θ)² (a + b + ν̄/n_k) δ_k + 4θ² (a + b + ν̄/n_k)(τ_k + δ_k).

Samples of several types (`theory.dynamics.sample_types`) have a τ_kc each; a feature acts on type c with the
sign σ_cr, and only the term of a sample's own noise does not mix types. `theory.dynamics.mean_field` turns the
margins into dynamics.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics.margin_rate import kernel_sums
from theory.dynamics.sample_types import Population
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq
from theory.proof.symbols import letters

RESULT = Result(
    tag="T12",
    title="General mean field",
    problem="How do the margins of unequal clients grow, with local steps between averages?",
    assumptions=(
        "Linear band, orthogonal rows, zero start, all clients in every round.",
        "Near-orthogonal noise: inner products of noise vectors equal their expectation (number of samples ≪ L).",
    ),
    bound="asymptotic",
    uses=("T2", "T5", "T6", "T8"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, tuple[Formula, ...], Formula]:
    """Return the two coefficients of the margin kernel of T12, each after its symbols, for full weights.

    First: through a feature of squared norm s, the fraction π of a client's samples, which has weight p in the
    prompt and sign σ_j, moves the margin of a sample with sign σ_i by this much per unit of τ. Second: so much
    does a sample move its own margin through its own noise.

    >>> _, relevant, _, own = formula()
    >>> relevant, own
    (4*p*pi*s*sigma_i*sigma_j, 4*nubar*p/n)
    """
    import sympy

    at, slope = letters(), kernel_sums().slope
    norm, weight, fraction = sympy.symbols("s p pi", positive=True)
    sign_i, sign_j = sympy.symbols("sigma_i sigma_j", real=True)
    coefficient = slope * norm * weight * fraction * sign_j  # T5, summed over steps and averaged
    relevant = slope * sign_i * coefficient
    # the sample is one of its client's n, and its noise has the expected energy ν̄ with itself
    own = slope**2 * at.nu_bar * weight / at.n
    return (norm, sign_i, sign_j, weight, fraction), relevant, (at.nu_bar, at.n, weight), own


@cache
def derivation() -> Derivation:
    """Derive T12 from the increment of T5, the expected inner products of T8, and averaging."""
    import sympy

    at, sums = letters(), kernel_sums()
    symbols, relevant, own_symbols, own = formula()
    norm, sign_i, sign_j, weight, fraction = symbols
    out, training, q, s = sympy.symbols("omega_out omega_train q s_h", positive=True)
    i, j, c, types = sympy.symbols("i j c C", integer=True, positive=True)
    p, tau, member, mean, drift, pi, sign = (
        sympy.IndexedBase(name) for name in ("p", "tau", "G", "m", "d", "pi", "sigma")
    )
    p_k, tau_k, delta_k, n_k = sympy.symbols("p_k tau_k delta_k n_k", positive=True)
    M_k, M_global, M_local, moved, margin_moved = sympy.symbols(r"M_k M_Gk M_Lk \Delta{z_r} \Delta{M_i}")

    def through(*values: Formula) -> Formula:
        return relevant.subs(dict(zip(symbols, values, strict=True)), simultaneous=True)

    def by_itself(count: Formula, share: Formula) -> Formula:
        return own.subs(dict(zip(own_symbols, (at.nu_bar, count, share), strict=True)), simultaneous=True)

    def over_clients(summand: Formula) -> Formula:
        return sympy.Sum(summand, (j, 1, at.K))

    def own_growth(count: Formula) -> Formula:
        """What a client with `count` samples adds by itself per unit of τ, at full weight."""
        return through(at.a, 1, 1, 1, 1) + through(at.b, 1, 1, 1, 1) + by_itself(count, 1)

    one_sample = eq(margin_moved, out * training * through(norm, sign_i, sign_j, 1, 1 / at.n) * at.eta * q)
    of_type = sympy.Sum(through(norm, sign_i, sign_j, weight, 1 / at.n) * at.tau, (i, 1, at.n * fraction))
    signed = sympy.Sum(pi[c] * sign[c] * tau[c], (c, 1, types))
    all_types = sympy.Sum(through(norm, sign_i, sign[c], weight, pi[c]) * tau[c], (c, 1, types))
    server = sympy.Symbol("A", real=True)
    own_noise = out * s * sympy.Sum(at.sigma**2 * training * s * at.e * weight * at.tau / at.n, (i, 1, at.L))
    in_band = eq(s, sums.slope)
    total, group_total = over_clients(p[j] * tau[j]), over_clients(member[j] * p[j] * tau[j])
    from_all = over_clients(through(at.a, 1, 1, p[j], 1) * tau[j])
    from_group = over_clients(member[j] * through(at.b, 1, 1, p[j], 1) * tau[j])
    each = through(at.a, 1, 1, 1, 1 / n_k) + through(at.b, 1, 1, 1, 1 / n_k)
    own_rate = at.a + at.b + at.nu_bar / n_k
    averaged_margin = at.a * total + at.b * group_total + at.nu_bar * p_k * tau_k / n_k + own_rate * delta_k
    local_margin = own_rate * (tau_k + delta_k)
    global_claim, local_claim = (eq(M_global, 4 * averaged_margin), eq(M_local, 4 * local_margin))
    statement = eq(M_k, 4 * (1 - at.theta) ** 2 * averaged_margin + 4 * at.theta**2 * local_margin)
    # equal clients: p = 1/K, the same τ
    symmetric_all = over_clients(through(at.a, 1, 1, 1 / at.K, 1) * at.tau)
    symmetric_group = over_clients(member[j] * through(at.b, 1, 1, 1 / at.K, 1) * at.tau)
    symmetric = symmetric_all + symmetric_group + by_itself(at.n, 1 / at.K) * at.tau
    by_drift = own_growth(at.n) * delta_k
    group_size, ones = eq(over_clients(member[j]), at.chi), eq(over_clients(p[j]), 1)
    kernel_steps = (
        Step.identity(
            "In the linear band the slope of the encoder is s_h = 2 (T2). By T5 one of a client's n samples, with "
            "(y g)_j = σ_j, moves the margin of another with σ_i, through one row, by the kernel's coefficient; "
            "the prompt's weights in training and in the output multiply it.",
            one_sample,
            eq(margin_moved, out * s * sign_i * moved),
            eq(moved, at.eta * training * norm * s * q * sign_j / at.n),
            in_band,
        ),
        Step.identity(
            "The n π samples of one type share their residuals, which add up to τ: together they count π.",
            eq(of_type, through(norm, sign_i, sign_j, weight, fraction) * at.tau),
        ),
        Step.modelled(
            "All types of one client act through their signed mean.",
            eq(all_types, through(norm, sign_i, 1, weight, 1) * signed),
        ),
        Step.identity(
            "A sample's own noise (expected square σ_p², L coordinates) stands in the prompt with the weight p/n; "
            "other samples' noise is orthogonal to it on average (T8).",
            eq(own_noise, out * training * by_itself(at.n, weight) * at.tau),
            in_band,
            eq(at.nu_bar, at.L * at.sigma**2 * at.e),
        ),
    )
    averaging = (
        Step.assumed("FedAvg's weights add up to one.", ones),
        Step.identity(
            "Averaging: every client starts the round at the server's coefficient A and adds its drift d_j.",
            eq(over_clients(p[j] * (server + drift[j])), server + over_clients(p[j] * drift[j])),
            ones,
        ),
        Step.modelled(
            "So a coefficient that holds Σ_j p_j m_j of all rounds before holds Σ_j p_j (m_j + d_j) after "
            "this one: the server's side of every client is updated by τ ← τ + δ.",
            eq(
                over_clients(p[j] * mean[j]) + over_clients(p[j] * drift[j]),
                over_clients(p[j] * (mean[j] + drift[j])),
            ),
        ),
    )
    of_client = (
        Step.modelled(
            "Global prompt, one type, full weights: all clients act through the shared feature, those of the "
            "group (G_j = 1) through the group's; the own drift δ_k is not averaged yet and counts fully.",
            global_claim,
            eq(M_global, from_all + from_group + by_itself(n_k, p_k) * tau_k + own_growth(n_k) * delta_k),
        ),
        Step.modelled(
            "Local prompt: the client's own n_k samples alone, 1/n_k each, never averaged.",
            local_claim,
            eq(M_local, (sympy.Sum(each, (i, 1, n_k)) + by_itself(n_k, 1)) * (tau_k + delta_k)),
        ),
        Step.modelled(
            "Joint training: each prompt carries its weight twice, in training and in the output.",
            statement,
            eq(M_k, (1 - at.theta) ** 2 * M_global + at.theta**2 * M_local),
            global_claim,
            local_claim,
        ),
    )
    equal_clients = (
        Step.assumed("The members of a group are counted by χ.", group_size),
        Step.identity(
            "Equal clients, one global prompt: M = κ_G τ + κ_L δ with the rates of T8; with one local step per "
            "round δ = 0 whenever a residual is taken, and M = κ_G τ.",
            eq(symmetric + by_drift, sums.global_rate * at.tau + sums.local_rate * delta_k),
            group_size,
        ),
        Step.identity(
            "Equal clients, joint training, one local step: M = κ(θ) τ.",
            eq(
                (1 - at.theta) ** 2 * symmetric + at.theta**2 * own_growth(at.n) * at.tau,
                sums.joint_rate * at.tau,
            ),
            group_size,
        ),
    )
    lemmas = (
        Lemma(
            "The margin kernel of a client",
            kernel_steps,
            states=tuple(step.claim for step in kernel_steps[1:]),
        ),
        Lemma("Averaging adds what every client added", averaging),
        Lemma("Margins of a client", of_client, states=(global_claim, local_claim, statement)),
        Lemma(
            "Equal clients have the rates of T8",
            equal_clients,
            states=tuple(step.claim for step in equal_clients[1:]),
        ),
    )
    return Derivation(RESULT, statement=(statement, global_claim, local_claim), lemmas=lemmas)


class Kernel(NamedTuple):
    """Margin kernels at full weight: margin per unit of τ, both of shape (clients·types, clients·types).

    Attributes:
        average: row (k, c), column (j, d): through the averaged prompt.
        own: the same through what a client did by itself, with nothing averaged.
    """

    average: NDArray[np.float64]
    own: NDArray[np.float64]


def kernel(people: Population) -> Kernel:
    """Return how τ of every client and type moves the margin of every client and type (T12).

    >>> from theory.dynamics.sample_types import population
    >>> from theory.model.federation import Federation
    >>> federation = Federation(global_feature_sq=1, local_feature_sq=2, noise_dim=40, sample_counts=[5, 15])
    >>> kernel(population(federation)).average.tolist()
    [[11.0, 3.0], [1.0, 17.0]]
    """
    symbols, of_feature, own_symbols, of_noise = formula()
    relevant, own = as_function(symbols, of_feature), as_function(own_symbols, of_noise)
    clients, types = people.fractions.shape
    size = clients * types
    # axes: client k and type c of the margin, client j and type d of the data, feature r
    norms, sign_i, sign_j = people.norms, people.signs[:, None, None, :], people.signs[None, None, :, :]
    fractions = people.fractions[None, :, :, None]

    def summed(shares: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        acting = relevant(norms, sign_i, sign_j, weights[None, :, None, None], fractions)
        matrix = np.einsum("rkj,cjdr->kcjd", shares, acting).reshape(size, size)
        itself = own(people.federation.noise_energy, people.federation.sample_counts, weights)
        return matrix + np.diag(np.repeat(itself, types))

    alone = np.broadcast_to(np.eye(clients), people.shares.shape)
    average = summed(people.shares, people.federation.client_weights)
    return Kernel(average, summed(alone, np.ones(clients)))
