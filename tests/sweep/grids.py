"""Small sweeps that several test modules run."""

from typing import Any

from promptfolio.sweep import Specification, parse_specification

TINY: dict[str, Any] = {"clients": 2, "samples": 4, "noise_dim": 50, "rounds": 3}
"""Settings of cells that cost little."""


def sweep_of(grid: dict[str, Any], **changes: Any) -> Specification:
    """Cells of a grid; what it does not vary is as in `TINY`, or as changed."""
    common = {field: value for field, value in {**TINY, **changes}.items() if field not in grid}
    return parse_specification({"experiment": common, "grid": grid})


def sweep_over(*seeds: int) -> Specification:
    """One cell for each seed."""
    return sweep_of({"seed": list(seeds)})
