"""The observations about the released code: every module of `promptfolio.audit.observations`."""

import importlib
import math
import pkgutil
from collections.abc import Callable, Sequence

from promptfolio.audit import observations
from promptfolio.audit.observation import ObservationModule
from promptfolio.audit.setting import Setting, audit_setting
from promptfolio.checks.checking import Checked
from promptfolio.checks.claim import Scale
from promptfolio.checks.unjudged import Unjudged, unjudged
from promptfolio.companion.banks import FeatureBank
from simulate.running.arithmetic import arithmetic
from simulate.validation import require_choice


def observation_names() -> tuple[str, ...]:
    """Names of the observations in the order of the report: by `ORDER`, then by name.

    All of them are imported. One that cannot be stands last: the audit says why.
    """
    return tuple(sorted(_names(), key=_place))


def _names() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(observations.__path__))


def _place(name: str) -> tuple[float, str]:
    try:
        return load_observation(name).ORDER, name
    except Exception:
        return math.inf, name


def load_observation(name: str) -> ObservationModule:
    """Import one observation's module.

    Raises:
        ConfigurationError: when there is no observation of this name.
    """
    require_choice("observation", name, _names())
    return importlib.import_module(f"{observations.__name__}.{name}")


def audit(name: str, setting: Setting) -> Checked:
    """Demonstrate one observation, judge it, and see that it can be described."""
    module = load_observation(name)
    with arithmetic("float32"):  # where an observation does not choose another
        data = module.demonstrate(setting)
    finding = module.judge(data)
    module.effect(data), module.tables(data)
    return Checked(finding, data)


def run_audit(
    scale: Scale = "full",
    banks: Sequence[FeatureBank] = (),
    announce: Callable[[str], None] | None = None,
) -> tuple[Checked | Unjudged, ...]:
    """Demonstrate all observations; one that raises an exception is `Unjudged`, and the others go on.

    Args:
        scale: quick (smaller sizes) or full.
        banks: feature banks to demonstrate on; without one, a synthetic bank.
        announce: told each observation's name before its work starts.
    """
    setting = audit_setting(scale, banks)
    results: list[Checked | Unjudged] = []
    for name in observation_names():
        if announce is not None:
            announce(name)
        try:
            results.append(audit(name, setting))
        except Exception as error:
            results.append(unjudged(name, error))
    return tuple(results)
