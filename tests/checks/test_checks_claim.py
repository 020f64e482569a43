"""The vocabulary of claims: what holds, what fails, and what a report says of it."""

import dataclasses
import json

import numpy as np
import pytest

from figures.registry import figure_names, load_figure
from promptfolio.checks.claim import (
    FALSE_ALARM,
    Assumption,
    Bound,
    Claim,
    Finding,
    StatisticalTest,
    compare,
    t_test,
)
from promptfolio.checks.markdown import escape
from promptfolio.checks.overview import overview
from promptfolio.checks.records import as_records
from promptfolio.checks.registry import all_claims, load_claim
from promptfolio.checks.report import Picture, false_alarm, report
from promptfolio.checks.staleness import first_difference
from promptfolio.checks.statements import STATEMENTS
from promptfolio.checks.unjudged import Unjudged, unjudged

CLAIM = Claim("sample", "T0", "derived", "A sample | claim", "Something holds.", "exact", "picture")
NAN = float("nan")


@pytest.mark.parametrize(
    ("bound", "measured", "holds"),
    [
        ("exact", 1.05, True),
        ("exact", 0.85, False),
        ("statistical", 1.15, False),
        ("upper", 0.2, True),
        ("upper", 1.05, True),
        ("upper", 1.2, False),
        ("lower", 5.0, True),
        ("lower", 0.8, False),
        ("exact", NAN, False),
        ("upper", NAN, False),
        ("lower", NAN, False),
    ],
)
def test_comparison_reads_its_bound(bound: Bound, measured: float, holds: bool) -> None:
    test = StatisticalTest("test", 10, 1e-5, 0.2) if bound == "statistical" else None
    comparison = compare("x", [1.0, measured], 1.0, bound=bound, tolerance=0.1, test=test)
    assert comparison.holds == holds
    if not np.isnan(measured):
        assert (comparison.slack >= 0) == holds


def test_the_worst_point_is_reported() -> None:
    comparison = compare("x", [1.0, 1.3, 0.9], [1.0, 1.0, 1.0], bound="exact", tolerance=[0.1, 0.5, 0.11])
    assert (comparison.measured, comparison.points) == (0.9, 3)


@pytest.mark.parametrize(
    ("bound", "measured", "predicted", "tolerance", "worst"),
    [
        # Both within tolerance: shares 0.9 and 0.5 of it are used, by deviations of 0.09 and 0.5.
        ("exact", [1.09, 1.5], [1.0, 1.0], [0.1, 1.0], 0),
        ("exact", [0.91, 1.5], [1.0, 1.0], [0.1, 1.0], 0),
        # Both beyond: three times a small tolerance, and twice a large one.
        ("exact", [1.2, 1.03], [1.0, 1.0], [0.1, 0.01], 1),
        # A point that fails, barely, comes before every point that holds.
        ("exact", [1.0999, 1.000101], [1.0, 1.0], [0.1, 1e-4], 1),
        # Inequalities: the gap counts relative to the larger side, 0.1 of 1 and 2 of 100.
        ("upper", [0.9, 98.0], [1.0, 100.0], [0.0, 0.0], 1),
        ("lower", [1.1, 102.0], [1.0, 100.0], [0.0, 0.0], 1),
        ("upper", [1.1, 105.0], [1.0, 100.0], [0.0, 0.0], 0),
        # Rounding allowed is part of the room: 0.1 + 0.1 of 1, and 0.12 of 1.
        ("upper", [0.9, 0.88], [1.0, 1.0], [0.1, 0.0], 1),
        # The measured side may be the larger: gaps of 5 and 2, of sides of 4 and 1.
        ("upper", [-4.0, -1.0], [1.0, 1.0], [0.0, 0.0], 0),
        ("lower", [4.0, 3.0], [2.0, 1.0], [0.0, 0.0], 0),
        # A tolerance above both sides is the measure of the room.
        ("upper", [0.2, 0.1], [0.1, 0.1], [0.5, 0.2], 0),
    ],
)
def test_the_worst_point_is_the_one_with_least_room(
    bound: Bound, measured: list[float], predicted: list[float], tolerance: list[float], worst: int
) -> None:
    comparison = compare("x", measured, predicted, bound=bound, tolerance=tolerance)
    assert (comparison.measured, comparison.predicted, comparison.tolerance) == (
        measured[worst],
        predicted[worst],
        tolerance[worst],
    )
    # The order is that of the slack: the point reported has the least of all, alone as among the others.
    alone = [
        compare("x", one, other, bound=bound, tolerance=allowed).slack
        for one, other, allowed in zip(measured, predicted, tolerance, strict=True)
    ]
    assert comparison.slack == alone[worst]
    if len({slack >= 0 for slack in alone}) == 1:
        assert comparison.slack == min(alone)


def test_the_worst_comparison_is_the_one_with_least_slack() -> None:
    """Counts, which are met or missed, come first only where they are missed by more than others fail."""
    met = compare("failures", 0, 0, bound="exact", tolerance=0)
    missed = compare("failures", 1, 0, bound="exact", tolerance=0)
    roomy, close = (compare("x", 1 + by, 1, bound="exact", tolerance=0.1) for by in (0.01, 0.09))
    beyond, far = (compare("x", 1 + by, 1, bound="exact", tolerance=0.1) for by in (0.15, 0.5))
    assert [round(each.slack, 6) for each in (met, missed, roomy, close, beyond, far)] == [
        1.0,
        -1.0,
        0.9,
        0.1,
        -0.5,
        -4.0,
    ]
    # Equal to the last digit, and an inequality whose gap exceeds both sides: as much room as a met count, or more.
    equal, wide = (
        compare("x", 1, 1, bound="exact", tolerance=0.1),
        compare("x", -1, 1, bound="upper", tolerance=0),
    )
    assert (equal.slack, wide.slack) == (1.0, 2.0)
    for worst, *others in (
        (close, roomy, met),
        (equal, met),
        (wide, met),
        (beyond, met, close),
        (missed, met, close),
        (missed, beyond, met),
        (far, missed, close),
        (met, met),
    ):
        for order in ((worst, *others), (*others[::-1], worst)):
            assert Finding(CLAIM, order).worst is worst


def test_nothing_compared_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 points"):
        compare("x", [], [], bound="exact", tolerance=1)
    with pytest.raises(ValueError, match="compared nothing"):
        Finding(CLAIM, ())


def test_verdicts() -> None:
    good = compare("x", 1, 1, bound="exact", tolerance=0.1)
    bad = compare("y", 2, 1, bound="exact", tolerance=0.1)
    assert Finding(CLAIM, (good,)).verdict == "holds"
    assert Finding(CLAIM, (good, bad)).verdict == "fails"
    assert Finding(CLAIM, (good, bad)).worst is bad
    for violated in (Assumption("band", 2.0, 1.0), Assumption("band", NAN, 1.0)):
        assert Finding(CLAIM, (good,), (violated,)).verdict == "not applicable"
    assert "violated by factor 2" in Assumption("band", 2.0, 1.0).describe()


def test_a_statistical_comparison_states_its_test() -> None:
    with pytest.raises(ValueError, match="states its test"):
        compare("x", 1, 1, bound="statistical", tolerance=0.1)


def test_a_condition_without_limit_is_reported_and_never_violated() -> None:
    reported = Assumption("load", 3.0)
    assert reported.holds
    assert "not needed" in reported.describe()


def _finding(measured: float, what: str = "thing") -> Finding:
    return Finding(
        CLAIM,
        (
            compare(what, measured, 1, bound="exact", tolerance=0.1),
            t_test("mean", 0.0, 0.0, standard_error=1, degrees=8, sample_size=9, name="mean of 9"),
        ),
        (Assumption("band", measured / 4, 1.0),),
    )


def test_false_alarms_add_up() -> None:
    assert false_alarm([_finding(1.0), _finding(1.0)]) == pytest.approx(2 * FALSE_ALARM)
    # a comparison that failed may have failed by chance
    unlikely = t_test("mean", 11.0, 0.0, standard_error=1, degrees=8, sample_size=9, name="mean of 9")
    assert not unlikely.holds
    assert false_alarm([Finding(CLAIM, (unlikely,), ())]) == pytest.approx(FALSE_ALARM)


def test_a_report_is_stale_when_words_or_verdicts_differ_and_not_for_digits() -> None:
    written = report([_finding(1.0)], "full", {})
    assert first_difference(written, report([_finding(1.01234e0)], "full", {})) is None
    for other in (_finding(2.0), _finding(1.0, "other thing")):
        assert first_difference(written, report([other], "full", {})) is not None
    restated = Finding(
        dataclasses.replace(CLAIM, statement="Something holds at K = 5."), _finding(1.0).comparisons
    )
    assert first_difference(written, report([restated], "full", {})) is not None


def test_the_audits_effects_may_differ_and_its_verdicts_not() -> None:
    table = (
        "| finding | what it changes | measured effect | verdict |\n|---|---|---|---|\n| a | b | {} | {} |\n"
    )
    audit = "## Audit of the released code\n\n" + table
    written = report([_finding(1.0)], "full", {}, audit.format("c on one bank", "holds"))
    same = report([_finding(1.0)], "full", {}, audit.format("d on two banks", "holds"))
    failed = report([_finding(1.0)], "full", {}, audit.format("c on one bank", "**fails**"))
    assert first_difference(written, same) is None
    assert first_difference(written, failed) is not None
    raised = report(
        [_finding(1.0)], "full", {}, audit.replace("| {} | {} |", "| ValueError: x \\| y | **error** |")
    )
    difference = first_difference(written, raised)
    assert difference is not None
    assert "**error**" in difference


def test_report_and_records_show_every_comparison() -> None:
    finding = Finding(
        CLAIM,
        (
            compare("first |x|", 1, 1, bound="exact", tolerance=0.1),
            compare("second", 2, 1, bound="exact", tolerance=0.1),
        ),
        (Assumption("band", 0.5, 1.0),),
    )
    text = report([finding], "quick", {"picture": Picture("figures/picture.png", "A caption.")})
    assert "1 fails" in text
    assert "**fails**" in text
    assert "first \\|x\\|" in text
    assert "figures/picture.png" in text
    assert "holds, factor 2" in text
    record = as_records([finding])[0]
    assert [entry["holds"] for entry in record["comparisons"]] == [True, False]
    json.dumps(record)


def test_every_claim_and_figure_is_wired() -> None:
    claims = {name: load_claim(name).CLAIM for name in all_claims()}
    for name, claim in claims.items():
        assert claim.name == name
        assert claim.figure is None or claim.figure in figure_names()
    for figure in figure_names():
        assert set(load_figure(figure).NEEDS) <= set(claims)
        assert load_figure(figure).CAPTION


INFINITY = float("inf")


@pytest.mark.parametrize(
    ("value", "limit", "holds", "described"),
    [
        (0.05, 0.1, True, "x = 0.05 ≤ 0.1 (holds, factor 2)"),
        (2.0, 1.0, False, "x = 2 ≤ 1 (violated by factor 2)"),
        (0.0, 0.1, True, "x = 0 ≤ 0.1 (holds)"),
        (0.0, 0.0, True, "x = 0 ≤ 0 (holds)"),
        (1.0, 0.0, False, "x = 1 (violated: must be at most 0)"),
        (np.float64(1.0), np.float64(0.0), False, "x = 1 (violated: must be at most 0)"),
        (-1.0, 1.0, True, "x = -1 ≤ 1 (holds)"),
        (1.0, -1.0, False, "x = 1 (violated: must be at most -1)"),
        (1.0, -INFINITY, False, "x = 1 (violated: must be at most -inf)"),
        (NAN, 1.0, False, "x: not measured (violated: must be at most 1)"),
        (NAN, INFINITY, False, "x: not measured (violated: must be a number)"),
        (INFINITY, 1.0, False, "x is infinite (violated: must be at most 1)"),
        (INFINITY, INFINITY, True, "x is infinite (not needed)"),
        (-INFINITY, 1.0, True, "x is minus infinity (holds: must be at most 1)"),
        (5e-324, 1e300, True, "x = 4.94e-324 ≤ 1e+300 (holds)"),
        (1e300, 5e-324, False, "x = 1e+300 (violated: must be at most 4.94e-324)"),
    ],
)
def test_every_condition_is_described(value: float, limit: float, holds: bool, described: str) -> None:
    condition = Assumption("x", value, limit)
    assert (condition.holds, condition.describe()) == (holds, described)


def test_a_limit_is_a_number() -> None:
    with pytest.raises(ValueError, match="limit nan"):
        Assumption("x", 1.0, NAN)


NUMBERS = (0.0, -0.0, 5e-324, 1.0, -1.0, 1e308, -1e308, INFINITY, -INFINITY, NAN)


@pytest.mark.parametrize("bound", ["exact", "upper", "lower"])
@pytest.mark.parametrize("tolerance", [0.0, 5e-324, 0.1, 1e308, INFINITY])
def test_every_slack_says_whether_its_comparison_holds(bound: Bound, tolerance: float) -> None:
    for measured in NUMBERS:
        for predicted in NUMBERS:
            comparison = compare("x", measured, predicted, bound=bound, tolerance=tolerance)
            assert not np.isnan(comparison.slack)
            assert comparison.slack >= 0 if comparison.holds else comparison.slack <= 0
            if np.isnan(measured) or np.isnan(predicted):
                assert not comparison.holds
            if bound == "exact" and np.isinf(measured):
                assert not comparison.holds, "an infinite tolerance does not excuse a run that diverged"
            text = report(
                [Finding(CLAIM, (comparison,), (Assumption("y", measured, tolerance),))], "quick", {}
            )
            assert "**Verdict.**" in text


def test_what_is_not_a_number_is_the_worst_point() -> None:
    assert np.isnan(compare("x", [9.0, NAN, 1.0], 1.0, bound="exact", tolerance=0.1).measured)
    assert np.isnan(compare("x", [9.0, NAN, 1.0], 1.0, bound="upper", tolerance=0.1).measured)


def test_a_test_of_unknown_power_says_so() -> None:
    assert "not known" in StatisticalTest("z", 5, 1e-5, NAN).describe()


def test_a_factor_is_a_measurement() -> None:
    """Zero on one machine and tiny on another: the report is not stale."""
    comparison = compare("x", 1, 1, bound="exact", tolerance=0.1)
    zero, tiny = (
        report([Finding(CLAIM, (comparison,), (Assumption("y", value, 0.1),))], "full", {})
        for value in (0.0, 1e-17)
    )
    assert zero != tiny
    assert first_difference(zero, tiny) is None


def test_a_check_that_raised_is_in_report_and_records() -> None:
    broken = unjudged("sample_claim", ZeroDivisionError("division | by\nzero"))
    findings: list[Finding | Unjudged] = [_finding(1.0), broken]
    text = report(findings, "quick", {}, missing=("other",), problems=("A figure | is missing.",))
    assert "2 claims checked at quick scale: 1 holds, 1 error." in text
    assert "| 2 | [sample_claim](#2-sample_claim) | | | | | **error** |" in text
    assert "ZeroDivisionError: division | by zero" in text
    assert "**Unfinished.** Not here yet: other." in text
    assert "- A figure \\| is missing." in text
    assert [record["verdict"] for record in as_records(findings)] == ["holds", "error"]
    json.dumps(as_records(findings))


def test_a_statement_holds_only_if_every_check_of_it_does() -> None:
    """Neither a check that raised nor a violated condition is passed over, nor a claim that is still to come."""
    statement = STATEMENTS[0]
    claim = dataclasses.replace(CLAIM, bears_on=(statement.name,))
    good = dataclasses.replace(_finding(1.0), claim=claim)
    failed = dataclasses.replace(_finding(2.0), claim=claim)
    skipped = dataclasses.replace(good, assumptions=(Assumption("band", 1.5, 1.0),))
    name = next(name for name in all_claims() if statement.name in load_claim(name).CLAIM.bears_on)
    for others, verdict in (
        ((), "holds"),
        ((failed,), "**fails**: A sample \\| claim"),
        ((skipped,), "**not applicable**: A sample \\| claim"),
        ((unjudged(name, ValueError("x")),), f"**error**: {name}"),
    ):
        row = next(line for line in overview([good, *others]).splitlines() if escape(statement.text) in line)
        assert f" | {verdict} | " in row
    unfinished = overview([good], finished=False)
    row = next(line for line in unfinished.splitlines() if escape(statement.text) in line)
    assert " | holds so far | " in row


def test_what_the_paper_says_is_compared_to_the_digit() -> None:
    bearing = dataclasses.replace(CLAIM, bears_on=("ratio",))
    finding = Finding(bearing, _finding(1.0).comparisons)
    written = report([finding], "full", {})
    assert "| [A sample \\| claim](#1-a-sample--claim) | holds |" in written
    assert first_difference(written, written.replace("(T29)", "(T28)")) is not None
    assert first_difference(written, report([finding], "full", {}, missing=("other",))) is not None
    failed = report([Finding(bearing, _finding(2.0).comparisons)], "full", {})
    assert "| **fails**: A sample \\| claim |" in failed
    with pytest.raises(ValueError, match="bears_on = 'fame'; allowed: ratio"):
        dataclasses.replace(CLAIM, bears_on=("fame",))


def test_counts_are_met_or_missed_and_conditions_not_needed_are_folded() -> None:
    count = compare("failures", [0, 0, 0], 0, bound="exact", tolerance=0)
    close = compare("x", 1.05, 1, bound="exact", tolerance=0.1)
    conditions = (Assumption("load", 0.5, 1.0), Assumption("overlap", 0.2))
    finding = Finding(CLAIM, (count, close), conditions)
    assert finding.worst is close
    text = report([finding], "full", {})
    assert "| failures | exact | 3 | 0 | 0 | 0 | ✓ 3 |" in text
    needed, folded = text.split("<details>")
    assert "- load = 0.5 ≤ 1 (holds, factor 2)" in needed
    assert "- overlap = 0.2\n" in folded
    missed = compare("failures", [0, 1, 0], 0, bound="exact", tolerance=0)
    assert Finding(CLAIM, (close, missed)).worst is missed
    assert "| ✗ |" in report([Finding(CLAIM, (missed,))], "full", {})
    with pytest.raises(ValueError, match="one comparison with bound 'lower'"):
        compare("x", 1, 1, bound="sandwich", tolerance=0)
