"""The vocabulary of claims: what holds, what fails, and what a report says of it."""

import json

import numpy as np
import pytest

from checks.claim import Assumption, Claim, Finding, compare
from checks.registry import CLAIMS, load_claim
from checks.report import Picture, as_records, report
from figures.registry import FIGURES, load_figure

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
def test_comparison_reads_its_bound(bound: str, measured: float, holds: bool) -> None:
    comparison = compare("x", [1.0, measured], 1.0, bound=bound, tolerance=0.1)
    assert comparison.holds == holds
    if not np.isnan(measured):
        assert (comparison.margin >= 0) == holds


def test_the_worst_point_is_reported() -> None:
    comparison = compare("x", [1.0, 1.3, 0.9], [1.0, 1.0, 1.0], bound="exact", tolerance=[0.1, 0.5, 0.11])
    assert (comparison.measured, comparison.points) == (0.9, 3)


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
    claims = {name: load_claim(name).CLAIM for name in CLAIMS}
    for name, claim in claims.items():
        assert claim.name == name
        assert claim.figure is None or claim.figure in FIGURES
    for figure in FIGURES:
        assert set(load_figure(figure).NEEDS) <= set(CLAIMS)
        assert load_figure(figure).CAPTION
