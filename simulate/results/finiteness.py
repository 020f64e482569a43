"""One error for a number that is not finite: no such number is averaged, drawn or written."""

from typing import Any


class NonFiniteError(ArithmeticError):
    """A run left the finite numbers.

    Attributes:
        quantity: what is not finite, with its value, as a reader would call it.
        replicate: number of the replicate, from 0, or None where it belongs to none.
        round: first recorded round at which it is not finite, or None before training.
        cause: the likely cause, and what would be safe, in words.

    Example:
        >>> print(NonFiniteError("training loss = nan", 2, 10, "the step size; at most 0.4 (4/κ) is safe"))
        training loss = nan in replicate 2, round 10; likely cause: the step size; at most 0.4 (4/κ) is safe
    """

    def __init__(self, quantity: str, replicate: int | None, round: int | None, cause: str):
        where = [f"replicate {replicate}"] if replicate is not None else []
        where += [f"round {round}"] if round is not None else []
        place = f" in {', '.join(where)}" if where else ""
        super().__init__(f"{quantity}{place}; likely cause: {cause}")
        self.quantity, self.replicate, self.round, self.cause = quantity, replicate, round, cause

    def __reduce__(self) -> tuple[Any, ...]:
        """How an error comes back from another process: from its parts, not from its message."""
        return type(self), (self.quantity, self.replicate, self.round, self.cause)
