"""Rates at which margins grow (T8).

Statement (T8): κ_L = 4(a + b + ν̄/n), κ_G = 4(a + bχ/K + ν̄/(nK)) and κ(θ) = (1−θ)² κ_G + θ² κ_L.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T8",
    title="Margin rates",
    problem="At which rate does the margin of a training sample grow per unit of learning rate "
    "times residual?",
    assumptions=(
        "Linear band, zero start, one local step per round.",
        "Equal sample counts and equal group size; rows orthogonal, but for those of the groups' features.",
        "Near-orthogonal noise: inner products of noise vectors equal their expectation.",
    ),
    bound="asymptotic",
    uses=("T5",),
)


@cache
def kernel_sums() -> SimpleNamespace:
    """Return the growth of one sample's margin per unit of η q, derived from T5, as SymPy expressions.

    A prompt with weight ω in the mixture moves z_r by η ω ‖w_r‖² h' (mean of q y g_r), and the margin of
    sample i moves by ω h' Σ_r y_i g_ir times that. With h' = 2 this is 4ω² times the mean over the training
    samples j of Σ_r ‖w_r‖² (y_i g_ir)(y_j g_jr) η q.

    >>> sums = kernel_sums()
    >>> sums.local_rate.has(sums.chi)
    False
    """
    import sympy

    at = letters()
    j = sympy.Symbol("j", integer=True, positive=True)
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    slope = sympy.Integer(2)
    x = sympy.Symbol("x", real=True)
    density = sympy.exp(-(x**2) / (2 * at.sigma**2)) / (sympy.sqrt(2 * sympy.pi) * at.sigma)
    second_moment = sympy.integrate(x**2 * density, (x, -sympy.oo, sympy.oo))
    first_moment = sympy.integrate(x * density, (x, -sympy.oo, sympy.oo))
    same_sample = sympy.Sum(at.e * second_moment, (l, 1, at.L)).doit()
    other_sample = sympy.Sum(at.e * first_moment**2, (l, 1, at.L)).doit()
    noise = same_sample.subs(at.L, at.nu_bar / (at.sigma**2 * at.e))
    # inner products ⟨ν_s(k), ν_s(j)⟩ over clients sum to χ‖ν‖²
    inner = sympy.Function("G")(j)
    over_clients = sympy.Sum(inner, (j, 1, at.K))
    local_mean = (sympy.Sum(at.a + at.b + other_sample, (j, 1, at.n)).doit() + noise) / at.n
    global_mean = (at.n * (at.K * at.a + over_clients) + noise) / (at.n * at.K)
    global_mean = global_mean.subs(over_clients, at.chi * at.b)
    local_rate = sympy.expand(slope**2 * local_mean)
    global_rate = sympy.expand(slope**2 * global_mean)
    joint = (1 - at.theta) ** 2 * global_rate + at.theta**2 * local_rate
    return SimpleNamespace(
        slope=slope,
        density=density,
        x=x,
        j=j,
        l=l,
        over_clients=over_clients,
        noise=noise,
        same_sample=same_sample,
        other_sample=other_sample,
        local_rate=local_rate,
        global_rate=global_rate,
        joint_rate=joint,
        **vars(at),
    )


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula, Formula]:
    """Return the symbols (θ, a, b, ν̄, n, K, χ) and the rates κ_L, κ_G and κ(θ).

    >>> symbols, local, shared, joint = formula()
    >>> (joint.subs(symbols[0], 1) - local).expand()
    0
    """
    d = kernel_sums()
    return (d.theta, d.a, d.b, d.nu_bar, d.n, d.K, d.chi), d.local_rate, d.global_rate, d.joint_rate


@cache
def derivation() -> Derivation:
    """Derive T8 from the margin kernel.

    >>> len(derivation().statement)
    3
    """
    import sympy

    d = kernel_sums()
    residual, z_weight = sympy.symbols("q omega", positive=True)
    norm, gi, gj = sympy.symbols("w_r g_i g_j", real=True)
    everything = (d.x, -sympy.oo, sympy.oo)
    group_size = relation("=", d.over_clients, d.chi * d.b)
    nu_bar = relation("=", d.nu_bar, d.L * d.sigma**2 * d.e)
    index = d.j
    k_global, k_local, k_joint = sympy.symbols("kappa_G kappa_L kappa_theta", positive=True)
    local = relation("=", k_local, d.local_rate)
    shared = relation("=", k_global, d.global_rate)
    local_sum = 4 * (sympy.Sum(d.a + d.b, (index, 1, d.n)) + d.nu_bar) / d.n
    shared_sum = 4 * (d.n * (sympy.Sum(d.a, (index, 1, d.K)) + d.over_clients) + d.nu_bar) / (d.n * d.K)
    z, band = sympy.Symbol("z", real=True), sympy.Symbol("c", positive=True)
    moved = z_weight * d.slope * gi * (d.eta * residual * z_weight * norm * d.slope * gj)
    joint = relation("=", k_joint, (1 - d.theta) ** 2 * k_global + d.theta**2 * k_local)
    steps = (
        Step(
            "In the linear band both ReLUs are on, so h = (z + c) − (−z + c) has slope 2.",
            relation("=", sympy.Derivative((z + band) - (-z + band), z), d.slope),
            "identity",
        ),
        Step(
            "By T5 one sample j moves the margin of sample i, through row r, by 4ω² ‖w_r‖² (y g)_i (y "
            "g)_j η q.",
            relation("=", moved, 4 * z_weight**2 * norm * gi * gj * d.eta * residual),
            "identity",
        ),
        Step(
            "Irrelevant coordinates of one sample: the expected square is σ_p² each, ν̄ = L σ_p² e in all.",
            relation(
                "=", sympy.Sum(d.e * sympy.Integral(d.x**2 * d.density, everything), (d.l, 1, d.L)), d.nu_bar
            ),
            "identity",
            (nu_bar,),
        ),
        Step(
            "Irrelevant coordinates of two samples: the expected product is zero.",
            relation("=", d.e * d.L * sympy.Integral(d.x * d.density, everything) ** 2, 0),
            "identity",
        ),
        Step(
            "Local prompt: n samples share a + b, and the sample itself adds ν̄.",
            local,
            "identity",
            (relation("=", k_local, local_sum),),
        ),
        Step("The inner products of a client's ν with all clients' sum to χ‖ν‖².", group_size, "assumed"),
        Step(
            "Global prompt: every client k' contributes a + ⟨ν_k, ν_k'⟩ with weight 1/K, the sample "
            "itself adds ν̄.",
            shared,
            "identity",
            (relation("=", k_global, shared_sum), group_size),
        ),
        Step(
            "Trained jointly, the prompts carry the weights ω = 1−θ and θ, each twice: in training and "
            "in the output.",
            joint,
            "identity",
            (relation("=", k_joint, d.joint_rate), shared, local),
        ),
    )
    return Derivation(RESULT, statement=(local, shared, joint), steps=steps)


@cache
def _numeric() -> tuple[Any, Any, Any]:
    symbols, local, shared, joint = formula()
    return (
        as_function(symbols[1:5], local),
        as_function(symbols[1:], shared),
        as_function(symbols, joint),
    )


def _letters(equal: EqualClients) -> tuple[Values, ...]:
    """a, b, ν̄, n, K and χ, in the order of `formula`."""
    signals = equal.global_feature_sq, equal.local_feature_sq
    return *signals, equal.noise_energy, equal.samples, equal.clients, equal.group_size


def local_rate(equal: EqualClients) -> Values:
    """Return κ_L = 4(a + b + ν̄/n), the margin rate of a local prompt alone (T8).

    Let `equal` describe the clients; its fields broadcast. The unit is margin per unit of τ (learning rate times
    steps).

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=7, noise_dim=100, clients=4, samples=10)
    >>> float(local_rate(equal))
    80.0
    """
    return result(_numeric()[0](*_letters(equal)[:4]))


def global_rate(equal: EqualClients) -> Values:
    """Return κ_G = 4(a + bχ/K + ν̄/(nK)), the margin rate of a global prompt alone (T8).

    Unit and argument are those of `local_rate`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=8, noise_dim=80, clients=4, samples=10)
    >>> float(global_rate(equal))
    28.0
    """
    return result(_numeric()[1](*_letters(equal)))


def joint_rate(equal: EqualClients, theta: ArrayLike) -> Values:
    """Return κ(θ) = (1−θ)² κ_G + θ² κ_L, the margin rate of joint training (T8).

    Let θ be `theta`, the weight of the local prompt, which broadcasts with the fields of `equal`.

    Raises:
        ValueError: θ outside [0, 1].

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=8, noise_dim=80, clients=4, samples=10)
    >>> float(joint_rate(equal, 0.5))
    26.0
    """
    return result(_numeric()[2](unit_interval("theta", theta), *_letters(equal)))


class RateParts(NamedTuple):
    """The two summands of κ(θ): what the samples have in common, and a sample's own noise."""

    signal: Values
    noise: Values


def rate_parts(equal: EqualClients, theta: ArrayLike) -> RateParts:
    """Return κ_s and κ_n, what signal and own noise contribute to κ(θ) = κ_s + κ_n (T8).

    The arguments are those of `joint_rate`.

    Raises:
        ValueError: θ outside [0, 1].

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=8, noise_dim=80, clients=4, samples=10)
    >>> parts = rate_parts(equal, 1)
    >>> float(parts.signal), float(parts.noise)
    (44.0, 32.0)
    """
    mixing, rate = unit_interval("theta", theta), _numeric()[2]
    a, b, noise_energy, *clients = _letters(equal)
    return RateParts(
        result(rate(mixing, a, b, 0.0, *clients)), result(rate(mixing, 0.0, 0.0, noise_energy, *clients))
    )
