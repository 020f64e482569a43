"""All claims, in the order of the theory."""

import concurrent.futures
import dataclasses
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import xarray as xr

from promptfolio.checks.claim import Claim, Finding, Scale
from promptfolio.checks.unjudged import Unjudged, unjudged
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
    "sample_space",
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

JOBS = (
    ("accuracy",),
    ("update_rule", "sample_space"),
    ("mean_field", "client_ratio", "detached"),
    ("leading_order", "monotonicity"),
    ("derivations",),
    ("many_assets",),
    ("participation",),
    ("class_priors",),
    ("late_time",),
    ("joint_law",),
    ("label_noise",),
    ("independent_assets",),
    ("round_recursion",),
    ("sample_sandwich",),
    ("trajectories",),
    ("per_client",),
    ("tangency", "advantage"),
    ("end_points",),
    ("decomposition",),
    ("sandwich",),
    ("training_time",),
    ("aggregation",),
)
"""The same names: what one process checks at a stretch, as it shares runs or programs, the longest first."""


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

    @property
    def name(self) -> str:
        """The claim's name."""
        return self.finding.claim.name


def require_claim(name: str) -> None:
    """Raise `ConfigurationError` when there is no claim of this name."""
    if name not in CLAIMS:
        raise ConfigurationError("claim", name, "one of " + ", ".join(CLAIMS))


def load_claim(name: str) -> ClaimModule:
    """Import one claim's module.

    Raises:
        ConfigurationError: when there is no claim of this name.
    """
    require_claim(name)
    return importlib.import_module(f"promptfolio.checks.claims.{name}")


def check_claims(
    names: Sequence[str], scale: Scale, workers: concurrent.futures.Executor | None = None
) -> Iterator[Checked | Unjudged]:
    """Check claims, and yield what becomes of each as soon as it is there.

    A claim whose check raises an exception, or whose process dies, is yielded as `Unjudged`; the others go on.

    Args:
        names: claims to check, each once.
        scale: quick (smaller sizes, seconds) or full.
        workers: processes to check the claims in. Without them they are checked here, in the order of the names.
    """
    if workers is None:
        yield from (_check(name, scale) for name in names)
        return
    pending = {workers.submit(_check_together, together, scale): together for together in _jobs(names)}
    for done in concurrent.futures.as_completed(pending):
        try:
            found = done.result()
        except Exception as error:
            found = [unjudged(name, error) for name in pending[done]]
        yield from found


def _jobs(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Claims for one process each, in the order in which to start them."""
    chosen = (tuple(name for name in together if name in names) for together in JOBS)
    return [together for together in chosen if together]


def _check_together(names: Sequence[str], scale: Scale) -> list[Checked | Unjudged]:
    return [_check(name, scale) for name in names]


def _check(name: str, scale: Scale) -> Checked | Unjudged:
    try:
        module = load_claim(name)
        data = module.collect(scale)
        return Checked(module.judge(data), data)
    except Exception as error:
        return unjudged(name, error)
