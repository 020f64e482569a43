"""The same prompt portfolio on real CLIP features: feature banks, partitions, prompts, and mixing by margins.

`ClipStudy` describes a study, `load_bank` reads features (`draw_synthetic_bank` draws some), `run_study`
returns an `xarray.Dataset` and `summarise` its summary. Training runs through the simulator's federated
loop, mixing through `theory.mixing.margin_mixing`. Functions here are pure in the study, the bank and the seed:
they print, plot and write nothing.
"""

from typing import TYPE_CHECKING, Any

from promptfolio.companion.study_config import ClipStudy
from simulate.validation import ConfigurationError

if TYPE_CHECKING:
    from promptfolio.companion.banks import FeatureBank, draw_synthetic_bank, load_bank
    from promptfolio.companion.study import run_study
    from promptfolio.companion.summary import summarise

__all__ = [
    "ClipStudy",
    "ConfigurationError",
    "FeatureBank",
    "draw_synthetic_bank",
    "load_bank",
    "run_study",
    "summarise",
]

_MODULES = {
    "FeatureBank": "banks",
    "draw_synthetic_bank": "banks",
    "load_bank": "banks",
    "run_study": "study",
    "summarise": "summary",
}


def __getattr__(name: str) -> Any:
    # JAX is imported only when something is run, so that a study is built without delay.
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(f"promptfolio.companion.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
