"""The record of planted faults: what the report says a claim would catch was seen, and when."""

import datetime
import json
import pathlib

import pytest

from promptfolio.checks.claim import Claim, Finding, compare
from promptfolio.checks.fault_record import noticed, read_record, renewed
from promptfolio.checks.mutants import MUTANTS
from promptfolio.checks.mutation import Outcome
from promptfolio.checks.report import section

ABOUT = {"versions": json.dumps({"promptfolio": "1.2"}), "git_commit": "abc"}
FIRST, SECOND = MUTANTS[:2]


def test_planting_some_faults_renews_their_entries_only() -> None:
    before = renewed((), [Outcome(FIRST, {"aggregation": "holds"}, 1.0)], ABOUT)
    before = (before[0]._replace(date="2020-01-01"),)
    gone = before[0]._replace(mutant="no longer there")
    both = renewed((*before, gone), [Outcome(SECOND, {"per_client": "fails"}, 1.0)], ABOUT)
    assert [entry.mutant for entry in both] == [FIRST.name, SECOND.name]
    assert both[0] == before[0]
    assert (both[1].version, both[1].commit) == ("1.2", "abc")
    assert both[1].date == datetime.datetime.now(datetime.UTC).date().isoformat()


def test_a_record_is_read_as_written(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "record.json"
    assert read_record(path) == ()
    record = renewed((), [Outcome(FIRST, {"aggregation": "fails"}, 1.0)], ABOUT)
    path.write_text(json.dumps([entry._asdict() for entry in record]), encoding="utf-8")
    assert read_record(path) == record
    for text in ("{", '[{"mutant": "x"}]', "[1]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="a record of planted faults"):
            read_record(path)


def test_a_claim_would_catch_what_it_was_seen_to_catch() -> None:
    verdicts = {"aggregation": "fails", "update_rule": "holds"}
    record = renewed((), [Outcome(FIRST, verdicts, 1.0)], ABOUT)
    assert noticed("aggregation", record) == record
    assert noticed("update_rule", record) == ()
    reworded = (record[0]._replace(fault="another fault"),)
    assert noticed("aggregation", reworded) == ()
    claim = Claim("aggregation", "T6", "derived", "A claim", "Something holds.", "exact")
    finding = Finding(claim, (compare("x", 1, 1, bound="exact", tolerance=0.1),))
    text = section(1, finding, faults=(record[0]._replace(date="2020-01-02"),))
    assert f"Would catch (planted on 2020-01-02): {FIRST.fault}." in text
    assert "Would catch" not in section(1, finding)


def test_every_fault_was_planted_and_noticed() -> None:
    record = {entry.mutant: entry for entry in read_record()}
    assert list(record) == [mutant.name for mutant in MUTANTS], "the record is stale: `make record` renews it"
    for mutant in MUTANTS:
        entry = record[mutant.name]
        assert (entry.fault, entry.module) == (mutant.fault, mutant.module)
        assert set(entry.noticed_by) == set(mutant.caught_by), mutant.name
