"""The normal density and expectations under it, as SymPy expressions that stay unevaluated."""

from theory.proof.derivation import Formula


def density(x: Formula, deviation: Formula, mean: Formula = 0) -> Formula:
    """Return the density of N(mean, deviation²) at `x`.

    >>> import sympy
    >>> density(sympy.Integer(0), sympy.Integer(1))
    sqrt(2)/(2*sqrt(pi))
    """
    import sympy

    return sympy.exp(-((x - mean) ** 2) / (2 * deviation**2)) / (sympy.sqrt(2 * sympy.pi) * deviation)


def expectation(value: Formula, x: Formula, deviation: Formula, mean: Formula = 0) -> Formula:
    """Return the integral over `x` ~ N(mean, deviation²) of `value`, an expression of `x`.

    >>> import sympy
    >>> x, sigma = sympy.Symbol("x", real=True), sympy.Symbol("sigma", positive=True)
    >>> expectation(x**2, x, sigma).doit()
    sigma**2
    """
    import sympy

    return sympy.Integral(value * density(x, deviation, mean), (x, -sympy.oo, sympy.oo))
