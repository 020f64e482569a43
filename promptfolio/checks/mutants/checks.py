"""Faults to plant in the checks themselves: how a comparison is read, and what makes a verdict."""

from promptfolio.checks.mutant import Edited, Mutant

_COMPARISON = "promptfolio.checks.comparison"
_CLAIM = "promptfolio.checks.claim"
_TESTS = "tests/checks/test_checks_claim.py::"
_SIGNIFICANCE = "tests/checks/test_significance.py::"

MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "bounds_read_backwards",
        _COMPARISON,
        "upper bounds are read as lower ones, and the other way round",
        (f"{_TESTS}test_comparison_reads_its_bound",),
        '{"upper": difference, "lower": -difference}',
        '{"upper": -difference, "lower": difference}',
    ),
    Edited(
        "best_point_reported",
        _COMPARISON,
        "a comparison keeps its best point",
        (f"{_TESTS}test_the_worst_point_is_reported",),
        "np.lexsort((strain, fails))[-1]",
        "np.lexsort((strain, fails))[0]",
    ),
    Edited(
        "interval_one_sided",
        "promptfolio.checks.significance",
        "a two-sided test takes the quantile of a one-sided one",
        (f"{_SIGNIFICANCE}test_a_t_test_alarms_and_detects_as_stated",),
        "return false_alarm / (2 * max(points, 1))",
        "return false_alarm / max(points, 1)",
    ),
    Edited(
        "many_points_uncorrected",
        "promptfolio.checks.significance",
        "the chance of a false alarm is that of each point, not of all together",
        (f"{_SIGNIFICANCE}test_a_t_test_alarms_and_detects_as_stated",),
        "return false_alarm / (2 * max(points, 1))",
        "return false_alarm / 2",
    ),
    Edited(
        "not_a_number_passes",
        _COMPARISON,
        "points that are not numbers are passed over",
        (f"{_TESTS}test_what_is_not_a_number_is_the_worst_point",),
        "fails = ~((deviation <= tolerance) & (deviation < np.inf))",
        "fails = (deviation > tolerance) | (deviation == np.inf)",
    ),
    Edited(
        "infinite_deviation_tolerated",
        _COMPARISON,
        "an infinite tolerance excuses a run that diverged",
        (f"{_TESTS}test_every_slack_says_whether_its_comparison_holds",),
        "return bool(self.deviation <= self.tolerance and self.deviation < math.inf)",
        "return bool(self.deviation <= self.tolerance)",
    ),
    Edited(
        "violated_assumption_ignored",
        _CLAIM,
        "a claim whose assumptions are violated is judged all the same",
        (f"{_TESTS}test_verdicts",),
        "if not all(assumption.holds for assumption in self.assumptions):",
        "if self.assumptions and not any(assumption.holds or True for assumption in self.assumptions):",
    ),
    Edited(
        "one_comparison_suffices",
        _CLAIM,
        "a claim holds if one of its comparisons does",
        (f"{_TESTS}test_verdicts",),
        'return "holds" if all(comparison.holds for',
        'return "holds" if any(comparison.holds for',
    ),
    Edited(
        "limit_excluded",
        _CLAIM,
        "a condition that just meets its limit counts as violated",
        (f"{_TESTS}test_every_condition_is_described",),
        "return bool(self.value <= self.limit)",
        "return bool(self.value < self.limit)",
    ),
    Edited(
        "degrees_of_one_mean",
        "promptfolio.checks.significance",
        "a difference of means has the degrees of freedom of one mean",
        (f"{_SIGNIFICANCE}test_welchs_degrees_are_those_of_scipy",),
        "(sample_size - 1) * (first + second) ** 2 / (first**2 + second**2)",
        "(sample_size - 1) * (first + second) ** 0",
    ),
    Edited(
        "counts_beyond_the_limit_kept",
        "promptfolio.checks.significance",
        "the binomial test keeps one count more on the upper side than it may",
        (f"{_SIGNIFICANCE}test_a_binomial_test_keeps_exactly_the_counts_it_may",),
        "most, least = binom.isf(tail, trials, chance),",
        "most, least = 1 + binom.isf(tail, trials, chance),",
    ),
    Edited(
        "noise_energy_of_setting_unsquared",
        "promptfolio.checks.settings.symmetric",
        "a setting's signals are scaled with σ_p instead of σ_p²",
        ("tests/checks/test_settings.py::test_a_setting_reaches_its_strength_whatever_the_noise",),
        "            * self.noise_std\n            * self.noise_std\n",
        "            * self.noise_std\n",
    ),
    Edited(
        "deviations_not_relative_to_tolerance",
        _COMPARISON,
        "the worst point is the one with the largest deviation, whatever it is allowed",
        (f"{_TESTS}test_the_worst_point_is_the_one_with_least_room",),
        "strain = np.where(deviation == 0, 0, deviation / tolerance)",
        "strain = deviation",
    ),
    Edited(
        "gaps_not_relative_to_sides",
        _COMPARISON,
        "the worst point of an inequality is the one with the smallest gap, whatever its sides",
        (f"{_TESTS}test_the_worst_point_is_the_one_with_least_room",),
        "strain = (deviation - tolerance) / _larger_side(measured, predicted, tolerance)",
        "strain = deviation - tolerance",
    ),
    Edited(
        "missed_counts_last",
        _CLAIM,
        "a missed count is passed over for any other comparison that fails",
        (f"{_TESTS}test_the_worst_comparison_is_the_one_with_least_slack",),
        "(each.holds, each.holds and each.is_count, each.slack)",
        "(each.holds, each.is_count, each.slack)",
    ),
    Edited(
        "missed_counts_first",
        _CLAIM,
        "a missed count is the worst comparison, however far another one fails",
        (f"{_TESTS}test_the_worst_comparison_is_the_one_with_least_slack",),
        "(each.holds, each.holds and each.is_count, each.slack)",
        "(each.holds, each.is_count == each.holds, each.slack)",
    ),
)
