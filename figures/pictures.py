"""Pictures of any result: every module of `figures.kinds` is a kind."""

import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Sequence
from typing import Any, Protocol

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


def draw_pictures(names: Sequence[str], data: xr.Dataset, options: Options | None = None) -> list[Picture]:
    """Draw some kinds of pictures in the project's style.

    Args:
        names: of `kind_names()`.
        data: the dataset; its variables' attributes become labels and captions.
        options: size, axes, style and contents.

    Raises:
        CannotDrawError: the dataset lacks what a kind needs, an option does not fit it, or none of them follows it.
        ValueError: a number to be drawn is not finite.
    """
    chosen = _Followed(options or Options())
    pictures = [_draw(name, data, chosen) for name in names]
    for option, value in chosen.ignored():
        raise CannotDrawError(option, value, f"left out: {', '.join(names)} does not depend on it")
    return pictures


def draw_picture(name: str, data: xr.Dataset, options: Options | None = None) -> Picture:
    """Draw one kind of picture, as `draw_pictures` does."""
    return draw_pictures([name], data, options)[0]


class _Followed(Options):
    """Options that know which of them were asked for."""

    def __init__(self, options: Options):
        super().__init__(**dataclasses.asdict(options))
        object.__setattr__(self, "asked", set())

    def __getattribute__(self, name: str) -> Any:
        known = object.__getattribute__(self, "__dict__")
        known.get("asked", set()).add(name)
        return known[name] if name in known else object.__getattribute__(self, name)

    def ignored(self) -> list[tuple[str, Any]]:
        """Options that were given and that nobody asked for, with their values."""
        asked = set(self.asked)
        values = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return [
            (field.name, value)
            for field, value in values
            if value != field.default and field.name not in asked
        ]


def _draw(name: str, data: xr.Dataset, chosen: Options) -> Picture:
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
