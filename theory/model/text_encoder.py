"""The two-layer text encoder as a function of one pre-activation (T2).

Statement (T2): h is odd for every activation σ, with slope h'(z) = σ'(z + c) + σ'(−z + c), so it increases if σ
does. For the ReLU h(z) = 2z inside the linear band |z| ≤ c and z + sign(z) c outside: slope 2, then 1,
continuous at the border.
"""

from functools import cache

from theory.numerics.validation import ArrayLike, Values, finite, positive, result
from theory.proof.derivation import Derivation, Formula, Lemma, Result, Step, as_function, eq, relation

RESULT = Result(
    tag="T2",
    title="Text encoder",
    problem="How does the encoder turn the inner product of a prompt with a frozen row into a feature?",
    assumptions=(
        "The encoder h(z) = σ(z + c) − σ(−z + c), this project's reading of the paper's framework, with an offset "
        "c > 0 from the class name.",
        "A differentiable activation where its slope is used.",
    ),
    bound="exact",
)


@cache
def formula() -> tuple[tuple[Formula, ...], Formula]:
    """Return the symbols (z, c) and h for the ReLU, in pieces.

    >>> (z, c), h = formula()
    >>> h.subs({z: 3, c: 1})
    4
    """
    import sympy

    z, offset = sympy.Symbol("z", real=True), sympy.Symbol("c", positive=True)
    inside = sympy.And(z > -offset, z < offset)
    pieces = ((2 * z, inside), (z + offset, z >= offset), (z - offset, True))
    return (z, offset), sympy.Piecewise(*pieces)


@cache
def derivation() -> Derivation:
    """Derive T2: oddness and slope for any activation, the three pieces for the ReLU."""
    import sympy

    (z, offset), pieces = formula()
    activation = sympy.Function("sigma", real=True)
    slope_of = sympy.Function(r"{\sigma'}", nonnegative=True)
    left, right, beyond = sympy.symbols("u v d", positive=True)

    def integrated(x: Formula, name: str) -> Formula:
        dummy = sympy.Symbol(name, real=True)
        return activation(0) + sympy.Integral(slope_of(dummy), (dummy, 0, x))

    def encoder(at: Formula) -> Formula:
        return activation(at + offset) - activation(-at + offset)

    # two integration variables: SymPy refuses to insert one integral into another of the same variable
    primitives = tuple(
        eq(activation(x), integrated(x, name)) for name, x in (("r", z + offset), ("s", -z + offset))
    )
    feature = sympy.Function("h")
    definition = tuple(eq(feature(at), encoder(at)) for at in (z, -z))
    odd = eq(feature(-z), -feature(z))
    slope = eq(sympy.Derivative(feature(z), z), slope_of(z + offset) + slope_of(-z + offset))
    relu = sympy.Max(0, z + offset) - sympy.Max(0, -z + offset)
    statement = eq(relu, pieces)
    inside, above, below = (eq(feature(z), piece.expr) for piece in pieces.args)
    slopes = tuple(
        Step.identity(text, eq(sympy.Derivative(feature(z), z), value), piece)
        for text, value, piece in (
            ("The piece inside has slope 2 …", 2, inside),
            ("… and the pieces outside have slope 1: above …", 1, above),
            ("… and below the band.", 1, below),
        )
    )
    borders = tuple(
        Step.identity(text, eq(inside.rhs, outside.rhs), eq(z, border))
        for text, outside, border in (
            ("At the upper border the pieces meet …", above, offset),
            ("… and at the lower one.", below, -offset),
        )
    )
    for_every_activation = (
        Step.identity(
            "Exchanging z and −z exchanges the two terms: h is odd, for every σ.", odd, *definition
        ),
        Step.identity(
            "Its slope adds the slopes of the two terms (σ is the integral of its slope σ').",
            slope,
            definition[0],
            *primitives,
        ),
        Step.sign("If σ never decreases, neither does h.", relation(">=", slope.rhs, 0)),
    )
    in_pieces = (
        Step.identity(
            "Inside the band, where u = c + z and v = c − z are positive: both terms are on.",
            statement,
            eq(z, (left - right) / 2),
            eq(offset, (left + right) / 2),
        ),
        Step.identity(
            "Above the band, z = c + d with d > 0: only the first term is on.",
            statement,
            eq(z, offset + beyond),
        ),
        Step.identity(
            "Below the band, z = −c − d with d > 0: only the second term is on.",
            statement,
            eq(z, -offset - beyond),
        ),
        *slopes,
        *borders,
    )
    lemmas = (
        Lemma(
            "For every activation h is odd, and its slope adds two slopes",
            for_every_activation,
            states=(odd, slope),
        ),
        Lemma(
            "The ReLU encoder in pieces, of slope 2 inside the band and 1 outside",
            in_pieces,
            states=(statement,),
        ),
    )
    return Derivation(RESULT, statement=(odd, slope, statement), lemmas=lemmas)


def encode(z: ArrayLike, offset: ArrayLike) -> Values:
    """Return the text feature h(z) of the ReLU encoder (T2).

    Let z be `z`, the inner products of a prompt with frozen rows, and c be `offset`; arguments broadcast. h is
    2z for |z| < c, else z + sign(z) c, in the units of z.

    Raises:
        ValueError: a z that is not finite, an offset that is not positive.

    >>> encode([-3.0, 0.5, 1.0, 3.0], 1.0).tolist()
    [-4.0, 1.0, 2.0, 4.0]
    """
    return result(as_function(*formula())(finite("z", z), positive("offset", offset)))


def slope(z: ArrayLike, offset: ArrayLike) -> Values:
    """Return the slope h'(z) of the ReLU encoder (T2): 2 for |z| < c and 1 outside, the border included.

    The arguments are those of `encode`. Training stays in the linear band while every slope is 2.

    Raises:
        ValueError: as `encode`.

    >>> slope([-3.0, 0.5, 1.0], 1.0).tolist()
    [1.0, 2.0, 1.0]
    """
    symbols, pieces = formula()
    return result(as_function(symbols, pieces.diff(symbols[0]))(finite("z", z), positive("offset", offset)))
