"""Pinned versions: constraints.txt has all that is installed, constraints-lowest.txt the oldest allowed."""

import importlib.metadata
import tomllib
from collections.abc import Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pinned(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text(encoding="utf-8").split()
    pins = [(canonicalize_name(name), Version(version)) for name, version in (x.split("==") for x in lines)]
    assert len(dict(pins)) == len(pins), f"{file} names a package twice"
    return dict(pins)


def installed(requirements: list[str], extra: str = "") -> Iterator[str]:
    """Names of what requirements install here, and of what that requires in turn."""
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield canonicalize_name(requirement.name)
            if requirement.name != PROJECT["name"]:
                needed = importlib.metadata.requires(requirement.name) or []
                for chosen in requirement.extras or {""}:
                    yield from installed(needed, chosen)


def test_every_dependency_is_pinned_to_its_lower_bound() -> None:
    pins = pinned("constraints-lowest.txt")
    for requirement in map(Requirement, PROJECT["dependencies"]):
        (bound,) = requirement.specifier
        assert bound.operator == ">=", requirement
        assert pins[canonicalize_name(requirement.name)] == Version(bound.version), requirement


def test_everything_that_make_installs_is_pinned() -> None:
    optional = PROJECT["optional-dependencies"]
    names = set(installed([*PROJECT["dependencies"], *optional["cluster"], *optional["test"]]))
    assert names - pinned("constraints.txt").keys() == {PROJECT["name"]}
