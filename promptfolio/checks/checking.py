"""Checking claims, here or in several processes: one that raises an exception does not stop the others."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator, Sequence

import xarray as xr

from promptfolio.checks.claim import Finding, Scale
from promptfolio.checks.registry import header, load_claim, name_of
from promptfolio.checks.unjudged import Unjudged, unjudged
from simulate.results.provenance import provenance
from simulate.running.arithmetic import arithmetic, numerics


@dataclasses.dataclass(frozen=True)
class Checked:
    """A finding with the data it was judged on."""

    finding: Finding
    data: xr.Dataset

    @property
    def name(self) -> str:
        """The claim's name."""
        return self.finding.claim.name


def check_claims(
    references: Sequence[str], scale: Scale, workers: concurrent.futures.Executor | None = None
) -> Iterator[Checked | Unjudged]:
    """Check claims, and yield what becomes of each as soon as it is there.

    A claim whose check raises an exception, or whose process dies, is yielded as `Unjudged`; the others go on.

    Args:
        references: names or files of the claims to check, each once.
        scale: quick (smaller sizes, seconds) or full.
        workers: processes to check the claims in. Without them they are checked here, in the order given.
    """
    if workers is None:
        yield from (_check(reference, scale) for reference in references)
        return
    pending = {workers.submit(_check_together, each, scale): each for each in jobs(references)}
    for done in concurrent.futures.as_completed(pending):
        try:
            found = done.result()
        except Exception as error:
            found = [unjudged(name_of(reference), error) for reference in pending[done]]
        yield from found


def jobs(references: Sequence[str]) -> list[tuple[str, ...]]:
    """Claims for one process each, those that take longest first.

    Claims that say so (`Claim.together`) are one job.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    costs: dict[tuple[str, str], float] = {}
    for reference in references:
        claim = header(reference)
        key = ("together", claim.together) if claim and claim.together else ("alone", reference)
        groups.setdefault(key, []).append(reference)
        costs[key] = costs.get(key, 0) + (claim.cost if claim else 0)
    return [tuple(groups[key]) for key in sorted(groups, key=lambda key: -costs[key])]


def _with_origin(data: xr.Dataset, claim: str, scale: Scale) -> xr.Dataset:
    """A claim's dataset with its claim and scale, versions, commit and settings of the arithmetic in its
    attributes."""
    if not isinstance(data, xr.Dataset):  # which `judge` complains about, if it minds
        return data
    here = {**provenance(), "numerics": numerics()}
    return data.assign_attrs({**here, **data.attrs, "claim": claim, "scale": scale})


def _check_together(references: Sequence[str], scale: Scale) -> list[Checked | Unjudged]:
    return [_check(reference, scale) for reference in references]


def _check(reference: str, scale: Scale) -> Checked | Unjudged:
    try:
        module = load_claim(reference)
        with arithmetic("float32"):  # of what a claim computes itself; runs have their experiment's
            data = _with_origin(module.collect(scale), name_of(reference), scale)
        finding = module.judge(data)
        if not isinstance(finding, Finding) or finding.claim != module.CLAIM:
            raise TypeError(f"judge returned {finding!r}; allowed: a Finding on the module's CLAIM")
        return Checked(finding, data)
    except (Exception, SystemExit) as error:
        return unjudged(name_of(reference), error)
