"""Prompts averaged over nested sets of clients: global, cluster by cluster, local (T23, T22).

Statement (T23, nested): let level i average N_i samples, a share P_i of which belongs to the client's feature
group: s_i = a + b P_i, and Σ_ij = 1/max(N_i, N_j) because a finer level's data are part of a coarser one's. The
steps from level to level are then independent assets. With v_i = 1/N_i, from coarse to fine, and the slopes
r_i = (s_i − s_{i−1})/(v_i − v_{i−1}), r_1 = s_1/v_1: w_i* = r_i − r_{i+1} and σ_p²R*² = Σ r_i (s_i − s_{i−1}). All
weights are positive iff the slopes fall and stay positive, i.e. the signal is a strictly concave function of the
noise.

For K equal clients, feature groups of χ clients and clusters of Q clients of which c are of the client's group:
the local prompt counts iff c < Q, the cluster prompt iff (c−1)/(Q−1) > (χ−1)/(K−1), i.e. iff a client meets its own
group more often in its cluster than in the whole federation.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.mixing.many_assets import formula as tangency
from theory.mixing.many_assets import with_entries
from theory.model.federation import EqualClients, Federation
from theory.numerics.validation import ArrayLike, between
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T23 (nested)",
    title="Nested levels",
    problem="Which of a global, a cluster and a local prompt earn a positive weight?",
    assumptions=(
        "Linear band, first order in time.",
        "Near-orthogonal noise, orthogonal group features; a common factor of the moments is dropped.",
    ),
    bound="asymptotic",
    uses=("T6", "T17", "T22", "T23"),
)


class LevelMoments(NamedTuple):
    """Signals and noise of every client's prompts, from the global one to its own, up to common factors.

    `signals` has shape (clients, levels), `gram` (clients, levels, levels).
    """

    signals: NDArray[np.float64]
    gram: NDArray[np.float64]


@cache
def formula() -> tuple[tuple[Formula, ...], tuple[Formula, Formula]]:
    """Return the symbols (a, b, P_i, N_ij, N_i, N_j), the signal s_i and the covariance Σ_ij.

    N_ij is the number of samples that levels i and j have in common.

    >>> formula()[1]
    (P_i*b + a, N_ij/(N_i*N_j))
    """
    import sympy

    at = letters()
    share, common, first, second = sympy.symbols("P_i N_ij N_i N_j", positive=True)
    moments = (at.a + share * at.b, common / (first * second))
    return (at.a, at.b, share, common, first, second), moments


@cache
def equal_formula() -> tuple[tuple[Formula, ...], tuple[Formula, ...]]:
    """Return the symbols (a, b, K, Q, χ, c) and Σ⁻¹s of the global, the cluster and the local prompt.

    In units of the samples of a client.

    >>> sorted(str(symbol) for symbol in equal_formula()[1][2].free_symbols)
    ['Q', 'b', 'c']
    """
    import sympy

    at = letters()
    size, own = sympy.symbols("Q c", positive=True)
    (_, _, share, common, first, second), (signal, covariance) = formula()
    levels = ((at.K, at.chi), (size, own), (sympy.Integer(1), sympy.Integer(1)))
    signals = [signal.subs(share, members / clients) for clients, members in levels]
    # nested: the samples in common are those of the finer level, which comes later
    gram = [
        [
            covariance.subs({first: clients, second: others, common: levels[max(i, j)][0]})
            for j, (others, _) in enumerate(levels)
        ]
        for i, (clients, _) in enumerate(levels)
    ]
    weights = with_entries(tangency()[1][0], gram, signals)
    return (at.a, at.b, at.K, size, at.chi, own), tuple(sympy.factor(weight) for weight in weights)


@cache
def derivation() -> Derivation:
    """Derive the weights of nested levels and the conditions under which they are positive."""
    moments, nested, equal = _moments(), _nested_levels(), _equal_clients()
    lemmas = (
        Lemma(
            "Signals and noise of averages over sets of clients",
            moments,
            (moments[0].claim, moments[2].claim),
        ),
        Lemma("Three nested levels are independent steps", nested, tuple(step.claim for step in nested[2:])),
        Lemma(
            "K equal clients in groups of χ and clusters of Q, c of them of the own group",
            equal,
            tuple(step.claim for step in equal[:3]),
        ),
    )
    return Derivation(RESULT, (*lemmas[1].states, equal[1].claim), lemmas=lemmas)


def _moments() -> tuple[Step, ...]:
    import sympy

    (a, b, share, common, first, second), (signal, covariance) = formula()
    variance, own = sympy.symbols("v m", positive=True)
    j, coarse = sympy.Symbol("j", integer=True, positive=True), sympy.Symbol("N_1", positive=True)
    summed = sympy.Sum(sympy.Function("p")(j), (j, 1, own))
    return (
        Step.modelled(
            "In a level's average, the m clients of the own group move their feature in proportion to their weights"
            " p_j, P in all.",
            eq(a + sympy.Sum(sympy.Function("p")(j) * b, (j, 1, own)), signal),
            eq(summed, share),
        ),
        Step.identity(
            "Two averages over N_i and N_j samples share the noise of their N_ij common samples.",
            eq(sympy.Sum(variance / (first * second), (j, 1, common)), variance * covariance),
        ),
        Step.modelled(
            "A finer level's samples all belong to the coarser one: the covariance is the coarser one's variance.",
            eq(variance * covariance, variance / coarse),
            eq(common, second),
            eq(first, coarse),
        ),
    )


def _nested_levels() -> tuple[Step, ...]:
    import sympy

    w, s = sympy.symbols("w_1:4", real=True), sympy.symbols("s_1:4", real=True)
    v, slopes = sympy.symbols("v_1:4", positive=True), sympy.symbols("r_1:4", real=True)
    rise, gram = (s[0], s[1] - s[0], s[2] - s[1]), [[v[min(i, j)] for j in range(3)] for i in range(3)]
    step = (v[0], v[1] - v[0], v[2] - v[1])
    defined = tuple(eq(slopes[i], rise[i] / step[i]) for i in range(3))
    _, (weights, squared) = tangency()
    solved = with_entries(weights, gram, s)
    variance = sum(w[i] * w[j] * gram[i][j] for i in range(3) for j in range(3))
    sums = (w[0] + w[1] + w[2], w[1] + w[2], w[2])
    differences = (slopes[0] - slopes[1], slopes[1] - slopes[2], slopes[2])
    squared_ratio = sympy.Symbol(r"\sigma_{p}^{2} R_{*}^{2}")
    texts = (
        "The weights Σ⁻¹s are the falls of the slope of the signal over the variance: global …",
        "… cluster …",
        "… and local.",
    )
    return (
        Step.identity(
            "The steps from level to level are uncorrelated: the variance of a mixture is a sum of squares …",
            eq(variance, sum(total**2 * part for total, part in zip(sums, step, strict=True))),
        ),
        Step.identity(
            "… and its signal the sum of their rises.",
            eq(
                sum(weight * signal for weight, signal in zip(w, s, strict=True)),
                sum(total * part for total, part in zip(sums, rise, strict=True)),
            ),
        ),
        *(
            Step.identity(text, eq(w[i], differences[i]), eq(w[i], solved[i]), *defined[i : i + 2])
            for i, text in enumerate(texts)
        ),
        Step.identity(
            "The squared ratios of the steps add.",
            eq(squared_ratio, sum(slopes[i] * rise[i] for i in range(3))),
            eq(squared_ratio, with_entries(squared, gram, s)[0, 0]),
            *defined,
        ),
    )


def _equal_clients() -> tuple[Step, ...]:
    import sympy

    (a, b, clients, size, group, own), weights = equal_formula()
    w = sympy.symbols("w_1:4", real=True)
    more, rest = sympy.symbols("m h", positive=True)
    others, odds = sympy.Symbol("h", nonnegative=True), sympy.Symbol("odds")
    entries = tuple(eq(w[i], weights[i]) for i in range(3))
    surplus = (own - 1) * (clients - 1) - (group - 1) * (size - 1)
    shown = (
        clients * (a * (clients - size) + b * (group - own)) / (clients - size),
        b * size * surplus / ((clients - size) * (size - 1)),
        b * (size - own) / (size - 1),
    )
    blocks, aligned = clients / size, group / size
    return (
        Step.identity(
            "Equal clients: the weight of the global prompt, in units of a client's samples …",
            eq(w[0], shown[0]),
            *entries[:1],
        ),
        Step.identity("… that of the cluster's …", eq(w[1], shown[1]), *entries[1:2]),
        Step.identity("… and that of the local one.", eq(w[2], shown[2]), *entries[2:]),
        Step.sign(
            "The global prompt always counts: K = Q + m, and the group has h ≥ 0 members outside the cluster.",
            relation(">", shown[0], 0),
            eq(clients, size + more),
            eq(group, own + others),
        ),
        Step.sign(
            "The local prompt counts if the cluster holds m > 0 clients of other groups.",
            relation(">", shown[2], 0),
            eq(size, own + more),
            eq(own, 1 + others),
        ),
        Step.sign(
            "The cluster prompt counts if the own group's share of the other members, (c−1)/(Q−1), exceeds that in"
            " the federation, (χ−1)/(K−1), by h > 0.",
            relation(">", shown[1], 0),
            eq(own, 1 + (size - 1) * ((group - 1) / (clients - 1) + rest)),
            eq(clients, size + more),
            eq(size, 1 + sympy.Symbol("l", positive=True)),
        ),
        Step.identity(
            "A cluster inside one group (c = Q) makes the local prompt useless, and the other two mix by T17 with"
            " K/Q clusters in place of the clients.",
            eq(odds, b * (1 - aligned / blocks) / ((blocks - 1) * a + (aligned - 1) * b)),
            eq(odds, (shown[1] / shown[0]).subs(own, size)),
        ),
        Step.identity(
            "Where every client has its own feature (χ = c = 1), the cluster prompt is useless.",
            eq(w[1], 0),
            entries[1],
            eq(group, 1),
            eq(own, 1),
        ),
    )


def nested_moments(federation: Federation, clusters: Sequence[Sequence[int] | NDArray[Any]]) -> LevelMoments:
    """Return signals and noise of every client's prompts on all levels, up to common factors (T23, T22).

    Let `clusters` hold one partition of the clients per level between global and local: the cluster of every
    client. Partitions need not be nested: Σ_ij = N_ij/(N_i N_j), with N_ij the number of samples that the two
    levels share, holds for any sets that contain the client.

    The common factors: a prompt that has accumulated τ has the signal 4τ s_i, and the noise vectors of two prompts
    the expected inner product (4τ)² e² L σ_p² Σ_ij.

    Raises:
        ValueError: a partition that is not of shape (clients,).

    >>> federation = Federation(
    ...     global_feature_sq=1, local_feature_sq=4, noise_dim=400, sample_counts=[5] * 4, groups=[0, 0, 1, 1]
    ... )
    >>> moments = nested_moments(federation, clusters=[[0, 1, 1, 0]])
    >>> moments.signals[0].tolist()
    [3.0, 3.0, 5.0]
    >>> moments.gram[0].round(6).tolist()
    [[0.05, 0.05, 0.05], [0.05, 0.1, 0.1], [0.05, 0.1, 0.2]]
    """
    count = federation.clients
    partitions = [np.zeros(count), *(np.asarray(part) for part in clusters), np.arange(count)]
    for part in partitions:
        if part.shape != (count,):
            raise ValueError(f"`clusters` has shape {part.shape}; allowed: ({count},), one entry per client")
    members = np.stack(
        [part[:, None] == part[None, :] for part in partitions], axis=1
    )  # client, level, member
    held = members * federation.sample_counts
    total = held.sum(axis=2)
    share = (held * federation.same_group[:, None, :]).sum(axis=2) / total
    common = np.einsum("kim,kjm->kij", held, members.astype(float))
    features = federation.global_feature_sq, federation.local_feature_sq
    signals, gram = as_function(*formula())(
        *features, share[:, :, None], common, total[:, :, None], total[:, None, :]
    )
    return LevelMoments(signals[:, :, 0], gram)


def three_level_weights(
    equal: EqualClients, *, cluster_size: ArrayLike, group_in_cluster: ArrayLike
) -> NDArray[np.float64]:
    """Return Σ⁻¹s of the global, the cluster and the local prompt of K equal clients (T23).

    Let Q be `cluster_size` (1 < Q < K) and c `group_in_cluster`, the number of clients of the own group in the
    cluster, itself included; arguments broadcast with the clients' letters. A negative entry says that the best
    mixture leaves this prompt out.

    Returns:
        Array of shape (…, 3), in units of a client's samples; the sum is not one.

    Raises:
        ValueError: sizes outside their ranges, a group too small or too large for c.

    >>> equal = EqualClients(
    ...     global_feature_sq=1, local_feature_sq=4, noise_dim=400, clients=16, samples=10, group_size=2
    ... )
    >>> three_level_weights(equal, cluster_size=4, group_in_cluster=[1, 2]).round(3).tolist()
    [[21.333, -1.333, 4.0], [16.0, 5.333, 2.667]]
    """
    size, own = between("cluster_size", cluster_size, 2), between("group_in_cluster", group_in_cluster, 1)
    count = between("clients", equal.clients, size + 1)
    between("group_in_cluster", own, 1, size)
    group = between("group_size", equal.group_size, own, own + count - size)
    letters_of = equal.global_feature_sq, equal.local_feature_sq, count, size, group, own
    values = as_function(*equal_formula())(*np.broadcast_arrays(*letters_of))
    return np.stack(np.broadcast_arrays(*values), axis=-1).astype(np.float64)
