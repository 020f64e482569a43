"""What reading the authors' released code turned up: one file for each observation, with a demonstration.

The paper is Pan, Huang and Shi, NeurIPS 2024, arXiv:2409.19610. Nothing here is taken from its code. Each module
of `observations` states what the released code does (`OBSERVATION`), sets it up anew in this project's own terms,
measures what it changes (`demonstrate(setting)`) and says whether the effect showed (`judge(dataset)`).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptfolio.audit.registry import run_audit
    from promptfolio.audit.report import audit_section

__all__ = ["audit_section", "run_audit"]

_MODULES = {"audit_section": "report", "run_audit": "registry"}


def __getattr__(name: str) -> Any:
    # JAX loads only when something is to be run.
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(f"promptfolio.audit.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
