"""The order in which a sweep's cells are given to workers: those of one compiled shape to one worker."""

from collections.abc import Iterable, Iterator
from typing import Any

from promptfolio.sweep.cell import Cell, by_compiled_shape, compiled_shape


class PendingCells:
    """Cells that no worker has been given yet, grouped by compiled shape so that workers can reuse compiled
    programs.

    Example:
        >>> from promptfolio.sweep.specification import parse_specification
        >>> cells = parse_specification({"grid": {"seed": [0, 1], "clients": [2, 3]}}).cells
        >>> pending = PendingCells(cells)
        >>> one, other = pending.take(), pending.take()
        >>> str(one), str(other)
        ('seed = 0, clients = 2', 'seed = 0, clients = 3')
        >>> pending.finished(other)
        >>> str(pending.take()), len(pending)
        ('seed = 1, clients = 3', 1)
    """

    def __init__(self, cells: Iterable[Cell]):
        self._groups = by_compiled_shape(cells)
        for group in self._groups.values():
            group.reverse()
        self._at_work = dict.fromkeys(self._groups, 0)
        self._freed: list[Any] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __iter__(self) -> Iterator[Cell]:
        return (cell for group in self._groups.values() for cell in reversed(group))

    def take(self) -> Cell:
        """Take out the next cell: of a shape that a worker has just finished, else of the shape with the fewest
        workers."""
        left = [shape for shape, group in self._groups.items() if group]
        freed = [shape for shape in self._freed if shape in left]
        shape = freed[0] if freed else min(left, key=self._at_work.__getitem__)
        if freed:
            self._freed.remove(shape)
        self._at_work[shape] += 1
        return self._groups[shape].pop()

    def put_back(self, cell: Cell) -> None:
        """Have a cell, whose worker died, be the next of its shape."""
        shape = compiled_shape(cell.experiment)
        self._at_work[shape] -= 1
        self._groups[shape].append(cell)

    def finished(self, cell: Cell) -> None:
        """Note that a worker has finished this cell."""
        shape = compiled_shape(cell.experiment)
        self._at_work[shape] -= 1
        self._freed.append(shape)
