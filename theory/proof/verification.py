"""How SymPy verifies the claim of a step, kind by kind."""

from collections.abc import Callable, Iterator, Sequence

from theory.proof.formulas import Formula


class DerivationError(ValueError):
    """A step of a derivation does not hold, or the statement is not what the steps prove."""


def _is_zero(expression: Formula) -> bool:
    import sympy

    if isinstance(expression, sympy.MatrixBase):
        return all(_is_zero(entry) for entry in expression)

    def candidates() -> Iterator[Formula]:
        carried_out = sympy.sympify(expression).doit()
        yield carried_out
        yield sympy.expand(carried_out)
        lambert = _use_lambert_equation(carried_out.rewrite(sympy.erf))
        # cheap normal form first: most claims here are rational functions
        if _is_clearly_nonzero(lambert):
            return
        yield sympy.cancel(sympy.together(lambert))
        yield sympy.simplify(lambert)
        yield sympy.simplify(_use_lambert_equation(sympy.expand(carried_out.rewrite(sympy.exp))))

    return any(candidate == 0 for candidate in candidates())


def _is_clearly_nonzero(expression: Formula) -> bool:
    """Whether one sample point shows that the expression is not zero: it spares a false claim the slow
    forms."""
    import sympy
    from sympy.core.function import AppliedUndef

    if expression.has(sympy.Sum, sympy.Integral, sympy.Limit):
        return False
    opaque = sorted(
        expression.atoms(AppliedUndef, sympy.Derivative, sympy.Subs), key=lambda atom: -atom.count_ops()
    )
    # outermost first, so that a derivative is replaced before the function inside it
    for atom in opaque:
        expression = expression.xreplace({atom: sympy.Dummy()})
    names = sorted(expression.free_symbols, key=sympy.default_sort_key)
    point = {name: sympy.Rational(3 + 2 * i, 7 + i) for i, name in enumerate(names)}
    value = expression.subs(point).evalf(30)
    return bool(value.is_comparable and abs(value) > 1e-12)


def _use_lambert_equation(expression: Formula) -> Formula:
    """Rewrite exp(x − W(z)) as exp(x) W(z)/z, which is the equation W e^W = z that defines W."""
    import sympy

    def rewrite(argument: Formula) -> Formula:
        rest, factor = sympy.sympify(argument), sympy.Integer(1)
        for term in sympy.Add.make_args(rest):
            if isinstance(-term, sympy.LambertW):
                inner = (-term).args[0]
                rest, factor = rest - term, factor * (-term) / inner
        return sympy.exp(rest) * factor

    return expression.replace(sympy.exp, rewrite)


def _is_signed(expression: Formula, strict: bool) -> bool:
    """Whether `expression` is positive (or, if not `strict`, nonnegative) for all values of its symbols."""
    import sympy

    def known(part: Formula) -> bool:
        return bool(part.is_positive if strict else part.is_nonnegative)

    if isinstance(expression, sympy.Integral):
        increasing = all(_is_signed(limit[2] - limit[1], strict) for limit in expression.limits)
        return increasing and _is_signed(expression.function, strict)
    if expression.has(sympy.Integral):
        parts = sympy.Mul.make_args(expression)
        return len(parts) > 1 and all(_is_signed(part, strict) for part in parts)
    if known(expression):
        return True
    numerator, denominator = sympy.fraction(sympy.cancel(sympy.together(expression)))
    forms = [sympy.factor, sympy.expand, sympy.simplify]
    for sign in (1, -1):
        if any(known(form(sign * numerator)) for form in forms) and any(
            form(sign * denominator).is_positive for form in forms
        ):
            return True
    return False


def _substitute(expression: Formula, given: Sequence[Formula]) -> Formula:
    import sympy

    for fact in given:
        if isinstance(fact, sympy.Eq):
            expression = expression.subs(fact.lhs, fact.rhs)
    return expression


def _excess(claim: Formula) -> tuple[Formula, bool]:
    """An inequality as (what must be positive, whether strictly)."""
    import sympy

    if isinstance(claim, sympy.Gt | sympy.Ge):
        return claim.lhs - claim.rhs, isinstance(claim, sympy.Gt)
    if isinstance(claim, sympy.Lt | sympy.Le):
        return claim.rhs - claim.lhs, isinstance(claim, sympy.Lt)
    raise DerivationError(f"{claim} is not an inequality")


def _holds_assumed(claim: Formula, given: Sequence[Formula]) -> bool:
    return True


def _holds_identity(claim: Formula, given: Sequence[Formula]) -> bool:
    import sympy

    difference = _substitute(claim.lhs - claim.rhs, given).doit()
    if difference.has(sympy.Sum):
        # moves constants out of sums, so that a sum named in `given` is recognised
        difference = sympy.simplify(difference)
    return _is_zero(_substitute(difference, given))


def _holds_sign(claim: Formula, given: Sequence[Formula]) -> bool:
    import sympy

    if isinstance(claim, sympy.Ne):
        difference = _substitute(claim.lhs - claim.rhs, given)
        return _is_signed(difference, True) or _is_signed(-difference, True)
    excess, strict = _excess(claim)
    excess = _substitute(excess, given)
    return _is_signed(excess if excess.has(sympy.Integral) else excess.doit(), strict)


def inequalities(given: Sequence[Formula]) -> list[Formula]:
    """Return the given facts that are inequalities, in their order: what a chain adds up."""
    import sympy

    return [fact for fact in given if not isinstance(fact, sympy.Eq)]


def _holds_chain(claim: Formula, given: Sequence[Formula]) -> bool:
    excess, strict = _excess(claim)
    added = [_excess(fact) for fact in inequalities(given)]
    excess -= sum(part for part, _ in added)
    return (not strict or any(part for _, part in added)) and _is_zero(_substitute(excess, given))


def _holds_root(claim: Formula, given: Sequence[Formula]) -> bool:
    return bool(given) and all(_is_zero((fact.lhs - fact.rhs).subs(claim.lhs, claim.rhs)) for fact in given)


def _holds_ode(claim: Formula, given: Sequence[Formula]) -> bool:
    function, solution = claim.lhs, claim.rhs
    time = function.args[0]
    equation, initial = given[0], given[1:]
    if not _is_zero((equation.lhs - equation.rhs).subs(function, solution)):
        return False
    return all(_is_zero(solution.subs(time, fact.lhs.args[0]) - fact.rhs) for fact in initial)


VERIFIERS: dict[str, Callable[[Formula, Sequence[Formula]], bool]] = {
    "assumed": _holds_assumed,
    "modelled": _holds_identity,
    "identity": _holds_identity,
    "sign": _holds_sign,
    "chain": _holds_chain,
    "root": _holds_root,
    "ode": _holds_ode,
}
"""By kind of step: whether SymPy confirms a claim, given facts to substitute or to add up."""
