"""Planted faults: each can be planted, each claim has one to notice, and the machinery tells dead from alive."""

import importlib
import inspect
import pathlib
import pickle
import sys
import types
from typing import Any

import pytest

from promptfolio.checks.mutant import Edited, Mutant, Replaced
from promptfolio.checks.mutants import MUTANTS
from promptfolio.checks.mutation import Outcome, run_mutants
from promptfolio.checks.planting import plant
from promptfolio.checks.registry import claim_names


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_fault_can_be_planted(mutant: Mutant) -> None:
    module = importlib.import_module(mutant.module)
    assert module.__file__ is not None
    source = pathlib.Path(module.__file__).read_text(encoding="utf-8")
    compile(mutant.edited(source), mutant.module, "exec")
    assert set(mutant.caught_by) <= set(claim_names())
    # It is sent to a process of its own, by reference to its module's functions.
    assert pickle.loads(pickle.dumps(mutant)) == mutant
    if isinstance(mutant, Replaced):
        _, original = mutant.find(module)
        assert mutant.replacement(original) is not original
        assert len(inspect.signature(mutant.replacement).parameters) == 1
    else:
        assert isinstance(mutant, Edited)
        assert mutant.before != mutant.after


def test_the_suite_is_large_and_every_claim_can_fail() -> None:
    assert len(MUTANTS) >= 69
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert set(claim_names()) == {name for mutant in MUTANTS for name in mutant.caught_by}


def test_what_is_imported_already_cannot_be_planted() -> None:
    assert "promptfolio.checks.mutation" in sys.modules
    with pytest.raises(ValueError, match="imported already"):
        plant(Edited("late", "promptfolio.checks.mutation", "", ("aggregation",), "a", "b"))


def test_text_must_occur_once() -> None:
    mutant = Edited("twice", "simulate.model.loss", "", ("aggregation",), "x", "y")
    with pytest.raises(ValueError, match="occurs 2 times"):
        mutant.edited("x = x")


def _seven(original: Any) -> Any:
    return 7


@pytest.mark.parametrize("target", ["nothing", "Class.nothing", "nothing.at_all"])
def test_a_name_must_exist(target: str) -> None:
    module: Any = types.ModuleType("module")
    module.Class = type("Class", (), {})
    with pytest.raises(ValueError, match=f"no {target}"):
        Replaced("name", "module", "", ("aggregation",), target, _seven).install(module)


def test_constants_functions_and_properties_are_replaced() -> None:
    module: Any = types.ModuleType("module")
    module.SIZE, module.Class = 3, type("Class", (), {"size": property(lambda self: 3)})
    for target in ("SIZE", "Class.size"):
        Replaced("name", "module", "", ("aggregation",), target, _seven).install(module)
    assert (module.SIZE, module.Class().size) == (7, 7)


def test_only_failing_claims_kill() -> None:
    mutant = MUTANTS[0]
    assert Outcome(mutant, {"one": "fails"}, 0.0).killed
    for verdicts in ({}, {"one": "holds"}, {"one": "not applicable"}, {"one": "fails", "two": "holds"}):
        assert not Outcome(mutant, verdicts, 0.0).killed


def test_processes_tell_dead_from_alive() -> None:
    """One fault that matters and one that does not, each in a process of its own."""
    (sums,) = (mutant for mutant in MUTANTS if mutant.name == "fedavg_sums")
    assert isinstance(sums, Replaced)
    module, before, claims = sums.module, "return weights, jnp.ones(clients, bool)", ("aggregation",)
    mutants = [
        Replaced("sums", module, "", claims, sums.target, sums.replacement),
        Edited("same", module, "", claims, before, "return 1 * weights, jnp.ones(clients, bool)"),
        Edited("absent", module, "", claims, "no such text", ""),
        Replaced("unnamed", module, "", claims, "no_such_name", sums.replacement),
    ]
    outcomes = {outcome.mutant.name: outcome for outcome in run_mutants(mutants, workers=1)}
    killed = {name: outcome.killed for name, outcome in outcomes.items()}
    assert killed == {"sums": True, "same": False, "absent": False, "unnamed": False}
    assert "no_such_name" in outcomes["unnamed"].verdicts["process"]
