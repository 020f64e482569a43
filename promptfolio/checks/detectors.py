"""What notices a planted fault: a claim, by its name, or a test of the checkout, by pytest's name for it.

Nothing of the packages under test is imported here before a detector runs, so that a fault can be planted first.
"""

import collections
import contextlib
import importlib.util
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
"""The checkout, where there is one."""
PASSES = "holds"
"""Verdict of a detector that finds nothing wrong."""
FAILS = "fails"
"""Verdict of a detector that notices something."""


def is_test(detector: str) -> bool:
    """Whether a detector is a test, not a claim.

    Example:
        >>> is_test("tests/theory/test_theory_model.py::test_weights"), is_test("aggregation")
        (True, False)
    """
    return "::" in detector


def can_run_tests() -> bool:
    """Whether the tests lie beside the package and pytest is installed: a checkout with its development tools."""
    return (ROOT / "tests" / "conftest.py").is_file() and importlib.util.find_spec("pytest") is not None


def verdicts_of_claims(claims: Sequence[str]) -> dict[str, str]:
    """Check claims here, at quick scale; the verdict of each, an exception's text after "error: "."""
    from promptfolio.checks.checking import check_claims
    from promptfolio.checks.unjudged import Unjudged

    return {
        each.name: f"error: {each.error}" if isinstance(each, Unjudged) else each.finding.verdict
        for each in check_claims(claims, "quick")
    }


def verdicts_of_tests(tests: Sequence[str], prepare: Callable[[], None]) -> dict[str, str]:
    """Run tests here, in the way of the suite.

    Args:
        tests: pytest's names of test functions, relative to the checkout; a name without parameters is every case.
        prepare: called when the suite is set up, before a test file is imported.

    Returns:
        For each test "fails" (a case raised an exception), "holds" (all cases passed), or "error: " and why there
            is neither: it cannot be collected or set up, or is skipped.
    """
    import pytest

    collector = _Collector(tests, prepare)
    arguments = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", "pyproject.toml"]
    # A search that goes on at random would find a fault in one run and miss it in the next.
    arguments += ["--hypothesis-seed=0"]
    # Plugins are imported here before pytest looks at them; the suite would take its warning for an error.
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    if len(tests) == 1:
        arguments += ["--exitfirst"]
    # Of a name that does not exist pytest would make an end to all of them; the collector chooses among the files'.
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    with contextlib.chdir(ROOT):
        pytest.main([*arguments, *files], plugins=[collector])
    return collector.verdicts()


class _Collector:
    """A plugin of pytest that notes what became of each test."""

    def __init__(self, tests: Sequence[str], prepare: Callable[[], None]):
        self._tests = tests
        self._prepare = prepare
        self._outcomes: dict[str, set[str]] = collections.defaultdict(set)
        self._trouble: list[str] = []

    def pytest_sessionstart(self) -> None:
        import pytest

        # The suite's own import hook stands in front by now, and the fault must come before it.
        try:
            self._prepare()
        except ValueError as error:
            self._trouble.append(str(error))
            pytest.exit(str(error), returncode=3)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if {item.nodeid, _without_case(item.nodeid)} & {*self._tests}]

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._trouble.append(_last_line(report.longreprtext))

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or not report.passed:
            outcome = report.outcome if report.when == "call" else f"{report.when} {report.outcome}"
            for name in {report.nodeid, _without_case(report.nodeid)}:
                self._outcomes[name].add(outcome)

    def verdicts(self) -> dict[str, str]:
        return {test: self._verdict(self._outcomes.get(test, set())) for test in self._tests}

    def _verdict(self, outcomes: set[str]) -> str:
        if "failed" in outcomes:
            return FAILS
        if outcomes == {"passed"}:
            return PASSES
        return "error: " + "; ".join(sorted(outcomes - {"passed"}) or self._trouble or ["no such test"])


def _without_case(test: str) -> str:
    return test.partition("[")[0]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1].removeprefix("E ").strip()


def in_batches(detectors: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Distinct detectors, in batches that run in one process each: a claim, or the tests of one file.

    Example:
        >>> list(in_batches(["accuracy", "a.py::test_1", "b.py::test", "a.py::test_2", "accuracy"]))
        [('accuracy',), ('a.py::test_1', 'a.py::test_2'), ('b.py::test',)]
    """
    batches: dict[str, list[str]] = collections.defaultdict(list)
    for detector in dict.fromkeys(detectors):
        batches[detector.partition("::")[0]].append(detector)
    return map(tuple, batches.values())
