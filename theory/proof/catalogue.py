"""The list of results: which module derives which tag."""

from importlib import import_module

from theory.proof.derivation import Derivation

RESULTS: dict[str, str] = {
    "T1": "theory.model.image_features",
    "T2": "theory.model.text_encoder",
    "T3": "theory.model.portfolio_loss",
    "T4": "theory.model.decomposition",
    "T5": "theory.model.update_rule",
    "T6": "theory.model.aggregation",
    "T7": "theory.model.accuracy",
    "T8": "theory.dynamics.margin_rate",
    "T9": "theory.dynamics.saturation",
    "T9 (coefficients)": "theory.dynamics.trajectories",
    "T10": "theory.dynamics.sandwich",
    "T11": "theory.dynamics.sample_sandwich",
    "T11 (kernel)": "theory.dynamics.margin_kernel",
    "T12": "theory.dynamics.client_margins",
    "T13": "theory.dynamics.round_recursion",
    "T14": "theory.dynamics.predicted_ratio",
    "T14 (symmetric)": "theory.dynamics.symmetric_ratio",
    "T15": "theory.mixing.tangency",
    "T16": "theory.mixing.advantage",
    "T17": "theory.mixing.leading_order",
    "T18": "theory.mixing.independent_assets",
    "T19": "theory.mixing.leading_advantage",
    "T20": "theory.mixing.training_time",
    "T21": "theory.mixing.joint_law",
    "T22": "theory.mixing.per_client",
    "T23": "theory.mixing.many_assets",
    "T23 (nested)": "theory.mixing.nested_assets",
    "T23 (joint)": "theory.mixing.joint_weights",
    "T24": "theory.mixing.margin_mixing",
    "T24 (moments)": "theory.mixing.margin_moments",
    "T24 (exact curve)": "theory.mixing.accuracy_curve",
    "T25": "theory.dynamics.detached",
    "T26": "theory.extensions.label_noise",
    "T26 (clients)": "theory.extensions.noisy_clients",
    "T27": "theory.extensions.class_priors",
    "T28": "theory.extensions.participation",
    "T29": "theory.late_time.limit",
    "T29 (mean field)": "theory.late_time.dynamical_mean_field",
    "T29 (first order)": "theory.late_time.first_order",
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
