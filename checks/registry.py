"""All claims, in the order of the theory."""

import concurrent.futures
import dataclasses
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import xarray as xr

from checks.claim import Claim, Finding, Scale
from simulate.validation import ConfigurationError

CLAIMS = (
    "derivations",
    "end_points",
    "decomposition",
    "update_rule",
    "aggregation",
    "accuracy",
    "trajectories",
    "sandwich",
    "sample_sandwich",
    "mean_field",
    "round_recursion",
    "client_ratio",
    "tangency",
    "advantage",
    "leading_order",
    "independent_assets",
    "monotonicity",
    "training_time",
    "joint_law",
    "per_client",
    "many_assets",
    "detached",
    "label_noise",
    "class_priors",
    "participation",
    "late_time",
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
    names: Sequence[str],
    scale: Scale,
    announce: Callable[[str], None] | None = None,
    workers: int = 1,
) -> Iterator[Checked]:
    """Check claims, and yield what became of them in the order given.

    Args:
        names: claims to check.
        scale: quick (smaller sizes, seconds) or full.
        announce: told each claim's name before its work starts.
        workers: claims to work on at once. Half the time goes into compiling, which uses one core.
    """

    def check(module: ClaimModule) -> Checked:
        if announce is not None:
            announce(module.CLAIM.name)
        data = module.collect(scale)
        return Checked(module.judge(data), data)

    modules = [load_claim(name) for name in names]
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        yield from pool.map(check, modules)
    finally:
        pool.shutdown(cancel_futures=True)
