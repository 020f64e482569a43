"""A claim without a verdict: its check raised an exception."""

import dataclasses
import traceback
from typing import Literal

from promptfolio.error_text import described


@dataclasses.dataclass(frozen=True)
class Unjudged:
    """What is left of a check that raised; the other checks go on.

    Attributes:
        name: of the claim, or of the observation about the released code.
        error: the exception's type and message, on one line.
        trace: the traceback as Python prints it.
    """

    name: str
    error: str
    trace: str

    @property
    def verdict(self) -> Literal["error"]:
        """Always "error": neither that the claim holds nor that it fails was shown."""
        return "error"


def unjudged(name: str, error: BaseException) -> Unjudged:
    """The entry for a check that raised this exception."""
    return Unjudged(name, described(error), "".join(traceback.format_exception(error)))
