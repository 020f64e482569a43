"""The list of results: which module derives which tag."""

from importlib import import_module

from theory.derivation import Derivation

RESULTS: dict[str, str] = {
    "T4": "theory.decomposition",
    "T5": "theory.update_rule",
    "T6": "theory.aggregation",
    "T7": "theory.accuracy",
    "T8": "theory.margin_rate",
    "T9": "theory.saturation",
    "T9 (coefficients)": "theory.trajectories",
    "T10": "theory.sandwich",
    "T14 (symmetric)": "theory.predicted_ratio",
    "T15": "theory.tangency",
    "T16": "theory.advantage",
    "T17-T19": "theory.leading_order",
    "T20": "theory.training_time",
    "T21": "theory.joint_law",
    "T22": "theory.per_client",
    "T25": "theory.detached",
}
"""Module of every result, by tag, in the order of the theory."""


def derive(tag: str) -> Derivation:
    """Return the verified derivation of a result; the first call of each takes up to a few seconds.

    Raises:
        ValueError: a tag that is not in `RESULTS`.

    >>> derive("T21").title
    'Joint mixing law'
    """
    if tag not in RESULTS:
        raise ValueError(f"`tag` is {tag!r}; allowed: {', '.join(RESULTS)}")
    derivation: Derivation = import_module(RESULTS[tag]).derivation()
    return derivation
