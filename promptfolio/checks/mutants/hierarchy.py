"""Faults to plant in portfolios of more than two prompts."""

from promptfolio.checks.mutant import Edited, Mutant

_RUN = "simulate.hierarchy.run"
_MEASURE = "simulate.hierarchy.measure"
_TESTS = "tests/simulate/test_hierarchy.py::"

MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "cluster_average_diluted",
        _RUN,
        "a cluster's average counts every client's own prompt half",
        ("many_assets",),
        "shares = together * weights[None, :]",
        "shares = (together - 0.5 * jnp.eye(together.shape[0], dtype=together.dtype)) * weights[None, :]",
    ),
    Edited(
        "cluster_average_unweighted",
        _RUN,
        "a cluster's prompt is the plain mean over its members",
        (f"{_TESTS}test_three_levels_against_a_plain_reading",),
        "shares = together * weights[None, :]",
        "shares = together * (weights > 0)[None, :]",
    ),
    Edited(
        "absent_cluster_forgets",
        _RUN,
        "a cluster of which nobody takes part starts again from zero",
        (f"{_TESTS}test_a_cluster_without_participants_keeps_its_prompt",),
        "return jnp.where(taking_part, averaged, prompts)",
        "return averaged",
    ),
    Edited(
        "clusters_start_like_clients",
        _RUN,
        "a cluster's prompt starts from the draw of the clients' own prompts",
        (f"{_TESTS}test_clusters_start_from_one_prompt_and_apart",),
        "derived_key(key, 0, 1 + level)",
        "derived_key(key, 0, level)",
    ),
    Edited(
        "members_start_apart",
        _RUN,
        "members of a cluster start from different prompts",
        (f"{_TESTS}test_clusters_start_from_one_prompt_and_apart",),
        "(normals.astype(scale.dtype) * scale[None, :])[clusters]",
        "normals.astype(scale.dtype) * scale[None, :]",
    ),
    Edited(
        "levels_reversed",
        _MEASURE,
        "the weights of a portfolio are taken from local to global where it is measured",
        (f"{_TESTS}test_three_levels_against_a_plain_reading",),
        "mixed = weights @ features",
        "mixed = weights[::-1] @ features",
    ),
    Edited(
        "level_risk_without_noise_std",
        "simulate.hierarchy.labels",
        "the ratio of a portfolio of several levels lacks σ_p",
        (f"{_TESTS}test_two_levels_are_the_portfolio_of_two",),
        "risk = experiment.noise_std * (norm.scale * norm.value)",
        "risk = norm.scale * norm.value",
    ),
    Edited(
        "levels_trained_unmixed",
        _RUN,
        "joint training of several levels trains each prompt by itself",
        (f"{_TESTS}test_three_levels_against_a_plain_reading", "many_assets"),
        'if program.scheme == "joint":\n            return logistic',
        'if program.scheme == "none":\n            return logistic',
    ),
)
