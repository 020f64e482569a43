"""Modules of a user's that hide one of the toolkit's top-level packages of the same name."""

import importlib.machinery
import pathlib
import sys

TOP_LEVEL = ("theory", "simulate", "figures")
"""Names that an installation takes beside `promptfolio` itself."""

_HOME = pathlib.Path(__file__).resolve().parents[2]


def find_own_first() -> None:
    """Have the toolkit's packages found before modules of the same names, if there are any on the search path.

    For a process that is the command's own, and for those that it starts, which get its search path: elsewhere the
    path is not the toolkit's to change.
    """
    if shadowed_package() is not None:
        sys.path.insert(0, str(_HOME))


def shadowed_package() -> str | None:
    """Error message when a top-level package of the toolkit would be imported from elsewhere; None otherwise.

    The packages lie beside `promptfolio`, whether it is installed or imported from a checkout.
    """
    for name in TOP_LEVEL:
        found = _location(name)
        if found is not None and found.parent != _HOME:
            return (
                f"`import {name}` would read {found}, which hides this toolkit's package `{name}`: rename it, or"
                " leave its folder out of the search path (PYTHONPATH and, with `python -m`, the current folder)"
            )
    return None


def _location(name: str) -> pathlib.Path | None:
    """File or folder that would be imported under a name; None where a finder of another kind answers."""
    module = sys.modules.get(name)
    spec = module.__spec__ if module is not None else importlib.machinery.PathFinder.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return pathlib.Path(next(iter(spec.submodule_search_locations))).resolve()
    return pathlib.Path(spec.origin).resolve() if spec.origin else None
