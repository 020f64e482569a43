"""Margins of a fresh image, and the overlap of two images' noise (T1).

Statement (T1): for g = [y, y 1{s = s(k)}, x_1 … x_L] with x_l ~ N(0, σ_p²), the margin has mean H_μ + H_ν and
variance σ_p² ‖H_ξ‖². The noise of an image has expected squared length L σ_p²; the inner product of two
images' noise has mean zero and variance L σ_p⁴, so relative to that length it is about 1/√L.

The last number is why training samples are nearly orthogonal for N ≪ L, which T8 and all that follows need.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from theory.numerics.validation import ArrayLike, Values, between, finite, nonnegative, positive, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, relation
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
def _law() -> SimpleNamespace:
    """The symbols of the data model, and the second moments of its noise and of a label."""
    import sympy

    at = letters()
    shared, own, x, y = sympy.symbols("H_mu H_nu x y", real=True)
    length = sympy.Symbol(r"\|H_{\xi}\|", nonnegative=True)
    return SimpleNamespace(
        **vars(at),
        **dict(shared=shared, own=own, length=length, x=x, y=y),
        second=expectation(x**2, x, at.sigma).doit(),
        label_squared=sympy.Add(*(label**2 for label in (-1, 1))) / 2,
    )


@cache
def formula() -> tuple[tuple[Formula, ...], Formula, Formula]:
    """Return the symbols (H_μ, H_ν, ‖H_ξ‖, σ_p), and the mean and variance of the margin.

    >>> symbols, mean, variance = formula()
    >>> mean
    H_mu + H_nu
    """
    d = _law()
    mean = d.label_squared * (d.shared + d.own)
    variance = d.label_squared * d.second * d.length**2
    return (d.shared, d.own, d.length, d.sigma), mean, variance


@cache
def _overlap() -> tuple[Formula, Formula]:
    """The symbol L, and the deviation of ⟨x_i, x_j⟩ relative to the expected ‖x_i‖²."""
    import sympy

    d = _law()
    return d.L, sympy.sqrt(d.L * d.second**2) / (d.L * d.second)


@cache
def derivation() -> Derivation:
    """Derive T1's moments from the coordinates of an image.

    >>> derivation().result.bound
    'exact'
    """
    return Derivation(
        RESULT, statement=_moments().states + _overlaps().states[-1:], lemmas=(_moments(), _overlaps())
    )


@cache
def _moments() -> Lemma:
    import sympy

    d = _law()
    _, mean, variance = formula()
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    coordinate, entry = (sympy.IndexedBase(name, real=True)[l] for name in ("x", "H"))
    summed = sympy.Sum(coordinate * entry, (l, 1, d.L))
    any_entry, u = sympy.symbols("H_l u", real=True)
    average = sympy.Symbol(r"\bar{x}", real=True)
    length = relation("=", d.length, sympy.sqrt(sympy.Sum(entry**2, (l, 1, d.L))))
    mean_of = relation("=", sympy.Symbol(r"\mathbb{E}[yf]"), mean)
    variance_of = relation("=", sympy.Symbol(r"\mathrm{Var}[yf]"), variance)
    image = d.y * (d.shared + d.own) + summed
    steps = (
        Step(
            "The score of an image is the label times two entries of H, plus noise times the others; the label "
            "multiplies it into the margin.",
            relation("=", d.y * image, d.y**2 * (d.shared + d.own) + d.y * summed),
            "modelled",
        ),
        *(
            Step(
                f"The square of a label is 1, here for the label {label}: the signed relevant coordinates are 1.",
                relation("=", d.y**2, d.label_squared),
                "identity",
                (relation("=", d.y, label),),
            )
            for label in (-1, 1)
        ),
        Step("The noise has mean zero …", relation("=", expectation(d.x, d.x, d.sigma), 0), "identity"),
        Step(
            "… and variance σ_p² …", relation("=", expectation(d.x**2, d.x, d.sigma), d.sigma**2), "identity"
        ),
        Step(
            "… and multiplied by a label it has the same law.",
            relation(
                "=",
                expectation(sympy.exp(-u * d.x), d.x, d.sigma),
                expectation(sympy.exp(u * d.x), d.x, d.sigma),
            ),
            "identity",
        ),
        Step(
            "Hence the mean of the margin: the noise, of mean zero, drops out.",
            mean_of,
            "identity",
            (
                relation("=", mean_of.lhs, d.shared + d.own + sympy.Sum(entry * average, (l, 1, d.L))),
                relation("=", average, expectation(d.x, d.x, d.sigma)),
            ),
        ),
        Step(
            "One coordinate adds σ_p² H_l² to the variance.",
            relation("=", expectation((d.x * any_entry) ** 2, d.x, d.sigma), d.sigma**2 * any_entry**2),
            "identity",
        ),
        Step(
            "Different coordinates are independent: the mean of their product is a product of means.",
            relation("=", any_entry**2 * expectation(d.x, d.x, d.sigma) ** 2, 0),
            "modelled",
        ),
        Step(
            "Hence the variance of the margin, with ‖H_ξ‖² the sum of the squared entries.",
            variance_of,
            "identity",
            (relation("=", variance_of.lhs, sympy.Sum(d.sigma**2 * entry**2, (l, 1, d.L))), length),
        ),
    )
    return Lemma("Mean and variance of the margin", steps, states=(mean_of, variance_of))


@cache
def _overlaps() -> Lemma:
    import sympy

    d = _law()
    l = sympy.Symbol("l", integer=True, positive=True)  # noqa: E741
    energy = sympy.Symbol(r"\mathbb{E}\|x\|^2", positive=True)
    spread = sympy.Symbol(r"\mathrm{Var}\langle x,x'\rangle", positive=True)
    second = expectation(d.x**2, d.x, d.sigma)
    energy_of = relation("=", energy, d.L * d.sigma**2)
    spread_of = relation("=", spread, d.L * d.sigma**4)
    overlap = relation("=", sympy.sqrt(spread) / energy, _overlap()[1])
    steps = (
        Step(
            "The expected squared length of an image's noise.",
            energy_of,
            "identity",
            (relation("=", energy, sympy.Sum(second, (l, 1, d.L))),),
        ),
        Step(
            "The inner product of two images' noise has mean zero and this variance: each coordinate's is the "
            "product of two independent second moments.",
            spread_of,
            "identity",
            (relation("=", spread, sympy.Sum(second**2, (l, 1, d.L))),),
        ),
        Step("So two images overlap by 1/√L of their length …", overlap, "identity", (energy_of, spread_of)),
        Step(
            "… which vanishes as L grows: noise vectors are nearly orthogonal.",
            relation("=", sympy.Limit(_overlap()[1], d.L, sympy.oo), 0),
            "identity",
        ),
    )
    return Lemma("Overlap of two images' noise", steps, states=(energy_of, spread_of, overlap))


@cache
def _numeric() -> tuple[Any, Any, Any]:
    symbols, mean, variance = formula()
    length, overlap = _overlap()
    return as_function(symbols, mean), as_function(symbols, variance), as_function([length], overlap)


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
    mean, variance, _ = _numeric()
    return MarginMoments(result(mean(*values)), result(variance(*values)))


def expected_overlap(noise_dim: ArrayLike) -> Values:
    """Return 1/√L, the typical |⟨x_i, x_j⟩| of two images' noise relative to ‖x_i‖² (T1).

    Let L be `noise_dim`, at least 1, of any shape. It is the standard deviation of the overlap: the largest of
    many pairs, which `noise_overlap` of a simulated run reports, is a few times larger.

    Raises:
        ValueError: fewer than one coordinate.

    >>> expected_overlap([100, 10_000]).tolist()
    [0.1, 0.01]
    """
    return result(_numeric()[2](between("noise_dim", noise_dim, 1)))
