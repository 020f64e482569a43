"""Figures of results that are already computed: nothing here trains, and every figure is drawn from datasets.

`figure_names` lists the figures of the synthetic study (`figures.study`), and `draw_figure` draws one from the
datasets of its claims.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figures.registry import draw_figure, figure_names

__all__ = ["draw_figure", "figure_names"]


def __getattr__(name: str) -> Any:
    # Matplotlib loads only when something is to be drawn.
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("figures.registry"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
