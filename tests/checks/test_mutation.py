"""Planted faults: each can be planted, each claim has one to notice, and the machinery tells dead from alive."""

import importlib.util
import pathlib
import sys

import pytest

from promptfolio.checks.mutants import MUTANTS
from promptfolio.checks.mutation import Mutant, Outcome, edited, plant, run_mutants
from promptfolio.checks.registry import CLAIMS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_fault_can_be_planted(mutant: Mutant) -> None:
    found = importlib.util.find_spec(mutant.module)
    assert found is not None
    assert found.origin is not None
    source = pathlib.Path(found.origin).read_text(encoding="utf-8")
    compile(edited(source, mutant), mutant.module, "exec")
    assert mutant.before != mutant.after
    assert set(mutant.caught_by) <= set(CLAIMS)


def test_the_suite_is_large_and_every_claim_can_fail() -> None:
    assert len(MUTANTS) >= 30
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert set(CLAIMS) == {name for mutant in MUTANTS for name in mutant.caught_by}


def test_what_is_imported_already_cannot_be_planted() -> None:
    assert "promptfolio.checks.mutation" in sys.modules
    with pytest.raises(ValueError, match="imported already"):
        plant(Mutant("late", "promptfolio.checks.mutation", "a", "b", "", ("aggregation",)))


def test_text_must_occur_once() -> None:
    mutant = Mutant("twice", "simulate.model.loss", "x", "y", "", ("aggregation",))
    with pytest.raises(ValueError, match="occurs 2 times"):
        edited("x = x", mutant)


def test_only_failing_claims_kill() -> None:
    mutant = MUTANTS[0]
    assert Outcome(mutant, {"one": "fails"}, 0.0).killed
    for verdicts in ({}, {"one": "holds"}, {"one": "not applicable"}, {"one": "fails", "two": "holds"}):
        assert not Outcome(mutant, verdicts, 0.0).killed


def test_processes_tell_dead_from_alive() -> None:
    """One fault that matters and one that does not, each in a process of its own."""
    module, before = "simulate.model.federated", "return weights, jnp.ones(clients, bool)"
    sums = "return jnp.ones_like(weights), jnp.ones(clients, bool)"
    same = "return 1 * weights, jnp.ones(clients, bool)"
    mutants = [
        Mutant("sums", module, before, sums, "", ("aggregation",)),
        Mutant("same", module, before, same, "", ("aggregation",)),
        Mutant("absent", module, "no such text", "", "", ("aggregation",)),
    ]
    killed = {outcome.mutant.name: outcome.killed for outcome in run_mutants(mutants, workers=1)}
    assert killed == {"sums": True, "same": False, "absent": False}
