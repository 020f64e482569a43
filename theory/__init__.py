"""What the mathematics says about federated prompt portfolios: one result per module.

The module of a result (tags T1 … T32) states it, derives it in SymPy (`derivation()`), and offers the same formula
as functions of NumPy arrays; modules without a `RESULT` evaluate results of others. The packages `model`,
`dynamics`, `mixing`, `extensions` and `late_time` build on each other in this order. Every formula is derived in
this project from the model T1-T3; none is a quotation of the paper. This package needs SymPy, NumPy, SciPy and, for
certificates, python-flint; it imports SymPy on first use, and never prints, plots or writes files.

Start with `Federation` and `EqualClients`, which the functions take, `NOTATION` for the letters and `results()` for
the list of results; `derive("T15")` returns a verified derivation. The names below are those that most readers
need; the module of a result has the rest.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theory.dynamics.margin_rate import global_rate as global_rate
    from theory.dynamics.margin_rate import joint_rate as joint_rate
    from theory.dynamics.margin_rate import local_rate as local_rate
    from theory.dynamics.mean_field import accumulated as accumulated
    from theory.dynamics.predicted_ratio import predicted_ratio as predicted_ratio
    from theory.extensions.prediction import best_mixing as best_mixing
    from theory.mixing.advantage import optimal_ratio_squared as optimal_ratio_squared
    from theory.mixing.independent_assets import independent_odds as independent_odds
    from theory.mixing.joint_law import joint_mixing as joint_mixing
    from theory.mixing.joint_weights import joint_weights as joint_weights
    from theory.mixing.leading_order import mixing_from_odds as mixing_from_odds
    from theory.mixing.leading_order import posthoc_odds as posthoc_odds
    from theory.mixing.leading_order import strict_advantage as strict_advantage
    from theory.mixing.many_assets import optimal_weights as optimal_weights
    from theory.mixing.moments import Moments as Moments
    from theory.mixing.nested_assets import nested_moments as nested_moments
    from theory.mixing.tangency import mixture_ratio as mixture_ratio
    from theory.mixing.tangency import optimal_mixing as optimal_mixing
    from theory.mixing.training_time import limiting_odds as limiting_odds
    from theory.mixing.training_time import posthoc_odds_at as posthoc_odds_at
    from theory.model.accuracy import accuracy as accuracy
    from theory.model.federation import EqualClients as EqualClients
    from theory.model.federation import Federation as Federation
    from theory.model.schemes import TrainingScheme as TrainingScheme
    from theory.numerics.best import best_place as best_place
    from theory.proof.catalogue import derive as derive
    from theory.proof.catalogue import results as results
    from theory.proof.notation import NOTATION as NOTATION

_NAMES = {
    "dynamics.margin_rate": "global_rate joint_rate local_rate",
    "dynamics.mean_field": "accumulated",
    "dynamics.predicted_ratio": "predicted_ratio",
    "extensions.prediction": "best_mixing",
    "mixing.advantage": "optimal_ratio_squared",
    "mixing.independent_assets": "independent_odds",
    "mixing.joint_law": "joint_mixing",
    "mixing.joint_weights": "joint_weights",
    "mixing.leading_order": "mixing_from_odds posthoc_odds strict_advantage",
    "mixing.many_assets": "optimal_weights",
    "mixing.moments": "Moments",
    "mixing.nested_assets": "nested_moments",
    "mixing.tangency": "mixture_ratio optimal_mixing",
    "mixing.training_time": "limiting_odds posthoc_odds_at",
    "model.accuracy": "accuracy",
    "model.federation": "EqualClients Federation",
    "model.schemes": "TrainingScheme",
    "numerics.best": "best_place",
    "proof.catalogue": "derive results",
    "proof.notation": "NOTATION",
}
_MODULES = {name: f"theory.{module}" for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    # NumPy and SciPy load with the first name that needs them.
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
