"""Names that version 0.1.0 used for what has another name now; old files and command lines still have them."""

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

VARIABLES: Mapping[str, str] = MappingProxyType({"redone": "fallback"})
"""Variables of a result."""
