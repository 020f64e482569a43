"""The optimal mixing of every client (T22).

Statement (T22): at small t, s_G = a + b Σ_{j: s(j)=s(k)} p_j, s_L = a + b, A = 1/N, B = 1/n_k and C = 1/N (a
common factor dropped); T15 gives the post-hoc θ*_k, T21 the joint one. A client that
holds more of the data leans more to its local prompt, if its group's share is fixed or it is alone in its group.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from theory.mixing.joint_law import joint_mixing as from_odds
from theory.mixing.moments import Moments
from theory.mixing.tangency import optimal_mixing
from theory.model.federation import Federation
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T22",
    title="Optimal mixing per client",
    problem="Which mixing suits a client with n_k samples in a group of weight P?",
    assumptions=(
        "Linear band, first order in time.",
        "Near-orthogonal noise.",
        "Orthogonal client features.",
    ),
    bound="asymptotic",
    uses=("T6", "T15", "T21"),
)


@cache
def formula() -> tuple[tuple[Formula, ...], tuple[Formula, ...]]:
    """Return the symbols (a, b, P, N, n) and the five moments, which the derivation sums over clients and samples.

    P is the weight of the client's group, Σ p_j over its members.

    >>> [str(moment) for moment in formula()[1]]
    ['P*b + a', 'a + b', '1/N', '1/n', '1/N']
    """
    import sympy

    at = letters()
    share, total = sympy.symbols("P N", positive=True)
    moments = (at.a + share * at.b, at.a + at.b, 1 / total, 1 / at.n, 1 / total)
    return (at.a, at.b, share, total, at.n), moments


@cache
def derivation() -> Derivation:
    """Derive T22: the moments of every client, the optimum they imply, and its growth with the client's data."""
    import sympy

    from theory.mixing.tangency import optimum

    best = optimum()
    (a, b, share, total, n), moments = formula()
    odds = (best.gain_at_global / best.gain_at_local).subs(dict(zip(best.symbols, moments, strict=True)))
    j = sympy.Symbol("j", integer=True, positive=True)
    variance, weight = sympy.Symbol("v", positive=True), sympy.Symbol("p", positive=True)
    others, rest, group = sympy.symbols("r m g", positive=True)
    symbol = sympy.Symbol("odds")
    displayed = b * (1 - share) * n / ((a + share * b) * total - (a + b) * n)
    statement = eq(symbol, displayed)
    own = sympy.Sum(variance, (j, 1, n))
    group_sum = sympy.Sum(sympy.Function("p")(j) * b, (j, 1, group))
    steps = (
        Step.modelled(
            "The members of a group move the average along its feature in proportion to their weights, "
            "P in all.",
            eq(a + group_sum, moments[0]),
            eq(sympy.Sum(sympy.Function("p")(j), (j, 1, group)), share),
        ),
        Step.identity(
            "The average's noise is a mean over all N samples.",
            eq(sympy.Sum(variance, (j, 1, total)) / total**2, variance * moments[2]),
        ),
        Step.identity(
            "The local prompt's noise is a mean over n samples.", eq(own / n**2, variance * moments[3])
        ),
        Step.identity(
            "They share the client's own n samples, which enter one with 1/n and the other with 1/N.",
            eq(own / (n * total), variance * moments[4]),
        ),
        Step.identity("T15 with these moments.", statement, eq(symbol, odds)),
        Step.sign(
            "The more of the data a client holds itself (weight p), the more it leans local, where its group's "
            "share P = 1/(1+r) < 1 is held fixed and some mixture is strictly better (p below its bound, by 1+m) …",
            relation(
                ">",
                sympy.Derivative(b * (1 - share) * weight / ((a + share * b) - (a + b) * weight), weight),
                0,
            ),
            eq(share, 1 / (1 + others)),
            eq(weight, (a + b / (1 + others)) / (a + b) / (1 + rest)),
        ),
        Step.identity(
            "… and also where it is alone in its group: P = p = n/N, and the odds are proportional to p.",
            eq(symbol, b * share / a),
            statement,
            eq(n, share * total),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def moments(federation: Federation) -> Moments:
    """Return the signals and noise of both prompts for every client, each of shape (clients,), up to common
    factors (T22).

    >>> federation = Federation(
    ...     global_feature_sq=1, local_feature_sq=2, noise_dim=400, sample_counts=[10, 30], groups=[0, 1]
    ... )
    >>> moments(federation).signal_global.tolist()
    [1.5, 2.5]
    """
    counts = federation.sample_counts
    share = federation.same_group @ federation.client_weights
    features = federation.global_feature_sq, federation.local_feature_sq
    values = as_function(*formula())(*features, share, counts.sum(), counts)
    return Moments(*(np.broadcast_to(value, counts.shape).astype(np.float64) for value in values))


def posthoc_mixing(federation: Federation) -> NDArray[np.float64]:
    """Return the best post-hoc θ of every client, shape (clients,) (T22 in T15).

    At least one of the features' squared norms is positive.

    >>> federation = Federation(
    ...     global_feature_sq=8, local_feature_sq=14, noise_dim=400, sample_counts=[6, 10, 20, 40],
    ...     groups=[0, 1, 0, 2],
    ... )
    >>> posthoc_mixing(federation).round(3).tolist()
    [0.062, 0.187, 0.257, 0.479]
    """
    return np.asarray(optimal_mixing(*moments(federation)))


def joint_mixing(federation: Federation) -> NDArray[np.float64]:
    """Return the best jointly trained θ of every client, shape (clients,) (T22 in T21).

    >>> federation = Federation(
    ...     global_feature_sq=8, local_feature_sq=14, noise_dim=400, sample_counts=[6, 10, 20, 40],
    ...     groups=[0, 1, 0, 2],
    ... )
    >>> joint_mixing(federation).round(3).tolist()
    [0.204, 0.324, 0.37, 0.49]
    """
    alone = posthoc_mixing(federation)
    only_local = alone == 1
    odds = np.where(only_local, np.inf, alone / np.where(only_local, 1.0, 1 - alone))
    return np.asarray(from_odds(odds))
