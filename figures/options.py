"""What a reader may choose of a picture: its size, axes and style, and which numbers it shows."""

import dataclasses
from typing import Literal

Size = Literal["page", "column"]
Scale = Literal["auto", "linear", "log"]
Spread = Literal["auto", "seeds", "clients", "each"]
Look = Literal["colour", "grey"]


@dataclasses.dataclass(frozen=True)
class Options:
    """How the picture looks, and which of the numbers it shows."""

    size: Size = "page"
    """page: as wide as the text, panels side by side; column: as wide as a column, panels below each other."""
    height: float | None = None
    """Inches of one row of panels; by default what suits the kind."""
    x_scale: Scale = "auto"
    """Of the horizontal axis; auto: log where the values are spaced that way."""
    y_scale: Scale = "auto"
    """Of the vertical axis; auto: what suits the kind."""
    x_limits: tuple[float, float] | None = None
    """Ends of the horizontal axis."""
    y_limits: tuple[float, float] | None = None
    """Ends of the vertical axis."""
    look: Look = "colour"
    """colour, or grey for shades of grey alone; lines differ in dash or marker in both."""
    style: str | None = None
    """Matplotlib style file with settings of your own, over those of the project."""
    spread: Spread = "auto"
    """What bands reach over: from the smallest to the largest seed's mean over clients, or client's mean over
    seeds; each: no bands, but a line for every client; auto: seeds if there are several, else clients."""
    x: str | None = None
    """Field on the horizontal axis, for kinds that draw over any field."""
    y: str | None = None
    """Field on the vertical axis of a heat map."""
    of: str | None = None
    """Variable that a heat map shows; by default the best θ, or the accuracy where there is none."""


class CannotDrawError(ValueError):
    """A dataset does not have what a picture needs.

    Attributes:
        field: name of the option, or of what is missing.
        value: what was asked for.
        allowed: what would have been possible, in words.
    """

    def __init__(self, field: str, value: object, allowed: str):
        super().__init__(f"{field} = {value!r} cannot be drawn: it must be {allowed}")
        self.field, self.value, self.allowed = field, value, allowed
