"""Figures of results that are already computed: nothing here trains, and every figure is drawn from datasets.

`FIGURES` names the figures of the synthetic study, and `draw_figure` draws one from the datasets of its claims.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figures.registry import FIGURES, draw_figure

__all__ = ["FIGURES", "draw_figure"]


def __getattr__(name: str) -> Any:
    # Matplotlib loads only when something is to be drawn.
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("figures.registry"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
