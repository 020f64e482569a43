"""The results of the theory: every module of this package that has a `RESULT`, in the order of their tags."""

import pkgutil
import re
from functools import cache
from importlib import import_module

import theory
from theory.proof.derivation import Derivation, Result


@cache
def results() -> dict[str, str]:
    """Return the module of every result, by tag, in the order of the theory.

    A result is found by its module-level `RESULT`; parts of a result follow it in the order of `_place`.

    Raises:
        ValueError: two modules with one tag.

    >>> list(results())[:3], results()["T15"]
    (['T1', 'T2', 'T3'], 'theory.mixing.tangency')
    """
    found: dict[str, str] = {}
    for module in pkgutil.walk_packages(theory.__path__, "theory."):
        record = getattr(import_module(module.name), "RESULT", None)
        if not isinstance(record, Result):
            continue
        if record.tag in found:
            raise ValueError(f"{record.tag} is the tag of {found[record.tag]} and of {module.name}")
        found[record.tag] = module.name
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def _place(tag: str) -> tuple[int, str]:
    """Where a tag belongs: "T9" before "T9 (coefficients)" before "T10"."""
    number = re.match(r"T(\d+)", tag)
    if number is None:
        raise ValueError(f"`tag` is {tag!r}; allowed: T and a number, then perhaps a part in brackets")
    return int(number.group(1)), tag


def derive(tag: str) -> Derivation:
    """Return the verified derivation of a result; the first call of each takes up to a few seconds.

    Raises:
        ValueError: a tag that is not in `results()`.

    >>> derive("T21").result.title
    'Joint mixing law'
    """
    if tag not in results():
        raise ValueError(f"`tag` is {tag!r}; allowed: {', '.join(results())}")
    derivation: Derivation = import_module(results()[tag]).derivation()
    return derivation
