"""Rates at which margins grow (T8).

Statement (T8): κ_L = 4(a + b + ν̄/n), κ_G = 4(a + bχ/K + ν̄/(nK)) and κ(θ) = (1−θ)² κ_G + θ² κ_L.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any

from theory.model.aggregation import chi_definition
from theory.numerics.validation import (
    ArrayLike,
    Values,
    between,
    checked_group_size,
    nonnegative,
    result,
    unit_interval,
)
from theory.proof.derivation import Derivation, Formula, Result, Step, as_function, relation
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
    local, shared = relation("=", k_local, d.local_rate), relation("=", k_global, d.global_rate)
    joint = relation("=", k_joint, (1 - d.theta) ** 2 * k_global + d.theta**2 * k_local)
    inner = chi_definition()
    same, other = (sympy.Symbol(rf"{{e\langle x_i, x_{index}\rangle}}", real=True) for index in "ij")
    own_noise, others_noise = relation("=", same, d.nu_bar), relation("=", other, 0)
    local_sum = 4 * (sympy.Sum(d.a + d.b + other, (j, 1, d.n - 1)) + d.a + d.b + same) / d.n
    shared_sum = d.n * (sympy.Sum(d.a, (j, 1, d.K)) + inner.lhs) + (d.n * d.K - 1) * other + same
    steps = (
        Step.identity(
            "In the linear band the slope of the encoder is s = 2 (T2). One sample j moves z_r (T5), and z_r moves "
            "the margin of sample i: through row r by 4ω² ‖w_r‖² (y g)_i (y g)_j η q.",
            relation("=", margin_moved, 4 * omega**2 * norm * gi * gj * d.eta * q),
            relation("=", margin_moved, omega * s * gi * moved),
            relation("=", moved, d.eta * omega * norm * s * q * gj),
            relation("=", s, d.slope),
        ),
        Step.identity(
            "Irrelevant coordinates of one sample: the expected square is σ_p² each, ν̄ = L σ_p² e in all.",
            own_noise,
            relation("=", same, sympy.Sum(d.e * expectation(x**2, x, d.sigma), (l, 1, d.L))),
            relation("=", d.nu_bar, d.L * d.sigma**2 * d.e),
        ),
        Step.identity(
            "Irrelevant coordinates of two samples are independent: the expected product is zero.",
            others_noise,
            relation("=", other, sympy.Sum(d.e * expectation(x, x, d.sigma) ** 2, (l, 1, d.L))),
        ),
        Step.identity(
            "Local prompt: the mean over the client's n samples, which share a + b; the noise of one is the "
            "sample's own.",
            local,
            relation("=", k_local, local_sum),
            own_noise,
            others_noise,
        ),
        Step.assumed("The inner products of a client's ν with all clients' sum to χ‖ν‖².", inner),
        Step.identity(
            "Global prompt: the mean over the nK samples of all clients, of which those of client j share a + G_j.",
            shared,
            relation("=", k_global, 4 * shared_sum / (d.n * d.K)),
            own_noise,
            others_noise,
            inner,
        ),
        Step.modelled(
            "Trained jointly, the prompts carry the weights ω = 1−θ and θ, each twice: in training and in the "
            "output.",
            joint,
            relation("=", k_joint, d.joint_rate),
            shared,
            local,
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


def _checked(
    global_feature_sq: ArrayLike, local_feature_sq: ArrayLike, noise_energy: ArrayLike, samples: ArrayLike
) -> tuple[Any, ...]:
    return (
        nonnegative("global_feature_sq", global_feature_sq),
        nonnegative("local_feature_sq", local_feature_sq),
        nonnegative("noise_energy", noise_energy),
        between("samples", samples, 1),
    )


def local_rate(
    *, global_feature_sq: ArrayLike, local_feature_sq: ArrayLike, noise_energy: ArrayLike, samples: ArrayLike
) -> Values:
    """Return κ_L = 4(a + b + ν̄/n), the margin rate of a local prompt alone (T8).

    Let a be `global_feature_sq`, b `local_feature_sq`, ν̄ = L σ_p² e `noise_energy` and n `samples` per client;
    arguments broadcast. The unit is margin per unit of τ (learning rate times steps).

    Raises:
        ValueError: negative energies, fewer than one sample.

    >>> float(local_rate(global_feature_sq=3, local_feature_sq=7, noise_energy=100, samples=10))
    80.0
    """
    return result(_numeric()[0](*_checked(global_feature_sq, local_feature_sq, noise_energy, samples)))


def global_rate(
    *,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_energy: ArrayLike,
    samples: ArrayLike,
    clients: ArrayLike,
    group_size: ArrayLike,
) -> Values:
    """Return κ_G = 4(a + bχ/K + ν̄/(nK)), the margin rate of a global prompt alone (T8).

    Let K be `clients` and χ be `group_size` (from 0 to K, the same for every client); the other arguments are
    those of `local_rate`.

    Raises:
        ValueError: as `local_rate`; fewer than one client; χ outside [0, K].

    >>> float(global_rate(
    ...     global_feature_sq=3, local_feature_sq=8, noise_energy=80, samples=10, clients=4, group_size=1))
    28.0
    """
    checked = _checked(global_feature_sq, local_feature_sq, noise_energy, samples)
    count = between("clients", clients, 1)
    return result(_numeric()[1](*checked, count, checked_group_size(group_size, count, symmetric=True)))


def joint_rate(
    theta: ArrayLike,
    *,
    global_feature_sq: ArrayLike,
    local_feature_sq: ArrayLike,
    noise_energy: ArrayLike,
    samples: ArrayLike,
    clients: ArrayLike,
    group_size: ArrayLike,
) -> Values:
    """Return κ(θ) = (1−θ)² κ_G + θ² κ_L, the margin rate of joint training (T8).

    Let θ be `theta`, the weight of the local prompt; the other arguments are those of `global_rate`.

    Raises:
        ValueError: as `global_rate`; θ outside [0, 1].

    >>> float(joint_rate(
    ...     0.5, global_feature_sq=3, local_feature_sq=8, noise_energy=80, samples=10, clients=4, group_size=1))
    26.0
    """
    mixing = unit_interval("theta", theta)
    checked = _checked(global_feature_sq, local_feature_sq, noise_energy, samples)
    count = between("clients", clients, 1)
    return result(
        _numeric()[2](mixing, *checked, count, checked_group_size(group_size, count, symmetric=True))
    )
