"""Clients that differ in label noise, and predictions for any scheme and time (T26).

Statement (T26): let f_k = 1−2ε_k. To leading order s_G = a Σ p_j f_j + b Σ_{j: s(j)=s(k)} p_j f_j and
s_L = (a+b) f_k, while the noise stays that of T22. For equal n_k and no common groups, o = Σ_{j≠k} f_j,

    odds_k = [(K−1)(a+b) f_k − a o]/(K a o),

which is T17 if all f are equal, and grows with f_k: a client with noisier labels leans on the global prompt, and
uses nothing else once f_k ≤ a o/((K−1)(a+b)).

Later, samples are of two types, clean and flipped, and `theory.extensions.prediction` follows them by T12 and T14.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.dynamics import client_margins
from theory.mixing import per_client
from theory.mixing.tangency import optimal_mixing, optimum
from theory.model.federation import Federation
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T26 (clients)",
    title="Clients that differ in label noise",
    problem="Which mixing suits a client whose labels are noisier than the others'?",
    assumptions=(
        "Linear band, near-orthogonal noise, first order in time.",
        "Equal sample counts and no common groups for the displayed odds.",
    ),
    bound="asymptotic",
    uses=("T12", "T15", "T17", "T22"),
)


class Signals(NamedTuple):
    """Signals of the two prompts of every client, shape (clients,), up to a common factor."""

    global_prompt: NDArray[np.float64]
    local_prompt: NDArray[np.float64]


@cache
def formula() -> tuple[tuple[Formula, ...], tuple[Formula, Formula]]:
    """Return the symbols (a, b, ε_k, f_all, f_group) and the signals of both prompts.

    f_all and f_group are Σ p_j f_j over all clients and over the client's group.

    >>> [str(signal) for signal in formula()[1]]
    ['a*f_all + b*f_group', '(1 - 2*epsilon_k)*(a + b)']
    """
    import sympy

    at = letters()
    epsilon = sympy.Symbol("epsilon_k", positive=True)
    everyone, group = sympy.symbols("f_all f_group", real=True)
    signals = (at.a * everyone + at.b * group, (at.a + at.b) * (1 - 2 * epsilon))
    return (at.a, at.b, epsilon, everyone, group), signals


@cache
def derivation() -> Derivation:
    """Derive the odds of a client among others with other label noise, and that they fall with its own."""
    import sympy

    at, best = letters(), optimum()
    (a, b, epsilon, everyone, group), signals = formula()
    own, others, more, rest = sympy.symbols("f_k o x g", positive=True)
    plus, minus, members = sympy.symbols("tau_+ tau_- g", positive=True)
    rows, relevant, _, _ = client_margins.formula()

    def moved(norm: Formula) -> Formula:
        """What both types do to a clean sample's margin through a feature of this squared norm."""
        types = ((1, 1 - epsilon, plus), (-1, epsilon, minus))
        return sum(
            relevant.subs(dict(zip(rows, (norm, 1, sign, 1, share), strict=True)), simultaneous=True) * level
            for sign, share, level in types
        )

    j = sympy.Symbol("j", integer=True, positive=True)
    kept = sympy.Function("p")(j) * sympy.Function("f")(j)
    in_all, in_group = (sympy.Sum(kept, (j, 1, count)) for count in (at.K, members))
    s_global, s_local, *_ = best.symbols
    (_, _, share, total, count), (_, _, A, B, C) = per_client.formula()
    equal = {total: at.K * count, share: 1 / at.K}
    moments = (*signals, *(moment.subs(equal) for moment in (A, B, C)))
    inserted = dict(zip(best.symbols, moments, strict=True))
    odds = (best.gain_at_global / best.gain_at_local).subs(inserted, simultaneous=True)
    symbol = sympy.Symbol("odds_k")
    displayed = ((at.K - 1) * (a + b) * own - a * others) / (at.K * a * others)
    statement = eq(symbol, displayed)
    steps = (
        Step.identity(
            "To leading order both types have moved equally far, so that a local prompt's signal per 4τ is a + b "
            "times 1−2ε_k (T12) …",
            eq(s_local, signals[1]),
            eq(s_local, (moved(a) + moved(b)) / (4 * at.tau)),
            eq(plus, at.tau),
            eq(minus, at.tau),
        ),
        Step.modelled(
            "… and in the average every client moves the shared feature, and the members of the group theirs, in "
            "proportion to p_j f_j. Labels do not change the noise.",
            eq(s_global, signals[0]),
            eq(s_global, a * in_all + b * in_group),
            eq(in_all, everyone),
            eq(in_group, group),
        ),
        Step.identity(
            "Equal n and no common groups: T15 with the moments of T22 gives these odds.",
            statement,
            eq(symbol, odds),
            eq(everyone, (own + others) / at.K),
            eq(group, own / at.K),
            eq(epsilon, (1 - own) / 2),
        ),
        Step.identity(
            "If all clients are equally noisy they are those of T17: label noise does not move θ*.",
            eq(symbol, b / (at.K * a)),
            statement,
            eq(others, (at.K - 1) * own),
        ),
        Step.sign(
            "They grow with f_k = 1−2ε_k …",
            relation(">", sympy.Derivative(displayed, own), 0),
            eq(at.K, 1 + more),
        ),
        Step.sign(
            "… and are positive only beyond this f_k: below it the global prompt alone is best.",
            relation(">", displayed, 0),
            eq(own, (a * others + rest) / ((at.K - 1) * (a + b))),
            eq(at.K, 1 + more),
        ),
    )
    return Derivation(RESULT, statement=(statement,), steps=steps)


def client_signals(federation: Federation) -> Signals:
    """Return every client's signals to leading order (T26).

    Let `federation` describe the clients, with ε_k its `label_noise`.

    >>> federation = Federation(
    ...     global_feature_sq=4, local_feature_sq=8, noise_dim=9, sample_counts=[10, 10], label_noise=[0, 0.25])
    >>> client_signals(federation)
    Signals(global_prompt=array([7., 5.]), local_prompt=array([12.,  6.]))
    """
    kept = federation.client_weights * (1 - 2 * federation.label_noise)
    a, b = federation.global_feature_sq, federation.local_feature_sq
    return Signals(
        *as_function(*formula())(a, b, federation.label_noise, np.sum(kept), federation.same_group @ kept)
    )


def leading_mixing(federation: Federation) -> NDArray[np.float64]:
    """Return every client's best post-hoc θ to leading order, when clients differ in label noise (T26 in T15).

    The argument is that of `client_signals`. With equal ε_k it is T22: label noise does not move θ*.

    >>> federation = Federation(
    ...     global_feature_sq=3, local_feature_sq=7, noise_dim=9, sample_counts=[10] * 3, label_noise=[0, 0, 0.1])
    >>> leading_mixing(federation).round(3).tolist()
    [0.474, 0.474, 0.357]
    """
    counts = federation.sample_counts
    total = counts.sum()
    return np.asarray(optimal_mixing(*client_signals(federation), 1 / total, 1 / counts, 1 / total))
