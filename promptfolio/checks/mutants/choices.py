"""Faults to plant where a θ is chosen: ties, the best place of a curve, margins of held-out samples, regrets."""

from promptfolio.checks.mutant import Edited, Mutant

_BEST = "theory.numerics.best"
_CURVE = "theory.mixing.accuracy_curve"
_IN_BEST = "tests/theory/test_theory_best.py::"
_IN_MARGINS = "tests/theory/test_theory_margin_mixing.py::"
_COMPARED = (
    "tests/checks/test_settings.py::test_a_comparison_reports_means_regrets_and_advantages_of_its_run",
)

MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "tie_at_the_end_is_correct",
        _CURVE,
        "a sample whose margin falls counts as correct where it ties with the rival",
        (f"{_IN_MARGINS}test_a_tie_with_a_rival_is_an_error_at_every_theta",),
        'over = np.searchsorted(self.ends, mixing, side="right")',
        'over = np.searchsorted(self.ends, mixing, side="left")',
    ),
    Edited(
        "empty_interval_counts",
        _CURVE,
        "a sample that is correct nowhere, but ties with two rivals at one θ, counts as −1 there",
        (f"{_IN_MARGINS}test_a_tie_with_a_rival_is_an_error_at_every_theta",),
        "(starts >= ends)",
        "(starts > ends)",
    ),
    Edited(
        "middle_of_intervals_unweighted",
        _CURVE,
        "the middle of all best θ counts short intervals like long ones",
        (f"{_IN_MARGINS}test_the_middle_of_all_theta_weighs_intervals_by_their_length",),
        "np.average(centres, weights=lengths)",
        "np.mean(centres)",
    ),
    Edited(
        "degrees_of_the_largest_class",
        "theory.mixing.margin_moments",
        "a client's pooled covariance has the degrees of freedom of its largest class only",
        (
            "tests/theory/test_theory_margin_moments.py::"
            "test_three_classes_are_pooled_by_their_degrees_of_freedom",
        ),
        "np.add.reduceat(freedom, client_starts, axis=0)",
        "np.maximum.reduceat(freedom, client_starts, axis=0)",
    ),
    Edited(
        "error_bound_above_one",
        "theory.mixing.margin_mixing",
        "the upper bound of a class's error may exceed one",
        (f"{_IN_MARGINS}test_an_upper_bound_is_at_most_one_for_every_client_and_class",),
        ".sum(axis=1), 1) for local",
        ".sum(axis=1), 2) for local",
    ),
    Edited(
        "risk_forgotten",
        "theory.mixing.many_assets",
        "the ratio of a mixture of many prompts leaves out σ_p",
        ("tests/theory/test_theory_many_assets.py::test_ratios_are_in_units_of_the_noise",),
        "np.sqrt(variance), noise_std)",
        "np.sqrt(variance), np.ones_like(noise_std))",
    ),
    Edited(
        "joint_weights_sum_over_mixtures",
        "theory.mixing.joint_weights",
        "the weights of several joint mixtures are normalised over the mixtures instead of the prompts",
        (
            "tests/theory/test_theory_many_assets.py::test_joint_weights_of_several_mixtures_are_those_of_each",
        ),
        "sum(axis=-1, keepdims=True)",
        "sum(axis=0, keepdims=True)",
    ),
    Edited(
        "advantage_without_the_root",
        "theory.mixing.leading_advantage",
        "a mixture is taken to help until 1/K, instead of 1/√K, exceeds the quotient of the ratios",
        ("tests/theory/test_theory_portfolio.py::test_without_an_advantage_the_better_prompt_is_the_best",),
        "inside = np.sqrt(count) * worse >= better",
        "inside = count * worse >= better",
    ),
    Edited(
        "tested_on_realised_shares",
        "theory.extensions.prediction",
        "accuracy is predicted for the classes' shares in the training data instead of the clients' priors",
        ("tests/theory/test_theory_beyond.py::test_realised_shares_are_trained_on_and_priors_are_tested_on",),
        "np.asarray(accuracy_with_bias(ratio, bias, federation.class_prior))",
        "np.asarray(accuracy_with_bias(ratio, bias, trained.class_prior))",
    ),
    Edited(
        "skews_unweighted",
        "theory.extensions.class_priors",
        "the global prompt's bias is the plain mean of the clients' skews",
        (
            "tests/theory/test_theory_beyond.py::test_the_pull_of_unequal_clients_is_weighted_by_their_samples",
        ),
        "np.sum(weights * skew)",
        "np.mean(skew)",
    ),
    Edited(
        "errors_averaged_over_everything",
        "theory.model.accuracy",
        "a mean error over one axis is divided by the number of all values",
        ("tests/theory/test_theory_accuracy.py::test_errors_are_averaged_over_the_named_axes_only",),
        "np.size(errors) / np.size(np.sum(errors, axis=axis))",
        "np.size(errors)",
    ),
    Edited(
        "ties_absolute",
        _BEST,
        "values tie by their difference, whatever their size",
        (f"{_IN_BEST}test_ties_are_relative_to_the_size_of_the_values",),
        "near = curves >= greatest - rounding * np.abs(\n            greatest\n        )",
        "near = curves >= greatest - rounding",
    ),
    Edited(
        "runs_nearest_to_the_grids_middle",
        _BEST,
        "of equally long runs the nearest to the middle of the grid is taken",
        (f"{_IN_BEST}test_of_equally_long_runs_the_nearest_to_the_middle_of_all_is_taken",),
        "middle = np.sum(np.where(tied, places, 0), axis=0) / np.sum(tied, axis=0)",
        "middle = (tied.shape[0] - 1) / 2",
    ),
    Edited(
        "last_maximum_taken",
        _BEST,
        "of two maxima of the spline beside the best value the second is taken, higher or not",
        (f"{_IN_BEST}test_the_highest_point_of_the_spline_beside_the_best_value_is_found",),
        "higher = inside & (height > highest)",
        "higher = inside & (height > -np.inf)",
    ),
    Edited(
        "finer_grid_too_narrow",
        "theory.numerics.maximise",
        "a finer grid over θ leaves out half of the surroundings of the best point",
        (
            "tests/theory/test_theory_maximise.py::test_a_lopsided_peak_is_found_a_whole_spacing_from_the_best_grid_point",
        ),
        "np.linspace(-1.0, 1.0, CANDIDATES)",
        "np.linspace(-0.5, 0.5, CANDIDATES)",
    ),
    Edited(
        "advantage_over_the_worse_prompt",
        "promptfolio.checks.settings.mixing",
        "a comparison reports the mixture's advantage over the worse prompt",
        _COMPARED,
        "better_end = np.maximum(",
        "better_end = np.minimum(",
    ),
    Edited(
        "regret_from_the_worst",
        "promptfolio.checks.settings.mixing",
        "the accuracy that a predicted θ loses is scaled with the largest error instead of the smallest",
        _COMPARED,
        'np.exp(errors.min("theta", skipna=False)',
        'np.exp(errors.max("theta", skipna=False)',
    ),
    Edited(
        "allowed_error_of_a_ratio_doubled",
        "promptfolio.checks.settings.unequal",
        "claims allow a ratio eight standard errors",
        ("tests/checks/test_settings.py::test_the_error_of_a_ratio_is_four_standard_errors_of_a_mean_norm",),
        "return 4 / (2 * noise_dim * seeds) ** 0.5",
        "return 8 / (2 * noise_dim * seeds) ** 0.5",
    ),
)
