"""Margins of a fresh image, and the overlap of two images' noise (T1).

Statement (T1): for g = [y, y 1{s = s(k)}, x_1 … x_L] with x_l ~ N(0, σ_p²), the margin has mean H_μ + H_ν and
variance σ_p² ‖H_ξ‖². The noise of an image has expected squared length L σ_p²; the inner product of two
images' noise has mean zero and variance L σ_p⁴, so relative to that length it is about 1/√L.

The last number is why training samples are nearly orthogonal for N ≪ L, which T8 and all that follows need.
"""

from functools import cache
from typing import NamedTuple

from theory.numerics.validation import ArrayLike, Values, between, finite, nonnegative, positive, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq
from theory.proof.gaussian import expectation
from theory.proof.symbols import letters

RESULT = Result(
    tag="T1",
    title="Image features",
    problem="What is the law of the margin of a fresh image, and how much do two images' noises overlap?",
    assumptions=(
        "One coordinate that all clients share, one for each group, L coordinates of noise (this project's reading "
        "of the paper's framework).",
        "Labels ±1 with equal probability.",
        "Gaussian noise, independent of the label and across coordinates and images.",
    ),
    bound="exact",
)


class MarginMoments(NamedTuple):
    """Mean and variance of the margin of a fresh image, in the units of ⟨g, H⟩ and of its square."""

    mean: Values
    variance: Values


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula, Formula]:
    """Return the symbols (H_μ, H_ν, ‖H_ξ‖, σ_p, L), the margin's mean and variance, and the overlap of two images.

    >>> symbols, mean, variance, overlap = formula()
    >>> mean, overlap
    (H_mu + H_nu, 1/sqrt(L))
    """
    import sympy

    at, (shared, own) = letters(), sympy.symbols("H_mu H_nu", real=True)
    length = sympy.Symbol(r"\|H_{\xi}\|", nonnegative=True)
    return (shared, own, length, at.sigma, at.L), shared + own, at.sigma**2 * length**2, 1 / sympy.sqrt(at.L)


@cache
def derivation() -> Derivation:
    """Derive T1's moments from the coordinates of an image."""
    return Derivation(
        RESULT, statement=_moments().states + _overlaps().states[-1:], lemmas=(_moments(), _overlaps())
    )


@cache
def _moments() -> Lemma:
    import sympy

    (shared, own, length, sigma, L), mean, variance, _ = formula()
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    coordinate, entry = (sympy.IndexedBase(name, real=True)[l] for name in ("x", "H"))
    summed = sympy.Sum(coordinate * entry, (l, 1, L))
    x, y, any_entry, u = sympy.symbols("x y H_l u", real=True)
    average = sympy.Symbol(r"\bar{x}", real=True)
    length_of = eq(length, sympy.sqrt(sympy.Sum(entry**2, (l, 1, L))))
    mean_of = eq(sympy.Symbol(r"\mathbb{E}[yf]"), mean)
    variance_of = eq(sympy.Symbol(r"\mathrm{Var}[yf]"), variance)
    image = y * (shared + own) + summed
    steps = (
        Step.modelled(
            "The score of an image is the label times two entries of H, plus noise times the others; the label "
            "multiplies it into the margin.",
            eq(y * image, y**2 * (shared + own) + y * summed),
        ),
        *(
            Step.identity(
                f"The square of a label is 1, here for the label {name}: the signed relevant coordinates are 1.",
                eq(y**2, 1),
                eq(y, label),
            )
            for label, name in ((-1, "−1"), (1, "1"))
        ),
        Step.identity("The noise has mean zero …", eq(expectation(x, x, sigma), 0)),
        Step.identity("… and variance σ_p² …", eq(expectation(x**2, x, sigma), sigma**2)),
        Step.identity(
            "… and multiplied by a label it has the same law.",
            eq(expectation(sympy.exp(-u * x), x, sigma), expectation(sympy.exp(u * x), x, sigma)),
        ),
        Step.identity(
            "Hence the mean of the margin: the noise, of mean zero, drops out.",
            mean_of,
            eq(mean_of.lhs, shared + own + sympy.Sum(entry * average, (l, 1, L))),
            eq(average, expectation(x, x, sigma)),
        ),
        Step.identity(
            "One coordinate adds σ_p² H_l² to the variance.",
            eq(expectation((x * any_entry) ** 2, x, sigma), sigma**2 * any_entry**2),
        ),
        Step.modelled(
            "Different coordinates are independent: the mean of their product is a product of means.",
            eq(any_entry**2 * expectation(x, x, sigma) ** 2, 0),
        ),
        Step.identity(
            "Hence the variance of the margin, with ‖H_ξ‖² the sum of the squared entries.",
            variance_of,
            eq(variance_of.lhs, sympy.Sum(sigma**2 * entry**2, (l, 1, L))),
            length_of,
        ),
    )
    return Lemma("Mean and variance of the margin", steps, states=(mean_of, variance_of))


@cache
def _overlaps() -> Lemma:
    import sympy

    (_, _, _, sigma, L), _, _, value = formula()
    x = sympy.Symbol("x", real=True)
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    energy = sympy.Symbol(r"\mathbb{E}\|x\|^2", positive=True)
    spread = sympy.Symbol(r"\mathrm{Var}\langle x,x'\rangle", positive=True)
    second = expectation(x**2, x, sigma)
    energy_of = eq(energy, L * sigma**2)
    spread_of = eq(spread, L * sigma**4)
    overlap = eq(sympy.sqrt(spread) / energy, value)
    steps = (
        Step.identity(
            "The expected squared length of an image's noise.",
            energy_of,
            eq(energy, sympy.Sum(second, (l, 1, L))),
        ),
        Step.identity(
            "The inner product of two images' noise has mean zero and this variance: each coordinate's is the "
            "product of two independent second moments.",
            spread_of,
            eq(spread, sympy.Sum(second**2, (l, 1, L))),
        ),
        Step.identity("So two images overlap by 1/√L of their length …", overlap, energy_of, spread_of),
        Step.identity(
            "… which vanishes as L grows: noise vectors are nearly orthogonal.",
            eq(sympy.Limit(value, L, sympy.oo), 0),
        ),
    )
    return Lemma("Overlap of two images' noise", steps, states=(energy_of, spread_of, overlap))


def moments(
    *, signal_shared: ArrayLike, signal_own: ArrayLike, noise_norm: ArrayLike, noise_std: ArrayLike
) -> MarginMoments:
    """Return mean and variance of the margin y⟨g, H⟩ of a fresh image (T1).

    Let H_μ be `signal_shared`, H_ν (of the client's group) `signal_own`, ‖H_ξ‖ `noise_norm` and σ_p
    `noise_std`; arguments broadcast. The mean is H_μ + H_ν, the variance σ_p² ‖H_ξ‖². T7 turns them into
    the accuracy.

    Raises:
        ValueError: signals that are not finite, a negative norm, σ_p that is not positive.

    >>> law = moments(signal_shared=1.0, signal_own=2.0, noise_norm=2.0, noise_std=0.5)
    >>> float(law.mean), float(law.variance)
    (3.0, 1.0)
    """
    values = (
        finite("signal_shared", signal_shared),
        finite("signal_own", signal_own),
        nonnegative("noise_norm", noise_norm),
        positive("noise_std", noise_std),
    )
    symbols, mean, variance, _ = formula()
    return MarginMoments(*map(result, as_function(symbols[:4], (mean, variance))(*values)))


def expected_overlap(noise_dim: ArrayLike) -> Values:
    """Return 1/√L, the typical |⟨x_i, x_j⟩| of two images' noise relative to ‖x_i‖² (T1).

    Let L be `noise_dim`, at least 1, of any shape. It is the standard deviation of the overlap: the largest of
    many pairs, which `noise_overlap` of a simulated run reports, is a few times larger.

    Raises:
        ValueError: fewer than one coordinate.

    >>> expected_overlap([100, 10_000]).round(6).tolist()
    [0.1, 0.01]
    """
    symbols, *_, overlap = formula()
    return result(as_function(symbols[4:], overlap)(between("noise_dim", noise_dim, 1)))
