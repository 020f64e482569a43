"""The list of results: which module derives which tag."""

from importlib import import_module

from theory.derivation import Derivation

RESULTS: dict[str, str] = {
    "T1": "theory.image_features",
    "T2": "theory.text_encoder",
    "T3": "theory.portfolio_loss",
    "T4": "theory.decomposition",
    "T5": "theory.update_rule",
    "T6": "theory.aggregation",
    "T7": "theory.accuracy",
    "T8": "theory.margin_rate",
    "T9": "theory.saturation",
    "T9 (coefficients)": "theory.trajectories",
    "T10": "theory.sandwich",
    "T11": "theory.sample_sandwich",
    "T11 (kernel)": "theory.margin_kernel",
    "T12": "theory.client_margins",
    "T13": "theory.round_recursion",
    "T14": "theory.predicted_ratio",
    "T14 (symmetric)": "theory.symmetric_ratio",
    "T15": "theory.tangency",
    "T16": "theory.advantage",
    "T17": "theory.leading_order",
    "T18": "theory.independent_assets",
    "T19": "theory.leading_advantage",
    "T20": "theory.training_time",
    "T21": "theory.joint_law",
    "T22": "theory.per_client",
    "T23": "theory.many_assets",
    "T23 (nested)": "theory.nested_assets",
    "T23 (joint)": "theory.joint_weights",
    "T24": "theory.margin_mixing",
    "T24 (moments)": "theory.margin_moments",
    "T24 (exact curve)": "theory.accuracy_curve",
    "T25": "theory.detached",
    "T26": "theory.label_noise",
    "T26 (clients)": "theory.noisy_clients",
    "T27": "theory.class_priors",
    "T28": "theory.participation",
    "T29": "theory.late_time",
    "T29 (mean field)": "theory.late_time_field",
    "T29 (first order)": "theory.late_time_drift",
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
