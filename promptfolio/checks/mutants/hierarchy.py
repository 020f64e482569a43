"""Faults to plant in portfolios of more than two prompts."""

from promptfolio.checks.mutant import Edited, Mutant

_RUN = "simulate.hierarchy.run"
_MEASURE = "simulate.hierarchy.measure"
_LABELS = "simulate.hierarchy.labels"
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
        _LABELS,
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
    Edited(
        "levels_nearest_row",
        _LABELS,
        "the band occupancy of a level is that of the rows that are farther from their offset",
        (f"{_TESTS}test_band_occupancy_is_the_farthest_row_over_its_own_offset",),
        '"band_occupancy": np.maximum(',
        '"band_occupancy": np.minimum(',
    ),
    Edited(
        "level_offsets_swapped",
        _LABELS,
        "the rows of a level are divided by the other rows' offset",
        (f"{_TESTS}test_band_occupancy_is_the_farthest_row_over_its_own_offset",),
        "levels.signal_extent / experiment.signal_offset, levels.noise_extent / experiment.noise_offset",
        "levels.signal_extent / experiment.noise_offset, levels.noise_extent / experiment.signal_offset",
    ),
    Edited(
        "level_extent_of_one_sign",
        _MEASURE,
        "rows that have gone far below zero do not count as far",
        (f"{_TESTS}test_band_occupancy_is_the_farthest_row_over_its_own_offset",),
        "extents = jnp.abs(jnp.concatenate([state.global_prompt[None, :], z_stack]))",
        "extents = jnp.concatenate([state.global_prompt[None, :], z_stack])",
    ),
    Edited(
        "partitions_start_alike",
        _RUN,
        "the clusters of all partitions start from the draws of the first",
        (f"{_TESTS}test_clusters_start_as_clients_do",),
        "derived_key(key, 0, 1 + level)",
        "derived_key(key, 0, 1 + 0 * level)",
    ),
    Edited(
        "cluster_starts_squared",
        _RUN,
        "a cluster's initial prompt is scaled with the rows' squared norms",
        (f"{_TESTS}test_clusters_start_as_clients_do",),
        "scale = parameters.init_std * jnp.sqrt(parameters.squared_norms)",
        "scale = parameters.init_std * parameters.squared_norms",
    ),
    Edited(
        "level_steps_are_rounds",
        _LABELS,
        "gradient steps of a portfolio of several levels are counted as rounds",
        (f"{_TESTS}test_labels_and_provenance",),
        "rounds * experiment.local_steps",
        "rounds",
    ),
)
