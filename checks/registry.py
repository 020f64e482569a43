"""All claims, in the order of the theory."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import xarray as xr

from checks.claim import Claim, Finding, Scale
from simulate.validation import ConfigurationError

CLAIMS = (
    "end_points",
    "decomposition",
    "update_rule",
    "aggregation",
    "accuracy",
    "trajectories",
    "sandwich",
    "tangency",
    "advantage",
    "leading_order",
    "independent_assets",
    "monotonicity",
    "training_time",
    "joint_law",
    "per_client",
    "detached",
)
"""Names of the modules of this package that hold a claim."""


class ClaimModule(Protocol):
    """What a claim's module offers."""

    CLAIM: Claim
    collect: Callable[[Scale], xr.Dataset]
    judge: Callable[[xr.Dataset], Finding]


@dataclasses.dataclass(frozen=True)
class Checked:
    """A finding with the data it was judged on."""

    finding: Finding
    data: xr.Dataset


def load_claim(name: str) -> ClaimModule:
    """Import one claim's module.

    Raises:
        ConfigurationError: when there is no claim of this name.
    """
    if name not in CLAIMS:
        raise ConfigurationError("claim", name, "one of " + ", ".join(CLAIMS))
    return importlib.import_module(f"checks.{name}")


def check_claims(
    names: Sequence[str], scale: Scale, announce: Callable[[str], None] | None = None
) -> Iterator[Checked]:
    """Check claims one after the other.

    Args:
        names: claims to check.
        scale: quick (smaller sizes, seconds) or full.
        announce: told each claim's name before its work starts.
    """
    modules = [load_claim(name) for name in names]
    for module in modules:
        if announce is not None:
            announce(module.CLAIM.name)
        data = module.collect(scale)
        yield Checked(module.judge(data), data)
