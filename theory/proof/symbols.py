"""The letters of the theory as SymPy symbols with their signs declared, built on first use."""

from functools import cache
from types import SimpleNamespace


@cache
def letters() -> SimpleNamespace:
    """Return the shared symbols; `theory.proof.notation` says what each one means.

    Squared norms, noise levels, counts, step sizes and times are declared positive, so that SymPy can decide
    signs.

    >>> letters().K.is_positive
    True
    """
    import sympy

    names = "a b e L n K eta tau tau_G tau_L omega t chi theta s_G s_L A B R_G R_L"
    positive, real = sympy.symbols(names, positive=True), sympy.symbols("C rho M_0", real=True)
    sigma, nu_bar = sympy.symbols("sigma_p nubar", positive=True)
    by_name = {symbol.name: symbol for symbol in (*positive, *real)}
    return SimpleNamespace(sigma=sigma, nu_bar=nu_bar, **by_name)
