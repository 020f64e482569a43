"""constraints-lowest.txt names the oldest versions that pyproject.toml allows."""

import tomllib

from packaging.requirements import Requirement
from packaging.version import Version

from tests.support import ROOT


def test_every_dependency_is_pinned_to_its_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").split()
    pinned = dict(line.split("==") for line in lines)
    for requirement in map(Requirement, project["dependencies"]):
        (bound,) = requirement.specifier
        assert bound.operator == ">=", requirement
        assert Version(pinned[requirement.name]) == Version(bound.version), requirement
