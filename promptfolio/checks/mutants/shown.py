"""Faults to plant in what commands print and figures draw: which numbers they show, and as what."""

from promptfolio.checks.mutant import Edited, Mutant

_PRINTED = "tests/cli/test_printed_numbers.py::"
_DRAWN = "tests/figures/test_figures.py::"

MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "columns_of_prompts_exchanged",
        "promptfolio.cli.mixing",
        "accuracies of the local prompt are printed as those of the global one, and the other way round",
        (f"{_PRINTED}test_columns_of_a_comparison_hold_what_their_headings_say",),
        '(">global", "accuracy_global", ".4f"),\n    (">local", "accuracy_local", ".4f"),',
        '(">global", "accuracy_local", ".4f"),\n    (">local", "accuracy_global", ".4f"),',
    ),
    Edited(
        "curve_error_signed",
        "promptfolio.cli.mixing",
        "the largest error of a curve passes over accuracies below the predicted ones",
        (f"{_PRINTED}test_the_largest_error_of_a_curve_may_be_below_it",),
        "float(abs(measured - at.accuracy_predicted).max(skipna=False))",
        "float((measured - at.accuracy_predicted).max(skipna=False))",
    ),
    Edited(
        "local_ratio_printed",
        "promptfolio.cli.simulate",
        "the ratio and the loss of a run are those of the local prompt instead of the mixture",
        (f"{_PRINTED}test_simulate_prints_the_last_step",),
        'mixture = at.sel(predictor="mixture")',
        'mixture = at.sel(predictor="local")',
    ),
    Edited(
        "groups_printed_exchanged",
        "promptfolio.cli.clip",
        "accuracies on classes with and without training images are printed in each other's column",
        (f"{_PRINTED}test_clip_prints_the_last_rounds_means_under_their_headings",),
        '(">trained classes", "_trained"),\n    (">untrained classes", "_untrained"),',
        '(">trained classes", "_untrained"),\n    (">untrained classes", "_trained"),',
    ),
    Edited(
        "validation_drawn_for_test",
        "figures.clip_mixing",
        "curves of test accuracy are drawn on validation images",
        (f"{_DRAWN}test_clip_figure_shows_test_accuracies_of_the_last_round",),
        'data.overall_accuracy.sel(split="test")',
        'data.overall_accuracy.sel(split="validation")',
    ),
    Edited(
        "deviation_drawn_for_error",
        "figures.clip_mixing",
        "error bars of θ* are standard deviations over seeds, not standard errors",
        (f"{_DRAWN}test_clip_figure_shows_test_accuracies_of_the_last_round",),
        'theta.std("seed", ddof=1, skipna=False) / np.sqrt(theta.sizes["seed"])',
        'theta.std("seed", ddof=1, skipna=False)',
    ),
    Edited(
        "smallest_dimension_drawn",
        "figures.study.coefficient_evolution",
        "coefficients are drawn at the smallest noise dimension",
        (f"{_DRAWN}test_coefficients_are_drawn_at_the_largest_dimension_with_their_closed_form",),
        "isel(noise_dim=-1)",
        "isel(noise_dim=0)",
    ),
    Edited(
        "last_joint_weights_drawn",
        "figures.study.many_assets",
        "weights after the first step are drawn as those after the last",
        (f"{_DRAWN}test_weights_of_three_prompts_stand_at_their_places_in_the_triangle",),
        "data.joint_best.isel(step=0)",
        "data.joint_best.isel(step=-1)",
    ),
    Edited(
        "priors_left_out",
        "promptfolio.federation",
        "the theory is told nothing of the clients' class shares",
        ("tests/checks/test_federation.py::test_each_number_of_an_experiment_is_in_its_place",),
        "        class_prior=experiment.class_prior,\n",
        "",
    ),
    Edited(
        "audit_not_in_exit_status",
        "promptfolio.cli.record",
        "a finding of the audit that fails leaves the exit status 0",
        ("tests/cli/test_reproduce_command.py::test_the_audit_counts_in_the_record_of_a_run",),
        "exit_status([*self.findings, *audited])",
        "exit_status(self.findings)",
    ),
)
