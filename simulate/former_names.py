"""What keeps files and command lines of earlier versions of use: former names, and fields that they lack."""

from collections.abc import Mapping
from types import MappingProxyType

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "protocol": "scheme",
        "global_signal": "global_feature_sq",
        "local_signal": "local_feature_sq",
        "noise_feature": "noise_feature_sq",
        "prior_feature": "prior_feature_sq",
    }
)
"""Fields of `simulate.Experiment`: their former names, and their present ones."""

LATER_FIELDS = frozenset({"finetune_steps"})
"""Fields of `simulate.Experiment` that came after files were first named after experiments: while one has its
default, which leaves a run as it was without it, the name does not depend on it."""

VARIABLES: Mapping[str, str] = MappingProxyType({"redone": "fallback"})
"""Variables of a result."""
