"""Rates at which margins grow (T8).

Statement (T8): κ_L = 4(a + b + ν̄/n), κ_G = 4(a + bχ/K + ν̄/(nK)) and κ(θ) = (1−θ)² κ_G + θ² κ_L.
"""

from functools import cache
from types import SimpleNamespace
from typing import NamedTuple

from theory.model.aggregation import chi_definition
from theory.model.federation import EqualClients
from theory.numerics.validation import ArrayLike, Values, between, result, unit_interval
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, eq
from theory.proof.gaussian import expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T8",
    title="Margin rates",
    problem="At which rate does the margin of a training sample grow per unit of learning rate "
    "times residual?",
    assumptions=(
        "Linear band, zero start, one local step per round.",
        "Equal sample counts and equal group size; rows orthogonal, but for those of the groups' features.",
        "Near-orthogonal noise: inner products of noise vectors equal their expectation (number of samples ≪ L).",
    ),
    bound="asymptotic",
    uses=("T1", "T2", "T5"),
)


@cache
def kernel_sums() -> SimpleNamespace:
    """Return the shared letters, the slope in the linear band and the three rates, as SymPy expressions.

    >>> sums = kernel_sums()
    >>> sums.local_rate.has(sums.chi)
    False
    """
    import sympy

    at = letters()
    local_rate = sympy.expand(4 * (at.a + at.b + at.nu_bar / at.n))
    global_rate = sympy.expand(4 * (at.a + at.b * at.chi / at.K + at.nu_bar / (at.n * at.K)))
    joint = (1 - at.theta) ** 2 * global_rate + at.theta**2 * local_rate
    rates = dict(local_rate=local_rate, global_rate=global_rate, joint_rate=joint)
    return SimpleNamespace(slope=sympy.Integer(2), **rates, **vars(at))


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
    """Derive T8 from the margin kernel."""
    import sympy

    d = kernel_sums()
    q, omega, s = sympy.symbols("q omega s", positive=True)
    norm, gi, gj, x = sympy.symbols("w_r g_i g_j x", real=True)
    moved, margin_moved = sympy.symbols(r"\Delta{z_r} \Delta{M_i}", real=True)
    j, l = sympy.symbols("j l", integer=True, positive=True)  # noqa: E741
    k_global, k_local, k_joint = sympy.symbols("kappa_G kappa_L kappa_theta", positive=True)
    local, shared = eq(k_local, d.local_rate), eq(k_global, d.global_rate)
    joint = eq(k_joint, (1 - d.theta) ** 2 * k_global + d.theta**2 * k_local)
    inner = chi_definition()
    same, other = (sympy.Symbol(rf"{{e\langle x_i, x_{index}\rangle}}", real=True) for index in "ij")
    own_noise, others_noise = eq(same, d.nu_bar), eq(other, 0)
    local_sum = 4 * (sympy.Sum(d.a + d.b + other, (j, 1, d.n - 1)) + d.a + d.b + same) / d.n
    shared_sum = d.n * (sympy.Sum(d.a, (j, 1, d.K)) + inner.lhs) + (d.n * d.K - 1) * other + same
    steps = (
        Step.identity(
            "In the linear band the slope of the encoder is s = 2 (T2). One sample j moves z_r (T5), and z_r moves "
            "the margin of sample i: through row r by 4ω² ‖w_r‖² (y g)_i (y g)_j η q.",
            eq(margin_moved, 4 * omega**2 * norm * gi * gj * d.eta * q),
            eq(margin_moved, omega * s * gi * moved),
            eq(moved, d.eta * omega * norm * s * q * gj),
            eq(s, d.slope),
        ),
        Step.identity(
            "Irrelevant coordinates of one sample: the expected square is σ_p² each, ν̄ = L σ_p² e in all.",
            own_noise,
            eq(same, sympy.Sum(d.e * expectation(x**2, x, d.sigma), (l, 1, d.L))),
            eq(d.nu_bar, d.L * d.sigma**2 * d.e),
        ),
        Step.identity(
            "Irrelevant coordinates of two samples are independent: the expected product is zero.",
            others_noise,
            eq(other, sympy.Sum(d.e * expectation(x, x, d.sigma) ** 2, (l, 1, d.L))),
        ),
        Step.identity(
            "Local prompt: the mean over the client's n samples, which share a + b; the noise of one is the "
            "sample's own.",
            local,
            eq(k_local, local_sum),
            own_noise,
            others_noise,
        ),
        Step.assumed("The inner products of a client's ν with all clients' sum to χ‖ν‖².", inner),
        Step.identity(
            "Global prompt: the mean over the nK samples of all clients, of which those of client j share a + G_j.",
            shared,
            eq(k_global, 4 * shared_sum / (d.n * d.K)),
            own_noise,
            others_noise,
            inner,
        ),
        Step.modelled(
            "Trained jointly, the prompts carry the weights ω = 1−θ and θ, each twice: in training and in the "
            "output.",
            joint,
            eq(k_joint, d.joint_rate),
            shared,
            local,
        ),
    )
    return Derivation(RESULT, statement=(local, shared, joint), steps=steps)


# Every run asks for these two rates, so that they stand as NumPy beside the formulas, term by term: a test holds
# them against `formula` to the last digit, and a run need not load SymPy for them.


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
    a, b, noise_energy, samples, *_ = _letters(equal)
    return result(4 * a + 4 * b + 4 * noise_energy / samples)


def global_rate(equal: EqualClients) -> Values:
    """Return κ_G = 4(a + bχ/K + ν̄/(nK)), the margin rate of a global prompt alone (T8).

    Unit and argument are those of `local_rate`.

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=8, noise_dim=80, clients=4, samples=10)
    >>> float(global_rate(equal))
    28.0
    """
    a, b, noise_energy, samples, clients, group_size = _letters(equal)
    return result(4 * a + 4 * b * group_size / clients + 4 * noise_energy / (clients * samples))


def joint_rate(equal: EqualClients, theta: ArrayLike, participation: ArrayLike = 1.0) -> Values:
    """Return κ(θ) = (1−θ)² κ_G + rθ² κ_L, the margin rate of joint training per unit of τ_G (T8; r < 1: T28).

    Let θ be `theta`, the weight of the local prompt, and r `participation`, the share of the clients that are drawn
    in each round; they broadcast with the fields of `equal`.

    Raises:
        ValueError: θ outside [0, 1], r outside (0, 1].

    >>> equal = EqualClients(global_feature_sq=3, local_feature_sq=8, noise_dim=80, clients=4, samples=10)
    >>> float(joint_rate(equal, 0.5))
    26.0
    """
    mixing, share = (
        unit_interval("theta", theta),
        between("participation", participation, 0, 1, open_low=True),
    )
    return result((1 - mixing) ** 2 * global_rate(equal) + mixing**2 * local_rate(equal) * share)


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
    symbols, *_, joint = formula()
    mixing, rate = unit_interval("theta", theta), as_function(symbols, joint)
    a, b, noise_energy, *clients = _letters(equal)
    return RateParts(
        result(rate(mixing, a, b, 0.0, *clients)), result(rate(mixing, 0.0, 0.0, noise_energy, *clients))
    )
