"""All observations about the released code, in the order of the report."""

import dataclasses
import importlib
from collections.abc import Callable, Sequence

import xarray as xr

from promptfolio.audit.observation import ObservationModule
from promptfolio.audit.setting import Setting, audit_setting
from promptfolio.checks.claim import Finding, Scale
from promptfolio.checks.unjudged import Unjudged, unjudged
from promptfolio.companion.bank import FeatureBank
from simulate.validation import ConfigurationError

OBSERVATIONS = (
    "pooled_split",
    "partition_seed",
    "overwritten_options",
    "shared_optimizer",
    "mixture_norm",
)
"""Names of the modules of this package that hold an observation."""


@dataclasses.dataclass(frozen=True)
class Audited:
    """What became of an observation, with the data it was judged on."""

    finding: Finding
    data: xr.Dataset

    @property
    def name(self) -> str:
        """The observation's name."""
        return self.finding.claim.name


def load_observation(name: str) -> ObservationModule:
    """Import one observation's module.

    Raises:
        ConfigurationError: when there is no observation of this name.
    """
    if name not in OBSERVATIONS:
        raise ConfigurationError("observation", name, "one of " + ", ".join(OBSERVATIONS))
    return importlib.import_module(f"promptfolio.audit.{name}")


def audit(name: str, setting: Setting) -> Audited:
    """Demonstrate one observation, judge it, and see that it can be described."""
    module = load_observation(name)
    data = module.demonstrate(setting)
    finding = module.judge(data)
    module.effect(data), module.tables(data)
    return Audited(finding, data)


def run_audit(
    scale: Scale = "full",
    banks: Sequence[FeatureBank] = (),
    announce: Callable[[str], None] | None = None,
) -> tuple[Audited | Unjudged, ...]:
    """Demonstrate all observations; one that raises an exception is `Unjudged`, and the others go on.

    Args:
        scale: quick (smaller sizes) or full.
        banks: feature banks to demonstrate on; without one, a synthetic bank.
        announce: told each observation's name before its work starts.
    """
    setting = audit_setting(scale, banks)
    results: list[Audited | Unjudged] = []
    for name in OBSERVATIONS:
        if announce is not None:
            announce(name)
        try:
            results.append(audit(name, setting))
        except Exception as error:
            results.append(unjudged(name, error))
    return tuple(results)
