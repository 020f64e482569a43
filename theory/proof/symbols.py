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

    def positive(names: str) -> tuple[sympy.Symbol, ...]:
        return tuple(sympy.symbols(names, positive=True, seq=True))

    a, b, e, noise = positive("a b e sigma_p")
    nu_bar, length, samples, clients, eta, tau, tau_global, tau_local, omega, t = positive(
        "nubar L n K eta tau tau_G tau_L omega t"
    )
    chi, theta = sympy.symbols("chi theta", positive=True)
    s_global, s_local, variance_global, variance_local = positive("s_G s_L A B")
    ratio_global, ratio_local = positive("R_G R_L")
    covariance, rho, margin0 = sympy.symbols("C rho M_0", real=True)
    return SimpleNamespace(
        a=a,
        b=b,
        e=e,
        sigma=noise,
        nu_bar=nu_bar,
        L=length,
        n=samples,
        K=clients,
        eta=eta,
        tau=tau,
        tau_G=tau_global,
        tau_L=tau_local,
        omega=omega,
        t=t,
        chi=chi,
        theta=theta,
        s_G=s_global,
        s_L=s_local,
        A=variance_global,
        B=variance_local,
        C=covariance,
        R_G=ratio_global,
        R_L=ratio_local,
        rho=rho,
        M_0=margin0,
    )
