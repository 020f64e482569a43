"""Pictures of any result: every module of `figures.kinds` is a kind."""

import importlib
import math
import pkgutil
from typing import Protocol

import xarray as xr

from figures import kinds
from figures.options import CannotDrawError, Options
from figures.parts import Picture
from figures.style import in_style, require_finite


class KindModule(Protocol):
    """What the file of a kind offers; the first line of its docstring says what it shows.

    Attributes:
        ORDER: its place among those that a dataset can give: the first is drawn where none is named.
    """

    ORDER: float

    def lacks(self, data: xr.Dataset) -> str:
        """What the dataset would need to give this picture, in words; empty where it can."""

    def suits(self, data: xr.Dataset) -> bool:
        """Whether a dataset that can give this picture is best shown by it."""

    def draw(self, data: xr.Dataset, options: Options) -> Picture:
        """Draw it."""


def kind_names() -> tuple[str, ...]:
    """Names of the kinds, in the order in which one is chosen."""
    names = [module.name for module in pkgutil.iter_modules(kinds.__path__)]
    return tuple(sorted(names, key=lambda name: (load_kind(name).ORDER, name)))


def load_kind(name: str) -> KindModule:
    """Import one kind's module."""
    return importlib.import_module(f"{kinds.__name__}.{name}")


def possible_kinds(data: xr.Dataset) -> dict[str, str]:
    """For every kind what a dataset lacks for it, in words: nothing for those that it can give."""
    return {name: load_kind(name).lacks(data) for name in kind_names()}


def choose_kind(data: xr.Dataset) -> str:
    """The kind that shows a dataset best.

    Raises:
        CannotDrawError: when it can give none.
    """
    can = [name for name, lacking in possible_kinds(data).items() if not lacking]
    if not can:
        raise CannotDrawError("file", ", ".join(map(str, data.data_vars)), "a result with numbers to draw")
    return min(can, key=lambda name: (not load_kind(name).suits(data), load_kind(name).ORDER))


def draw_picture(name: str, data: xr.Dataset, options: Options | None = None) -> Picture:
    """Draw one kind of picture in the project's style.

    Args:
        name: one of `kind_names()`.
        data: the dataset; its variables' attributes become labels and caption.
        options: size, axes, style and contents.

    Raises:
        CannotDrawError: the dataset lacks what the kind needs, or an option does not fit it.
        ValueError: a number to be drawn is not finite.
    """
    chosen = options or Options()
    if name not in kind_names():
        raise CannotDrawError("kind", name, "one of " + ", ".join(kind_names()))
    if lacking := load_kind(name).lacks(data):
        can = ", ".join(each for each, missing in possible_kinds(data).items() if not missing) or "none"
        raise CannotDrawError("kind", name, f"one that these data can give ({can}); it needs {lacking}")
    if chosen.height is not None and not (math.isfinite(chosen.height) and 0.5 <= chosen.height <= 30):
        raise CannotDrawError("height", chosen.height, "inches from 0.5 to 30")
    with in_style(chosen):
        picture = load_kind(name).draw(data, chosen)
    require_finite(picture.figure)
    notices = data.attrs.get("described", "")
    return picture._replace(caption=" ".join(part for part in (picture.caption, notices) if part))
