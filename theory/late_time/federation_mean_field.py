"""Dynamical mean field of any federation at a finite load N/L: unequal clients, every scheme, local steps (T32).

Statement (T32): let samples be followed by what they add to their prompt's residuals, d(t) = η Σ_e q in round t.
A noise coordinate of client k holds ξ_k = Σ_i x_i d_i, the global prompt's is G = g Σ_j ξ_j with g = 4e/N, and a
margin sees u_k = w_G G + c_k w_L ξ_k with c_k = 4e/n_k; w_G and w_L weigh both prompts in the margin that trains.
With r_k = −E ∂d/∂u, the response of a sample to its margin, and s_k = 1/(1 + n_k σ_p² c_k w_L r_k),

    ξ_k = s_k (ζ_k − n_k σ_p² r_k w_G G),   G = g Σ_j s_j ζ_j/(1 + g y),   y = Σ_j n_j σ_p² s_j r_j w_G,

with independent Gaussian ζ_j of variance n_j σ_p² E d². A training sample's margin is M = s + m + Γ d: s is the
signal of T12, m is Gaussian, and with h = g/(1 + g y) and P = Σ_j n_j σ_p² s_j² E_j d²

    Γ_k = L σ_p² [w_G s_k² h + c_k w_L s_k],
    V_k = L σ_p² [w_G² s_k² h² P + 2 n_k σ_p² E_k d² w_G w_L c_k s_k³ h + n_k σ_p² E_k d² (c_k w_L s_k)²].

All of these are matrices over the nodes in time and the streams of residuals: one for joint training, two for the
other schemes (`theory.late_time.streams`), in which products do not commute and squares are A(·)Aᵀ. Sums over j go
over populations of clients that are alike, with their multiplicity. Equal clients give T29's mean field, no load
T12 and T14. With several local steps the client's own drift δ adds c_k (w_G + w_L) to u_k within the round: a
sample's own part is followed step by step, the mean of the others' along the profile of the round, and their
fluctuation by its mean over the steps.

`theory.late_time.federation_solver` solves the equations, `theory.late_time.population_ratio` is their interface.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from theory.dynamics import client_margins, predicted_ratio
from theory.late_time import dynamical_mean_field
from theory.late_time.first_order import response
from theory.numerics.validation import ArrayLike, Values, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq
from theory.proof.symbols import letters

RESULT = Result(
    tag="T32",
    title="Dynamical mean field of any federation at a finite N/L",
    problem="Which ratio does every client's mixture reach when clients differ and N is comparable to L?",
    assumptions=(
        "Linear band, orthogonal rows, zero start, all clients in every round.",
        "N and L large at a fixed N/L; the cavity method.",
        "Several local steps: what the others' fluctuations add within a round acts by its mean over the steps.",
    ),
    bound="asymptotic",
    uses=("T12", "T14", "T29 (first order)", "T29 (mean field)"),
    sources=(
        "Mignacco, Krzakala, Urbani and Zdeborová (2020), Dynamical mean-field theory for stochastic gradient"
        " descent in Gaussian mixture classification, arXiv:2006.06098 (the flow of one classifier)",
    ),
)


class Expressions(NamedTuple):
    """Γ_k and V_k as SymPy expressions of the symbols.

    The symbols are (w_G, w_L, e, σ_p, L, n_k, N, r_k, y, μ_k, P), with μ_k = E_k d².
    """

    symbols: tuple[Formula, ...]
    memory: Formula
    spread: Formula


class _Letters(NamedTuple):
    """Symbols, and what is made of them."""

    symbols: tuple[Formula, ...]
    shared: Formula
    own: Formula
    damped: Formula
    held: Formula


@cache
def _letters() -> _Letters:
    import sympy

    at = letters()
    w_global, w_local, total, r, moment, power = sympy.symbols("w_G w_L N r mu P", positive=True)
    y = sympy.Symbol("y", nonnegative=True)
    shared, own = 4 * at.e / total, 4 * at.e / at.n
    damped = 1 / (1 + at.n * at.sigma**2 * own * w_local * r)
    symbols = (w_global, w_local, at.e, at.sigma, at.L, at.n, total, r, y, moment, power)
    return _Letters(symbols, shared, own, damped, shared / (1 + shared * y))


@cache
def formula() -> Expressions:
    """Return what a sample's own residuals add to its margin, and the variance of its random part (T32).

    >>> parts = formula()
    >>> parts.memory.subs({parts.symbols[0]: 0, parts.symbols[7]: 0})
    4*L*e*sigma_p**2*w_L/n
    """
    at, parts = letters(), _letters()
    w_global, w_local, *_, moment, power = parts.symbols
    s, h, own = parts.damped, parts.held, parts.own * w_local * parts.damped
    memory = at.L * at.sigma**2 * (w_global * s**2 * h + own)
    client = at.n * at.sigma**2 * moment
    through = w_global * s * h
    spread = at.L * at.sigma**2 * (through**2 * power + 2 * client * through * s * own + client * own**2)
    return Expressions(parts.symbols, memory, spread)


@cache
def derivation() -> Derivation:
    """Derive the noise of a client among others, its law in a margin, and the limits T12, T14 and T29."""
    import sympy

    at, parts, law = letters(), _letters(), formula()
    w_global, w_local, _, sigma, _, n, total, r, y, moment, power = parts.symbols
    shared, own, s, held = parts.shared, parts.own, parts.damped, parts.held
    xi, field, source, G, others = sympy.symbols("xi_k u_k zeta_k G Z", real=True)
    memory, spread = sympy.symbols("Gamma_k V_k", positive=True)
    opposed = n * sigma**2 * r
    cavity = eq(xi, source - opposed * field)
    seen = eq(field, w_global * G + own * w_local * xi)
    of_client = eq(xi, s * (source - opposed * w_global * G))
    of_global = eq(G, held * others)
    in_full = w_global * s * G + own * w_local * s * source
    one_client = Lemma(
        "The noise of one client among the others",
        (
            Step.assumed(
                "Cavity: in one noise coordinate a client's sum ξ is what training without that coordinate "
                "gives, ζ, less the response of its n samples to the field that it adds to their margins …",
                cavity,
            ),
            Step.assumed("… which is that of both prompts, with their weights in the margin.", seen),
            Step.root(
                "Solved for ξ: a client damps its own noise, and opposes everyone's.",
                of_client,
                eq(xi, cavity.rhs.subs(field, seen.rhs)),
            ),
            Step.root(
                "The global prompt adds up all clients: with Z = Σ s_j ζ_j and y = Σ n_j σ_p² s_j r_j w_G "
                "this is it.",
                of_global,
                eq(G, shared * (others - y * G)),
            ),
            Step.identity(
                "So the field is linear in the ζ of the client and in Z.",
                eq(field, in_full),
                seen,
                of_client,
            ),
        ),
        (of_client, of_global, eq(field, in_full)),
    )

    mine, rest, variance_rest = sympy.symbols("z R v_R", real=True)
    as_sum = in_full.subs(G, of_global.rhs).subs(others, s * mine + rest).subs(source, mine)
    by_mine, by_rest = sympy.diff(as_sum, mine), sympy.diff(as_sum, rest)
    client = n * sigma**2 * moment
    grown = eq(memory, law.memory)
    varied = eq(spread, law.spread)
    margin = Lemma(
        "What a margin sees",
        (
            Step.modelled(
                "A sample adds its own x d to ζ and reads the field with x, in L coordinates of variance σ_p²: "
                "its margin moves by this, per unit of d.",
                grown,
                eq(memory, at.L * sigma**2 * sympy.Derivative(as_sum, mine)),
            ),
            Step.modelled(
                "Its random part has the variance of the field: that of the client, n σ_p² μ, and that of "
                "all others in Z, which is P less the client's share s² n σ_p² μ.",
                varied,
                eq(spread, at.L * sigma**2 * (by_mine**2 * client + by_rest**2 * variance_rest)),
                eq(variance_rest, power - s**2 * client),
            ),
        ),
        (grown, varied),
    )

    (c, *_, response_), mode, *_ = dynamical_mean_field.formula()
    joint = {w_global: (1 - at.theta) ** 2, w_local: at.theta**2}
    c_shared, c_apart, *_ = response()
    two = [mode.subs({c: value, response_: r}) for value in (c_shared, c_apart)]
    clients_alike = {
        y: at.K * opposed * s * w_global,
        power: at.K * client * s**2,
        total: n * at.K,
    }
    equal = [part.subs(clients_alike).subs(joint) for part in (law.memory, law.spread)]
    mean_mode = (two[0] + (at.K - 1) * two[1]) / at.K
    mean_square = (two[0] ** 2 + (at.K - 1) * two[1] ** 2) / at.K
    alike = Lemma(
        "Equal clients, joint training: T29",
        (
            Step.identity(
                "The memory is the mean over the two modes of T29 …",
                eq(memory, at.L * sigma**2 * mean_mode),
                eq(memory, equal[0]),
            ),
            Step.identity(
                "… and the variance that of their squares.",
                eq(spread, at.L * n * sigma**4 * moment * mean_square),
                eq(spread, equal[1]),
            ),
        ),
        (eq(memory, at.L * sigma**2 * mean_mode), eq(spread, at.L * n * sigma**4 * moment * mean_square)),
    )

    own_symbols, own_noise = client_margins.formula()[2:]
    ratio = predicted_ratio.formula()
    bar = eq(at.nu_bar, at.L * sigma**2 * at.e)
    p = n / total
    through_average, through_own = (
        own_noise.subs(dict(zip(own_symbols, (at.nu_bar, n, weight), strict=True)), simultaneous=True)
        for weight in (p, 1)
    )
    few = {r: 0, y: 0}
    weights = dict(zip(ratio.noise_symbols[:2], (w_global, w_local), strict=True))
    # P is then Σ n_j σ_p² μ_j, and T14's sums are those of τ² = μ with the weights 1/N and 1/n
    sums = (power / sigma**2 / total**2, p * moment / n, moment / n)
    in_ratio = ratio.noise.subs(weights).subs(dict(zip(ratio.noise_symbols[5:], sums, strict=True)))
    limits = Lemma(
        "No load: T12 and T14",
        (
            Step.identity(
                "Without response (N/L → 0) a sample's own noise acts on it as in T12 …",
                eq(memory, w_global * through_average + w_local * through_own),
                eq(memory, law.memory.subs(few)),
                bar,
            ),
            Step.identity(
                "… and its margin varies by σ_p² ‖H_ξ‖², with the noise of T14.",
                eq(spread, sigma**2 * in_ratio),
                eq(spread, law.spread.subs(few)),
            ),
        ),
        (
            eq(memory, w_global * through_average + w_local * through_own),
            eq(spread, sigma**2 * in_ratio),
        ),
    )

    m, gamma, own_rate = sympy.symbols("m Gamma lambda", positive=True)
    slope, bend = sympy.symbols("f' d'", real=True)
    moved = eq(bend, slope / (1 - slope * gamma))
    growth = sympy.Function("delta")(m)
    after = growth + at.eta / (1 + sympy.exp(m + own_rate * growth))
    q = sympy.Symbol("q", positive=True)
    sample = Lemma(
        "A sample, its response, and its round",
        (
            Step.root(
                "With d = f(m + Γ d) a shift of m moves d by d' = f'(1 + Γ d').",
                moved,
                eq(bend, slope * (1 + gamma * bend)),
            ),
            Step.identity(
                "Within a round a sample's own noise adds λ δ to its margin: a step with the residual q changes "
                "the slope of the sum δ by this, which is followed from step to step.",
                eq(
                    sympy.Symbol("D"),
                    sympy.Symbol("D_0") - at.eta * q * (1 - q) * (1 + own_rate * sympy.Symbol("D_0")),
                ),
                eq(sympy.Symbol("D"), sympy.diff(after, m).subs(growth.diff(m), sympy.Symbol("D_0"))),
                eq(q, 1 / (1 + sympy.exp(m + own_rate * growth))),
            ),
        ),
        (moved,),
    )
    return Derivation(
        RESULT,
        statement=(of_client, of_global, grown, varied),
        lemmas=(one_client, margin, alike, limits, sample),
    )


def margin_law(
    weights: tuple[ArrayLike, ArrayLike],
    noise: tuple[ArrayLike, ArrayLike, ArrayLike],
    counts: tuple[ArrayLike, ArrayLike],
    response: ArrayLike,
    opposition: ArrayLike,
    moments: tuple[ArrayLike, ArrayLike],
) -> tuple[Values, Values]:
    """Return Γ_k and V_k of one time, the scalar form of the equations that the solver uses (T32).

    Let `weights` be (w_G, w_L), `noise` (e, σ_p, L), `counts` (n_k, N), r_k be `response`, y `opposition` and
    `moments` (E_k d², P); all broadcast.

    >>> tuple(round(float(value), 6) for value in margin_law((1, 1), (1, 1, 10), (5, 20), 0.0, 0.0, (2.0, 40.0)))
    (10.0, 112.0)
    """
    parts = formula()
    values = [np.asarray(value) for value in (*weights, *noise, *counts, response, opposition, *moments)]
    memory, spread = (as_function(parts.symbols, part)(*values) for part in (parts.memory, parts.spread))
    return result(memory), result(spread)
