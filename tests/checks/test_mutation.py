"""Planted faults: each can be planted, each claim has one to notice, and the machinery tells dead from alive."""

import ast
import importlib
import inspect
import pathlib
import pickle
import sys
import types
from typing import Any

import jax.numpy as jnp
import pytest

from promptfolio.checks.detectors import is_test
from promptfolio.checks.fault_processes import detecting_processes
from promptfolio.checks.mutant import Edited, Mutant, Replaced
from promptfolio.checks.mutants import MUTANTS
from promptfolio.checks.mutation import Outcome, run_mutants
from promptfolio.checks.planting import plant
from promptfolio.checks.registry import claim_names
from tests.support import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_fault_can_be_planted(mutant: Mutant) -> None:
    module = importlib.import_module(mutant.module)
    assert module.__file__ is not None
    source = pathlib.Path(module.__file__).read_text(encoding="utf-8")
    compile(mutant.edited(source), mutant.module, "exec")
    assert mutant.caught_by
    for detector in mutant.caught_by:
        if is_test(detector):
            file, _, test = detector.partition("::")
            functions = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
            names = {each.name for each in functions if isinstance(each, ast.FunctionDef)}
            assert test.partition("[")[0] in names, detector
        else:
            assert detector in claim_names()
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
    assert len(MUTANTS) >= 110
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    detectors = {detector for mutant in MUTANTS for detector in mutant.caught_by}
    assert set(claim_names()) == {detector for detector in detectors if not is_test(detector)}


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


FILE = "tests/checks/test_mutation.py"


def test_of_nothing_wrong() -> None:
    """Passes whatever is planted."""
    assert {1, 2}


def test_that_margins_have_the_sign_of_labels() -> None:
    """Notices a change of sign."""
    from simulate.model.data import ClientData
    from simulate.model.loss import label_margins

    batch = ClientData(jnp.ones((1, 2)), -jnp.ones(1), jnp.ones(1))
    assert label_margins(jnp.ones(2), batch).tolist() == [-2.0]


def test_processes_tell_dead_from_alive() -> None:
    """Faults that matter and faults that do not, each in a process of its own, before claims and tests."""
    (sums,) = (mutant for mutant in MUTANTS if mutant.name == "fedavg_sums")
    assert isinstance(sums, Replaced)
    module, before, claims = sums.module, "return weights, jnp.ones(clients, bool)", ("aggregation",)
    after = "return 1 * weights, jnp.ones(clients, bool)"
    slip = ("simulate.model.loss", "return batch.labels *", "return -batch.labels *")
    notices, passes = f"{FILE}::test_that_margins_have_the_sign_of_labels", f"{FILE}::test_of_nothing_wrong"
    mutants = [
        Replaced("sums", module, "", claims, sums.target, sums.replacement),
        Edited("same", module, "", claims, before, after),
        Edited("absent", module, "", claims, "no such text", ""),
        Replaced("unnamed", module, "", claims, "no_such_name", sums.replacement),
        Edited("text", slip[0], "", (notices,), *slip[1:]),
        Edited("both", slip[0], "", (notices, passes), *slip[1:]),
        Edited("no_test", slip[0], "", (f"{FILE}::test_that_is_missing",), *slip[1:]),
    ]
    outcomes = {outcome.mutant.name: outcome for outcome in run_mutants(mutants, workers=1)}
    assert {name for name, outcome in outcomes.items() if outcome.killed} == {"sums", "text"}
    assert "no_such_name" in outcomes["unnamed"].verdicts["process"]
    assert outcomes["both"].verdicts == {notices: "fails", passes: "holds"}
    (verdict,) = outcomes["no_test"].verdicts.values()
    assert verdict == "error: no such test without a fault"


def test_that_text_is_refused_as_a_number() -> None:
    """Notices a change of what the command line itself imports."""
    from simulate.validation import ConfigurationError, require_number

    with pytest.raises(ConfigurationError, match="must be"):
        require_number("field", "text")


def test_a_fault_in_what_the_command_line_imports_can_be_planted() -> None:
    assert "simulate.validation" in sys.modules
    detectors = (f"{FILE}::test_that_text_is_refused_as_a_number", f"{FILE}::test_of_nothing_wrong")
    fault = Edited("worded", "simulate.validation", "", detectors, "must be", "should be")
    with detecting_processes() as detect:
        assert detect(None, detectors) == dict.fromkeys(detectors, "holds")
        assert detect(fault, detectors) == dict(zip(detectors, ("fails", "holds"), strict=True))


def test_a_process_that_breaks_off_or_hangs_says_so() -> None:
    module, claims = "simulate.model.loss", ("aggregation",)
    exits = Edited("exits", module, "", claims, "import jax\n", "import jax, os\n\nos._exit(7)\n")
    hangs = Edited("hangs", module, "", claims, "import jax\n", "import jax\n\nwhile True:\n    pass\n")
    with detecting_processes(limit=20) as detect:
        assert detect(exits, claims) == {"process": "ended with exit status 7"}
    with detecting_processes(limit=0.1) as detect:
        assert detect(hangs, claims) == {"process": "no verdict within 0.1 s"}
