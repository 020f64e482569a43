"""Which claims there are: every module of `promptfolio.checks.claims`, and files that lie elsewhere.

A claim is referred to by its name, or by the path of its file, which ends in ``.py``. Either way its file has
`CLAIM`, `collect` and `judge`, and the claim's name is the file's.
"""

import importlib
import importlib.util
import math
import pathlib
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Protocol, cast

import xarray as xr

from promptfolio.checks import claims as package
from promptfolio.checks.claim import Claim, Finding, Scale
from promptfolio.error_text import described
from simulate.validation import ConfigurationError

_SUFFIX = ".py"
_OFFERS = ("CLAIM", "collect", "judge")


class ClaimModule(Protocol):
    """What a claim's file offers.

    Attributes:
        CLAIM: the statement.
        collect: simulates at a scale, and puts the prediction beside the measurement, as a labelled dataset.
        judge: compares the two in that dataset.
    """

    CLAIM: Claim
    collect: Callable[[Scale], xr.Dataset]
    judge: Callable[[xr.Dataset], Finding]


def claim_names() -> tuple[str, ...]:
    """Names of the project's claims, in alphabetical order; nothing is imported."""
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def all_claims() -> tuple[str, ...]:
    """Names of the project's claims in the order of the report: by their equation tags, then by name.

    All of them are imported. One that cannot be stands last: its check says why.
    """
    return tuple(sorted(claim_names(), key=_place))


def _place(name: str) -> tuple[tuple[float, ...], str]:
    claim = header(name)
    return tags(claim.equation) if claim else (math.inf,), name


def tags(equation: str) -> tuple[float, ...]:
    """The numbers of the tags in a claim's `equation`; infinity, which comes last, where there is none.

    Example:
        >>> tags("T12, T14"), tags("my notes")
        ((12, 14), (inf,))
    """
    return tuple(int(number) for number in re.findall(r"\bT(\d+)\b", equation)) or (math.inf,)


def is_file(reference: str) -> bool:
    """Whether a reference is the path of a file, not a name."""
    return reference.endswith(_SUFFIX)


def name_of(reference: str) -> str:
    """The name of the claim that a reference refers to.

    Example:
        >>> name_of("accuracy"), name_of("notes/my_claim.py")
        ('accuracy', 'my_claim')
    """
    return pathlib.Path(reference).stem if is_file(reference) else reference


def file_of(reference: str) -> str:
    """Where a claim's file is: within the repository for the project's own, else the file's name."""
    return pathlib.Path(reference).name if is_file(reference) else f"promptfolio/checks/claims/{reference}.py"


def resolve(references: Sequence[str]) -> tuple[str, ...]:
    """Find claims before any work is done.

    Args:
        references: names and paths; what occurs twice counts once.

    Returns:
        Names, and absolute paths, with which any process finds the claim.

    Raises:
        ConfigurationError: there is no such claim or file, a file holds no claim, or two claims have one name
            (the project's claims included, whether they are given or not).
    """
    found: dict[str, str] = {}
    for reference in references:
        name = name_of(reference)
        if is_file(reference):
            load_claim(reference)
            if name in claim_names():
                raise ConfigurationError(
                    "claim",
                    reference,
                    f"a file of another name: {name!r} is a claim of the project, to be given by its name",
                )
            reference = str(pathlib.Path(reference).resolve())
        else:
            require_claim(reference)
        if found.setdefault(name, reference) != reference:
            raise ConfigurationError(
                "claims", name, f"the name of one claim, not of both {found[name]} and {reference}"
            )
    return tuple(found.values())


def require_claim(name: str) -> None:
    """Raise `ConfigurationError` when the project has no claim of this name."""
    names = claim_names()
    if name not in names:
        raise ConfigurationError(
            "claim", name, f"a file that ends in {_SUFFIX}, or one of {', '.join(names)}"
        )


def load_claim(reference: str) -> ClaimModule:
    """Import one claim's module, by its name or from its file.

    Raises:
        ConfigurationError: there is no such claim or file, it cannot be imported, it lacks something, or the claim
            does not have the file's name.
    """
    if is_file(reference):
        module = _import_file(reference)
    else:
        require_claim(reference)
        module = importlib.import_module(f"{package.__name__}.{reference}")
    missing = [name for name in _OFFERS if not hasattr(module, name)]
    if missing:
        raise ConfigurationError(
            "claim", reference, f"a module with {', '.join(_OFFERS)} (it lacks {', '.join(missing)})"
        )
    claim = module.CLAIM
    if not isinstance(claim, Claim):
        raise ConfigurationError(
            "claim", reference, f"a module whose CLAIM is a promptfolio.checks.claim.Claim, not {claim!r}"
        )
    if claim.name != name_of(reference):
        raise ConfigurationError(
            "claim",
            reference,
            f"a module whose CLAIM has the file's name, {name_of(reference)!r}, not {claim.name!r}",
        )
    return cast(ClaimModule, module)


def header(reference: str) -> Claim | None:
    """A claim's own description; None where it cannot be imported, which its check will report."""
    try:
        return load_claim(reference).CLAIM
    except Exception:
        return None


def _import_file(path: str) -> ModuleType:
    source = pathlib.Path(path)
    if not source.is_file():
        raise ConfigurationError("claim", path, "a file that exists")
    name = f"claim_from_file_{source.stem}"
    spec = importlib.util.spec_from_file_location(name, source.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses, among others, look their module up.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigurationError(
            "claim", path, f"Python that can be imported ({described(error)})"
        ) from error
    return module
